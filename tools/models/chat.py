"""Any langchain chat model as a `Model`, with retries and a hard deadline around it."""

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from opencodeinterpreter.tools.errors import ModelError
from opencodeinterpreter.tools.models.faults import AttemptFailed, fault_of, silence
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Request, Response, Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage

_backoff = wait_random_exponential(multiplier=0.5, max=20)


class LangChainModel:
    """A langchain chat model behind the model seam.

    It is called through `ainvoke`, so that callbacks see it and LangGraph's
    `stream_mode="messages"` streams its tokens. Retries are counted here: give the chat model
    none of its own. An attempt that fails in mid-stream has shown its tokens already.
    """

    def __init__(
        self, chat: "BaseChatModel", *, spec: str, options: ModelOptions | None = None
    ) -> None:
        self._chat = chat
        self._spec = spec
        self._options = options or ModelOptions()

    @property
    def spec(self) -> str:
        """The name by which records know this model."""
        return self._spec

    async def complete(self, request: Request) -> Response:
        """Answer `request`; raises ModelError when its retries or its deadline are spent."""
        started = time.monotonic()
        retrying = self._retrying()
        try:
            async with asyncio.timeout(self._options.timeout_seconds) as deadline:
                message: AIMessage = await retrying(self._attempt, request)
        except AttemptFailed as failed:
            raise self._error(failed, retrying) from None
        except TimeoutError:
            if not deadline.expired():
                raise
            fault = silence(self._options.timeout_seconds)
            raise self._error(AttemptFailed(fault), retrying) from None
        return self.response(message).model_copy(
            update={
                "seconds": time.monotonic() - started,
                "attempts": retrying.statistics["attempt_number"],
            }
        )

    def arguments(self, request: Request) -> dict[str, Any]:
        """Return what `ainvoke` is given beside the messages; override it for other names."""
        return request.sampling.model_dump(exclude_none=True)

    def check(self, message: "AIMessage") -> None:
        """Raise AttemptFailed where `message` is no whole answer."""

    def hide(self, text: str) -> str:
        """Return `text` without any secret that this model was given."""
        return text

    def response(self, message: "AIMessage") -> Response:
        """Return what `message` says; seconds and attempts are filled in by the caller."""
        told = message.response_metadata
        refusal = message.additional_kwargs.get("refusal")
        finish = told.get("finish_reason") or told.get("stop_reason") or "unknown"
        return Response(
            text=str(message.text) or refusal or "",
            model=told.get("model_name") or told.get("model") or self._spec,
            finish="refusal" if refusal else finish,
            usage=_usage(message),
        )

    async def _attempt(self, request: Request) -> "AIMessage":
        messages = [(message.role, message.content) for message in request.messages]
        try:
            async with asyncio.timeout(self._options.attempt_seconds):
                message = await self._chat.ainvoke(messages, **self.arguments(request))
            self.check(message)
        except TimeoutError:
            raise AttemptFailed(silence(self._options.attempt_seconds)) from None
        except Exception as error:  # any client's any class: the seam attributes it to the model
            raise AttemptFailed(fault_of(error)) from None
        return message

    def _retrying(self) -> AsyncRetrying:
        options = self._options
        return AsyncRetrying(
            retry=retry_if_exception(_passing),
            wait=_wait,
            stop=stop_after_attempt(options.retries + 1)
            | stop_before_delay(options.timeout_seconds),
            reraise=True,
        )

    def _error(self, failed: AttemptFailed, retrying: AsyncRetrying) -> ModelError:
        fault = failed.fault
        attempts = retrying.statistics.get("attempt_number", 1)
        tries = f" after {attempts} attempts" if attempts > 1 else ""
        wait = f" (it asks to wait {fault.wait:g} s)" if fault.wait else ""
        text = f"model {self._spec}: {fault.text}{tries}{wait}; {fault.advice}"
        return ModelError(self.hide(text))


def _passing(error: BaseException) -> bool:
    return isinstance(error, AttemptFailed) and error.fault.passing


def _wait(state: RetryCallState) -> float:
    asked = 0.0
    if state.outcome is not None and isinstance(error := state.outcome.exception(), AttemptFailed):
        asked = error.fault.wait
    return asked + _backoff(state)


def _usage(message: "AIMessage") -> Usage | None:
    told: Mapping[str, Any] | None = message.usage_metadata
    if told is None:
        return None
    details = told.get("input_token_details") or {}
    return Usage(
        input_tokens=told["input_tokens"],
        output_tokens=told["output_tokens"],
        cached_tokens=details.get("cache_read"),
    )
