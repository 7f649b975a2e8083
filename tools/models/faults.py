"""What a failed attempt means: whether it may pass, how long to wait, what to do about it.

Clients of different providers raise different classes, none of which may be imported here (they
are heavy, and not all installed). What they share is an HTTP status, a response with headers, and
the names of their base classes; those are read.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from opencodeinterpreter.tools.validation import first_problem

_PASSING_STATUS = frozenset({408, 409, 425, 429})
_REFUSING_STATUS = frozenset({400, 404, 415, 422, 501})
_PASSING_CLASSES = frozenset(
    {
        "APIConnectionError",
        "ConnectionError",
        "ModelConnectionError",
        "ModelTimeoutError",
        "TimeoutError",
        "TransportError",
    }
)
_OVERFLOW_WORDS = (
    "context_length_exceeded",  # OpenAI's code
    "exceeds the context window",  # OpenAI's words
    "maximum context length",  # vLLM's words and OpenAI's older ones
    "exceed_context_size_error",  # llama.cpp's type
    "exceeds the available context size",  # llama.cpp's words
)


@dataclass(frozen=True)
class Fault:
    """Why an attempt failed, in words for a person."""

    text: str
    """As the client told it: at any length, and with any key that is in it."""
    advice: str
    passing: bool
    """Whether another attempt may succeed."""
    wait: float = 0.0
    """Seconds that the server asks to wait before the next attempt."""
    overflow: bool = False
    """Whether the request is longer than the model's context."""
    refused: bool = False
    """Whether the server understood nothing wrong but the request itself."""
    dead: bool = False
    """Whether this is what a dead server looks like: a broken connection, silence, an HTTP 5xx."""


class AttemptFailed(Exception):
    """One attempt failed. Private to tools.models: `complete` turns it into a ModelError."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


def fault_of(error: Exception) -> Fault:
    """Return what `error`, raised by a chat client, means."""
    if isinstance(error, AttemptFailed):
        return error.fault
    if _overflows(error):
        return Fault(
            text=_words(error),
            advice="the conversation is longer than the model's context; use fewer turns",
            passing=False,
            overflow=True,
        )
    status = _status(error)
    if status is not None:
        return Fault(
            text=f"HTTP {status}: {_words(error)}",
            advice=_advice(status),
            passing=_may_pass(status, error),
            wait=_retry_after(error),
            refused=status in _REFUSING_STATUS,
            dead=status >= 500,
        )
    if any(kind.__name__ in _PASSING_CLASSES for kind in type(error).__mro__):
        return Fault(
            text=_words(error),
            advice="check that the server runs and can be reached",
            passing=True,
            dead=True,
        )
    return Fault(
        text=f"an answer that makes no sense ({type(error).__name__}: {_words(error)})",
        advice="check that the URL is that of an OpenAI-compatible chat API",
        passing=False,
    )


def silence(seconds: float) -> Fault:
    """Return the fault of an attempt that was not answered within `seconds`."""
    return Fault(
        text=f"no answer within {seconds:g} s",
        advice="check the server, or allow a call more time",
        passing=True,
        dead=True,
    )


def _status(error: Exception) -> int | None:
    """Return the HTTP status, which a stream that broke off tells only in its body."""
    status = getattr(error, "status_code", None)
    if status is None and isinstance(body := getattr(error, "body", None), Mapping):
        status = body.get("code")
    return status if isinstance(status, int) and 300 <= status < 600 else None


def _may_pass(status: int, error: Exception) -> bool:
    if getattr(error, "code", None) == "insufficient_quota":
        return False
    return status in _PASSING_STATUS or status >= 500


def _retry_after(error: Exception) -> float:
    headers = getattr(getattr(error, "response", None), "headers", {})
    try:
        return max(0.0, float(headers.get("retry-after", 0)))
    except ValueError:  # a date; the ordinary backoff serves
        return 0.0


def _overflows(error: Exception) -> bool:
    """Return whether `error` says that the context is too short; langchain knows OpenAI's only."""
    if any(kind.__name__ == "ContextOverflowError" for kind in type(error).__mro__):
        return True
    text = str(error)
    return any(words in text for words in _OVERFLOW_WORDS)


def _advice(status: int) -> str:
    match status:
        case 401 | 403:
            return "check the API key and the variable that holds it"
        case 404:
            return "check the model's name and the URL, which mostly ends in /v1"
        case 408 | 409 | 425 | 429:
            return "the server is busy or a quota is spent; resume the run later"
        case _ if status >= 500:
            return "the server is in trouble; resume the run when it is well"
        case _ if status < 400:
            return "the server redirects, which is not followed; name the URL that it points to"
        case _:
            return "the server refuses the request; check the sampling settings against its answer"


def _words(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        problem = first_problem(error)
        return f"{problem.place} is {problem.value!r}: {problem.message}"
    body = getattr(error, "body", None)
    told = body.get("message") if isinstance(body, Mapping) else None
    text = str(told or error) or type(error).__name__
    cause = error.__cause__
    if cause is not None and told is None and not isinstance(cause, asyncio.CancelledError):
        text = f"{text} ({type(cause).__name__}: {cause})"
    return " ".join(text.split())
