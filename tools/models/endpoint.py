"""The client of any server that speaks OpenAI's chat protocol."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.faults import AttemptFailed, Fault
from opencodeinterpreter.tools.models.langchain_model import LangChainModel
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Request
from opencodeinterpreter.tools.models.redaction import without_keys
from opencodeinterpreter.tools.models.structured import TOOL, Way, is_strict

if TYPE_CHECKING:
    import openai
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_openai import ChatOpenAI

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY_VARIABLE = "OPENAI_API_KEY"
_NO_KEY = "none"
"""Sent where no key is known: clients insist on one, local servers ignore it."""


@dataclass(frozen=True)
class Endpoint:
    """Where a model is served, and the key that goes there and nowhere else."""

    spec: str
    name: str
    url: str
    key: SecretStr
    through_proxy: bool = True
    """Whether the proxy variables of the environment are obeyed."""

    @property
    def is_openai(self) -> bool:
        """Whether this is OpenAI's own host."""
        return is_openai(self.url)


def is_openai(url: str) -> bool:
    """Return whether `url` leads to OpenAI's own host, over TLS."""
    parts = urlsplit(url)
    return parts.scheme == "https" and parts.hostname == urlsplit(OPENAI_URL).hostname


def api_key(url: str, options: ModelOptions) -> SecretStr:
    """Return the key for the server at `url`, read from the environment.

    OPENAI_API_KEY goes to OpenAI's own host alone; any other host gets a key only from a variable
    that the options name. Raises InputError where the variable is unset, unfit or refused.
    """
    variable = options.key_variable
    if is_openai(url):
        variable = variable or OPENAI_KEY_VARIABLE
    elif variable is None:
        return SecretStr(_NO_KEY)
    elif variable == OPENAI_KEY_VARIABLE:
        raise InputError(
            f"{OPENAI_KEY_VARIABLE} is never sent to {urlsplit(url).hostname}; "
            "put that server's key into another variable and name that one"
        )
    value = os.environ.get(variable, "").strip()
    if not value:
        raise InputError(f"the API key for {url} is missing: set the variable {variable}")
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise InputError(f"the variable {variable} holds no API key: it has blanks or odd letters")
    return SecretStr(value)


class OpenAIModel(LangChainModel):
    """One model of an OpenAI-compatible server."""

    ways = ("schema", "tool", "words")

    def __init__(self, chat: "BaseChatModel", endpoint: Endpoint, options: ModelOptions) -> None:
        super().__init__(chat, spec=endpoint.spec, options=options)
        self._endpoint = endpoint

    def arguments(self, request: Request, way: Way = "words") -> dict[str, Any]:
        """Return sampling parameters by the names that this server knows.

        Token limit and schema go in the body as they are: langchain would rename the one for
        every server (OpenAI's newer models refuse `max_tokens`, older servers know nothing else)
        and would raise on an answer that the other's limit cut.
        """
        sampling = request.sampling
        limit = "max_completion_tokens" if self._endpoint.is_openai else "max_tokens"
        body: dict[str, Any] = {limit: sampling.max_tokens}
        if way == "schema" and request.json_schema is not None:
            body["response_format"] = _response_format(dict(request.json_schema))
        plain = sampling.model_dump(exclude_none=True, exclude={"max_tokens"})
        return {**plain, "extra_body": body}

    def check(self, message: "AIMessage") -> None:
        """Raise AttemptFailed for an answer without a finish reason: it broke off on its way."""
        if not message.response_metadata.get("finish_reason"):
            raise AttemptFailed(
                Fault(
                    text="the answer broke off",
                    advice="check the server and what lies between",
                    passing=True,
                )
            )

    def hide(self, text: str) -> str:
        """Return `text` without any key; some servers repeat theirs in their refusal."""
        key = self._endpoint.key.get_secret_value()
        return without_keys(text, "" if key == _NO_KEY else key)


@asynccontextmanager
async def open_endpoint(endpoint: Endpoint, options: ModelOptions) -> AsyncIterator[OpenAIModel]:
    """Yield the model at `endpoint`; its connections are closed at the end."""
    async with open_chat(endpoint, options) as chat:
        yield OpenAIModel(chat, endpoint, options)


@asynccontextmanager
async def open_chat(endpoint: Endpoint, options: ModelOptions) -> "AsyncIterator[ChatOpenAI]":
    """Yield langchain's client of `endpoint`; its connections are closed at the end."""
    # Importing the client and reading certificates take a second that the event loop has not.
    client, chat = await asyncio.to_thread(_client, endpoint, options)
    try:
        yield chat
    finally:
        await client.close()


def _client(endpoint: Endpoint, options: ModelOptions) -> "tuple[openai.AsyncOpenAI, ChatOpenAI]":
    import openai
    from langchain_openai import ChatOpenAI

    timeout = openai.Timeout(options.attempt_seconds, connect=min(15.0, options.attempt_seconds))
    client = openai.AsyncOpenAI(
        api_key=endpoint.key.get_secret_value(),
        base_url=endpoint.url,
        max_retries=0,
        timeout=timeout,
        default_headers=None if endpoint.is_openai else _foreign_headers(endpoint.key),
        # A redirect could carry the conversation to another host.
        http_client=openai.DefaultAsyncHttpxClient(
            trust_env=endpoint.through_proxy, follow_redirects=False, timeout=timeout
        ),
    )
    chat = ChatOpenAI(
        model=endpoint.name,
        api_key=endpoint.key,
        base_url=endpoint.url,
        root_async_client=client,
        async_client=client.chat.completions,
        max_retries=0,
        stream_usage=True,
        stream_chunk_timeout=None,
        use_responses_api=False,
    )
    return client, chat


def _foreign_headers(key: SecretStr) -> dict[str, Any]:
    """Return headers that undo what the client would add from OPENAI_* variables on any host."""
    import openai

    custom = os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")
    names = [line.partition(":")[0].strip() for line in custom if ":" in line]
    headers: dict[str, Any] = {
        name: openai.Omit() for name in ("OpenAI-Organization", "OpenAI-Project", *names)
    }
    kept = {name: value for name, value in headers.items() if name.lower() != "authorization"}
    return {**kept, "Authorization": f"Bearer {key.get_secret_value()}"}


def _response_format(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the protocol's wrapping of `schema`."""
    return {
        "type": "json_schema",
        "json_schema": {"name": TOOL, "schema": schema, "strict": is_strict(schema)},
    }
