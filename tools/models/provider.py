"""`PROVIDER:MODEL`: any other provider, through langchain's `init_chat_model`."""

import asyncio
import importlib.util
import os
from typing import TYPE_CHECKING, Any

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.langchain_model import LangChainModel
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Request
from opencodeinterpreter.tools.models.redaction import without_keys
from opencodeinterpreter.tools.models.structured import Way

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_LIMITS = ("max_tokens", "max_output_tokens", "max_completion_tokens", "num_predict")
"""What providers call the most tokens of an answer."""


class ProviderModel(LangChainModel):
    """A model of a provider that langchain knows; it takes what its class has a field for."""

    def __init__(self, chat: "BaseChatModel", spec: str, key: str, options: ModelOptions) -> None:
        super().__init__(chat, spec=spec, options=options)
        self._key = key

    def arguments(self, request: Request, way: Way = "words") -> dict[str, Any]:
        """Return those sampling parameters that the provider has, by its names."""
        fields = type(self._chat).model_fields
        given = request.sampling.model_dump(exclude_none=True)
        limit = given.pop("max_tokens")
        arguments = {name: value for name, value in given.items() if name in fields}
        name = next((name for name in _LIMITS if name in fields), None)
        return arguments if name is None else {**arguments, name: limit}

    def hide(self, text: str) -> str:
        """Return `text` without any key."""
        return without_keys(text, self._key)


def check_provider(spec: str, provider: str, possible: str) -> None:
    """Raise InputError where langchain is missing, without which no other provider is known."""
    if importlib.util.find_spec("langchain") is None:
        raise InputError(
            f"model {spec!r} is not known; possible are {possible}; and any provider of "
            f"langchain's, after pip install langchain langchain-{provider.replace('_', '-')}"
        )


async def open_provider(
    spec: str, provider: str, model: str, options: ModelOptions
) -> ProviderModel:
    """Return the model; its client has nothing to close.

    Raises InputError where langchain does not know the provider, its package is missing or its
    client refuses its settings.
    """
    chat, key = await asyncio.to_thread(provider_chat, spec, provider, model, options)
    return ProviderModel(chat, spec, key, options)


def provider_chat(
    spec: str, provider: str, model: str, options: ModelOptions
) -> "tuple[BaseChatModel, str]":
    """Return the provider's chat model and the key that it was given; nothing is asked of it yet.

    Raises InputError as `open_provider` does.
    """
    from langchain.chat_models import init_chat_model

    key = ""
    if options.key_variable is not None:
        key = os.environ.get(options.key_variable, "").strip()
        if not key:
            raise InputError(f"the API key for {spec} is missing: set {options.key_variable}")
    given: dict[str, Any] = {"api_key": key} if key else {}
    try:
        chat: BaseChatModel = init_chat_model(
            model, model_provider=provider, max_retries=0, **given
        )
    except Exception as error:  # each provider's client has its own ways to refuse
        told = without_keys(" ".join(str(error).split()), key)
        raise InputError(f"model {spec}: {told[:600]}") from error
    return chat, key
