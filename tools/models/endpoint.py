"""The client of any server with OpenAI's chat API."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.faults import AttemptFailed, Fault, broken_off
from opencodeinterpreter.tools.models.langchain_model import LangChainModel
from opencodeinterpreter.tools.models.network import (
    connection_failure,
    environment_error,
    proxy_for,
)
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Request
from opencodeinterpreter.tools.models.redaction import without_keys
from opencodeinterpreter.tools.models.structured import TOOL, Way, is_strict

if TYPE_CHECKING:
    import openai
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage

    from opencodeinterpreter.tools.models.openai_chat import OpenAIChat

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY_VARIABLE = "OPENAI_API_KEY"
_NO_KEY = "none"
"""Sent if there is no key: clients require one, local servers ignore it."""


@dataclass(frozen=True)
class Endpoint:
    """Where a model is served, and the key for that server alone."""

    spec: str
    name: str
    url: str
    key: SecretStr
    through_proxy: bool = True
    """Whether the environment's proxy variables apply."""

    @property
    def is_openai(self) -> bool:
        """Whether this is OpenAI's own host."""
        return is_openai(self.url)


def is_openai(url: str) -> bool:
    """Return whether `url` is on OpenAI's own host, over TLS."""
    parts = urlsplit(url)
    return parts.scheme == "https" and parts.hostname == urlsplit(OPENAI_URL).hostname


def api_key(url: str, options: ModelOptions) -> SecretStr:
    """Return the key for the server at `url`, read from the environment.

    OPENAI_API_KEY is sent to OpenAI's own host alone; any other host gets a key only from the
    variable `options.key_variable`. Raises InputError if the variable is unset, not allowed for
    this host, or does not contain a valid key.
    """
    variable = options.key_variable
    if is_openai(url):
        variable = variable or OPENAI_KEY_VARIABLE
    elif variable is None:
        return SecretStr(_NO_KEY)
    elif variable == OPENAI_KEY_VARIABLE:
        raise InputError(
            f"{OPENAI_KEY_VARIABLE} is never sent to {urlsplit(url).hostname}; "
            "put that server's key into another variable and name it with "
            "--set client.key_variable=NAME"
        )
    value = os.environ.get(variable, "").strip()
    if not value:
        raise InputError(f"the API key for {url} is missing: set the variable {variable}")
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise InputError(f"{variable} is not a valid API key: blank or non-ASCII character")
    return SecretStr(value)


class OpenAIModel(LangChainModel):
    """One model of an OpenAI-compatible server."""

    ways = ("schema", "tool", "words")

    def __init__(self, chat: "BaseChatModel", endpoint: Endpoint, options: ModelOptions) -> None:
        super().__init__(chat, spec=endpoint.spec, options=options)
        self._endpoint = endpoint

    def arguments(self, request: Request, way: Way = "words") -> dict[str, Any]:
        """Return the sampling parameters by this server's names.

        Token limit and schema go into the body unchanged. Langchain would rename the limit for
        every server (OpenAI's newer models refuse `max_tokens`, older servers know nothing else),
        and would raise for a schema-bound answer that the limit cut.
        """
        sampling = request.sampling
        limit = "max_completion_tokens" if self._endpoint.is_openai else "max_tokens"
        body: dict[str, Any] = {limit: sampling.max_tokens}
        if way == "schema" and request.json_schema is not None:
            body["response_format"] = _response_format(dict(request.json_schema))
        plain = sampling.model_dump(exclude_none=True, exclude={"max_tokens"})
        return {**plain, "extra_body": body}

    def check(self, message: "AIMessage") -> None:
        """Raise AttemptFailed if the server failed in mid-answer.

        Some servers send a whole answer without a finish reason.
        """
        finish = message.response_metadata.get("finish_reason")
        said = message.text or message.tool_calls or message.additional_kwargs
        if finish == "error" or (finish in (None, "", "unknown") and not said):
            raise AttemptFailed(broken_off())

    def fault(self, error: Exception) -> Fault:
        """Classify an error of the client; a failed connection may be the proxy's fault."""
        found = super().fault(error)
        proxy = proxy_for(self._endpoint.url) if self._endpoint.through_proxy else None
        if proxy is None or connection_failure(error) is None:
            return found
        return replace(found, text=f"{found.text} (through the proxy that {proxy} names)")

    def hide(self, text: str) -> str:
        """Return `text` with all keys replaced; some servers repeat the key when they refuse it."""
        key = self._endpoint.key.get_secret_value()
        return without_keys(text, "" if key == _NO_KEY else key)


@asynccontextmanager
async def open_endpoint(endpoint: Endpoint, options: ModelOptions) -> AsyncIterator[OpenAIModel]:
    """Yield the model at `endpoint`; close its connections at the end."""
    async with open_chat(endpoint, options) as chat:
        yield OpenAIModel(chat, endpoint, options)


@asynccontextmanager
async def open_chat(endpoint: Endpoint, options: ModelOptions) -> "AsyncIterator[OpenAIChat]":
    """Yield langchain's client of `endpoint`; close its connections at the end."""
    # Importing the client and reading certificates block for about a second.
    client, chat = await asyncio.to_thread(_client, endpoint, options)
    try:
        yield chat
    finally:
        await client.close()


def _client(endpoint: Endpoint, options: ModelOptions) -> "tuple[openai.AsyncOpenAI, OpenAIChat]":
    import openai

    from opencodeinterpreter.tools.models.openai_chat import OpenAIChat, StreamClient

    timeout = openai.Timeout(options.attempt_seconds, connect=min(15.0, options.attempt_seconds))
    try:
        # A redirect could send the conversation to another host.
        http = openai.DefaultAsyncHttpxClient(
            trust_env=endpoint.through_proxy, follow_redirects=False, timeout=timeout
        )
    except Exception as error:  # proxies and certificates of the environment: any class
        raise environment_error(error, endpoint.url) from error
    client = StreamClient(
        api_key=endpoint.key.get_secret_value(),
        base_url=endpoint.url,
        max_retries=0,
        timeout=timeout,
        default_headers=None if endpoint.is_openai else _foreign_headers(endpoint.key),
        http_client=http,
    )
    chat = OpenAIChat(
        model=endpoint.name,
        api_key=endpoint.key,
        base_url=endpoint.url,
        # Without one, langchain makes a blocking client, and from the environment.
        client=client.chat.completions,
        root_client=client,
        root_async_client=client,
        async_client=client.chat.completions,
        max_retries=0,
        stream_usage=True,
        stream_chunk_timeout=None,
        use_responses_api=False,
    )
    return client, chat


def _foreign_headers(key: SecretStr) -> dict[str, Any]:
    """Return headers that remove what the client adds from OPENAI_* variables for any host."""
    import openai

    custom = os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")
    names = [line.partition(":")[0].strip() for line in custom if ":" in line]
    headers: dict[str, Any] = {
        name: openai.Omit() for name in ("OpenAI-Organization", "OpenAI-Project", *names)
    }
    kept = {name: value for name, value in headers.items() if name.lower() != "authorization"}
    return {**kept, "Authorization": f"Bearer {key.get_secret_value()}"}


def _response_format(schema: dict[str, Any]) -> dict[str, Any]:
    """Return `schema` as the value of OpenAI's `response_format`."""
    return {
        "type": "json_schema",
        "json_schema": {"name": TOOL, "schema": schema, "strict": is_strict(schema)},
    }
