"""Any langchain chat model as a `Model`, with retries and a hard deadline."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import SecretStr
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from opencodeinterpreter.tools.errors import ContextOverflow, ModelError
from opencodeinterpreter.tools.models.breaker import Breaker
from opencodeinterpreter.tools.models.chat_messages import sendable
from opencodeinterpreter.tools.models.faults import AttemptFailed, Fault, fault_of, silence
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Request, Response, Usage
from opencodeinterpreter.tools.models.redaction import SHORTEST_KEY, without_key, without_keys
from opencodeinterpreter.tools.models.structured import TOOL, Way, tool_code, tool_of, tool_text
from opencodeinterpreter.tools.thinking import split_thinking

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel, LanguageModelInput
    from langchain_core.messages import AIMessage
    from langchain_core.runnables import Runnable

_LONGEST_TEXT = 600
_MOST_TOKENS = 2**48
"""More than any call uses, and few enough that the sums of a run fit into 64 bits."""
_backoff = wait_random_exponential(multiplier=0.5, max=20)


class LangChainModel:
    """A langchain chat model behind the model seam.

    The layers, outermost first: `complete` adds retries, the deadline and the price of the call;
    `_try_ways` tries the ways to ask for a schema-bound answer until the server accepts one, and
    remembers it; `_in_known_roles` does without the system role if the server refuses it, and
    remembers that; `_guarded_call` adds the circuit breaker; `_call_once` makes one call with its
    time limit. Public methods beside `complete` are hooks for subclasses.

    Calls go through `ainvoke`, so callbacks see them and LangGraph's `stream_mode="messages"`
    streams their tokens. The chat model must not retry by itself. An attempt that fails in
    mid-stream has already streamed its tokens.
    """

    ways: ClassVar[Sequence[Way]] = ("tool", "words")

    def __init__(
        self, chat: "BaseChatModel", *, spec: str, options: ModelOptions | None = None
    ) -> None:
        self._chat = chat
        self._spec = spec
        self._options = options or ModelOptions()
        self._price = self._options.prices.get(spec)
        self._ways = self.ways
        self._breaker = Breaker()
        self._sent = _secrets(chat)
        self._alternating = False

    @property
    def spec(self) -> str:
        """The spec that records name this model by."""
        return self._spec

    async def complete(self, request: Request) -> Response:
        """Answer `request`; raises ModelError when the retries or the deadline are spent."""
        started = time.monotonic()
        retrying = self._retrying()
        try:
            async with asyncio.timeout(self._options.timeout_seconds) as deadline:
                response: Response = await retrying(self._try_ways, request)
        except AttemptFailed as failed:
            raise self._error(failed, retrying) from None
        except TimeoutError:
            if not deadline.expired():
                raise
            fault = silence(self._options.timeout_seconds)
            self._breaker.note(fault)
            raise self._error(AttemptFailed(fault), retrying) from None
        return response.model_copy(
            update={
                "text": self._without_sent(response.text),
                "model": self._without_sent(response.model),
                "thinking": response.thinking and self._without_sent(response.thinking),
                "finish": self._without_sent(_finish(response, request.sampling.max_tokens)),
                "usage": self._priced(response.usage),
                "seconds": time.monotonic() - started,
                "attempts": retrying.statistics["attempt_number"],
            }
        )

    async def ready(self) -> None:
        """Wait until the model can be called; raises AttemptFailed if it never can."""

    def arguments(self, request: Request, way: Way = "words") -> dict[str, Any]:
        """Return the keyword arguments of `ainvoke`; override it for other names."""
        return request.sampling.model_dump(exclude_none=True)

    def check(self, message: "AIMessage") -> None:
        """Raise AttemptFailed if `message` is incomplete."""

    def fault(self, error: Exception) -> Fault:
        """Classify an error of the chat model."""
        return fault_of(error)

    def hide(self, text: str) -> str:
        """Return `text` with all keys replaced."""
        return without_keys(text)

    def _without_sent(self, text: str) -> str:
        """Return `text` without the keys that were sent to the server, which may repeat them."""
        for secret in self._sent:
            text = without_key(text, secret.get_secret_value())
        return text

    def response(self, message: "AIMessage", *, bound: bool) -> Response:
        """Convert `message`, which is `bound` to a schema or not; `complete` fills in the rest."""
        told = message.response_metadata
        refusal = message.additional_kwargs.get("refusal")
        finish = told.get("finish_reason") or told.get("stop_reason") or "unknown"
        text, thinking = str(message.text), _thinking(message)
        if thinking is not None:
            inner, text = split_thinking(text)
            thinking = "\n".join(part for part in (thinking, inner) if part)
        called = tool_text(message) if bound else tool_code(message)
        if called and bound:
            text = text if text.strip() else called
        elif called:
            text = f"{text}\n\n{called}".strip()
        return Response(
            text=text or refusal or "",
            model=told.get("model_name") or told.get("model") or self._spec,
            finish="refusal" if refusal else finish,
            usage=_usage(message),
            thinking=thinking,
        )

    async def _try_ways(self, request: Request) -> Response:
        """Call in the best way that the server accepts."""
        if request.json_schema is None:
            return await self._in_known_roles(request, "words")
        refused: AttemptFailed | None = None
        for at, way in enumerate(self._ways):
            try:
                response = await self._in_known_roles(request, way)
            except AttemptFailed as failed:
                if not failed.fault.refused:
                    raise
                refused = refused or failed
            else:
                self._ways = self._ways[at:]
                return response
        assert refused, "a loop without a response had at least one refusal"
        raise refused

    async def _in_known_roles(self, request: Request, way: Way) -> Response:
        """Call with all roles, and with `user` and `assistant` alone if the server wants that."""
        alternating = self._alternating
        try:
            return await self._guarded_call(request, way, alternating)
        except AttemptFailed as failed:
            plain = sendable(request.messages, alternating=True)
            changes = plain != sendable(request.messages, alternating=alternating)
            if not (failed.fault.roles and changes):
                raise
        response = await self._guarded_call(request, way, True)
        self._alternating = True
        return response

    async def _guarded_call(self, request: Request, way: Way, alternating: bool) -> Response:
        self._breaker.check()
        try:
            response = await self._call_once(request, way, alternating)
        except AttemptFailed as failed:
            self._breaker.note(failed.fault)
            raise
        self._breaker.note(None)
        return response

    async def _call_once(self, request: Request, way: Way, alternating: bool) -> Response:
        await self.ready()
        chat = self._bound(request.json_schema) if request.json_schema and way == "tool" else None
        messages = sendable(request.messages, alternating=alternating)
        try:
            async with asyncio.timeout(self._options.attempt_seconds):
                message = await (chat or self._chat).ainvoke(
                    messages, **self.arguments(request, way)
                )
            self.check(message)
            return self.response(message, bound=request.json_schema is not None)
        except TimeoutError:
            raise AttemptFailed(silence(self._options.attempt_seconds)) from None
        except Exception as error:  # clients raise any class; all mean a failed call
            raise AttemptFailed(self.fault(error)) from None

    def _bound(self, schema: Mapping[str, Any]) -> "Runnable[LanguageModelInput, AIMessage]":
        try:
            return self._chat.bind_tools([tool_of(schema)], tool_choice=TOOL)
        except (NotImplementedError, TypeError, ValueError) as error:
            fault = Fault(
                text=f"the model does not support tools ({type(error).__name__})",
                advice="use another model",
                transient=False,
                refused=True,
            )
            raise AttemptFailed(fault) from None

    def _retrying(self) -> AsyncRetrying:
        options = self._options
        return AsyncRetrying(
            retry=retry_if_exception(_is_transient),
            wait=_wait,
            stop=stop_after_attempt(options.retries + 1)
            | stop_before_delay(options.timeout_seconds),
            reraise=True,
        )

    def _priced(self, usage: Usage | None) -> Usage | None:
        if usage is None or self._price is None:
            return usage
        return usage.model_copy(update={"cost": self._price.of(usage)})

    def _error(self, failed: AttemptFailed, retrying: AsyncRetrying) -> ModelError:
        fault = failed.fault
        attempts = retrying.statistics.get("attempt_number", 1)
        tries = f" after {attempts} attempts" if attempts > 1 else ""
        wait = f" (the server asks to wait {fault.wait:g} s)" if fault.wait else ""
        # Hide keys before cutting: a key that is cut first would stay in part.
        told = self.hide(fault.text)
        told = told if len(told) <= _LONGEST_TEXT else f"{told[:_LONGEST_TEXT]}…"
        kind = ContextOverflow if fault.overflow else ModelError
        return kind(f"model {self._spec}: {told}{tries}{wait}; {fault.advice}")


def _secrets(chat: "BaseChatModel") -> tuple[SecretStr, ...]:
    """Return the keys that a client holds; one under 8 characters may be a word of any answer."""
    held = (getattr(chat, name, None) for name in type(chat).model_fields)
    keys = (value for value in held if isinstance(value, SecretStr))
    return tuple(key for key in keys if len(key.get_secret_value()) >= SHORTEST_KEY)


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, AttemptFailed) and error.fault.transient


def _wait(state: RetryCallState) -> float:
    asked = 0.0
    if state.outcome is not None and isinstance(error := state.outcome.exception(), AttemptFailed):
        asked = error.fault.wait
    return asked + _backoff(state)


def _finish(response: Response, max_tokens: int) -> str:
    """Return the finish reason; `context` if the context, not `max_tokens`, cut the answer.

    Servers report `length` for both.
    """
    usage = response.usage
    if response.finish == "length" and usage and usage.output_tokens < max_tokens:
        return "context"
    return response.finish


def _thinking(message: "AIMessage") -> str | None:
    """Return what the model said to itself, if the server tells it apart from the text."""
    told = message.additional_kwargs.get("reasoning_content")
    if isinstance(told, str) and told:
        return told
    blocks = message.content if isinstance(message.content, list) else []
    texts = [
        _text_of(block.get("thinking") or block.get("reasoning"))
        for block in blocks
        if isinstance(block, dict) and block.get("type") in ("thinking", "reasoning")
    ]
    return "\n".join(texts) if texts else None


def _text_of(told: object) -> str:
    """Return a text, or the texts of a list of parts."""
    if isinstance(told, list):
        parts = (part.get("text") for part in told if isinstance(part, Mapping))
        return "".join(part for part in parts if isinstance(part, str))
    return told if isinstance(told, str) else ""


def _usage(message: "AIMessage") -> Usage | None:
    """Return the server's token counts; `None` if they are missing or impossible."""
    told: Mapping[str, Any] = message.usage_metadata or {}
    asked, answered = _tokens(told.get("input_tokens")), _tokens(told.get("output_tokens"))
    if asked is None or answered is None:
        return None
    details = told.get("input_token_details") or {}
    cached = _tokens(details.get("cache_read"))
    return Usage(input_tokens=asked, output_tokens=answered, cached_tokens=cached)


def _tokens(count: object) -> int | None:
    return count if isinstance(count, int) and 0 <= count < _MOST_TOKENS else None
