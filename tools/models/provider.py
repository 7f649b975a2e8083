"""`PROVIDER:MODEL`: any other provider, through langchain's `init_chat_model`."""

import asyncio
import importlib.util
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.langchain_model import LangChainModel
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Request
from opencodeinterpreter.tools.models.redaction import without_keys
from opencodeinterpreter.tools.models.spec import Spec
from opencodeinterpreter.tools.models.structured import Way

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_LIMITS = ("max_tokens", "max_output_tokens", "max_completion_tokens", "num_predict")
"""The names that providers give to the maximum number of output tokens."""


class ProviderModel(LangChainModel):
    """A model of a provider that langchain knows.

    It gets those sampling parameters for which its client class has a field.
    """

    def __init__(self, chat: "BaseChatModel", spec: str, key: str, options: ModelOptions) -> None:
        super().__init__(chat, spec=spec, options=options)
        self._key = key

    def arguments(self, request: Request, way: Way = "words") -> dict[str, Any]:
        """Return the sampling parameters that the provider supports, by its names."""
        fields = type(self._chat).model_fields
        given = request.sampling.model_dump(exclude_none=True)
        limit = given.pop("max_tokens")
        arguments = {name: value for name, value in given.items() if name in fields}
        name = next((name for name in _LIMITS if name in fields), None)
        return arguments if name is None else {**arguments, name: limit}

    def hide(self, text: str) -> str:
        """Return `text` with all keys replaced."""
        return without_keys(text, self._key)


def check_provider(spec: str, provider: str, possible: str) -> None:
    """Raise InputError if langchain is not installed; it is what knows the providers."""
    if importlib.util.find_spec("langchain") is None:
        raise InputError(
            f"model {spec!r} is not known; possible are {possible}; for a provider of langchain's, "
            f"pip install langchain langchain-{provider.replace('_', '-')}"
        )


@asynccontextmanager
async def open_provider(spec: Spec, options: ModelOptions) -> AsyncIterator[ProviderModel]:
    """Yield the model; its client has nothing to close.

    Raises InputError as `provider_chat` does.
    """
    chat, key = await asyncio.to_thread(provider_chat, spec, options)
    yield ProviderModel(chat, spec.text, key, options)


def provider_chat(spec: Spec, options: ModelOptions) -> "tuple[BaseChatModel, str]":
    """Return the provider's chat model and its key, empty for the provider's own; asks nothing.

    Raises InputError if the key is missing, langchain does not know the provider, its package is
    not installed, or its client refuses its settings.
    """
    from langchain.chat_models import init_chat_model

    key = ""
    if options.key_variable is not None:
        key = os.environ.get(options.key_variable, "").strip()
        if not key:
            raise InputError(f"the API key for {spec.text} is missing: set {options.key_variable}")
    given: dict[str, Any] = {"api_key": key} if key else {}
    try:
        chat: BaseChatModel = init_chat_model(
            spec.name, model_provider=spec.provider, max_retries=0, **given
        )
    except Exception as error:  # each provider's client raises its own classes
        told = without_keys(" ".join(str(error).split()), key)
        raise InputError(f"model {spec.text}: {told[:600]}") from error
    return chat, key
