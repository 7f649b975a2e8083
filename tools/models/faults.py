"""Classifies a failed attempt: whether to retry, how long to wait, what to advise.

Providers' clients raise classes of their own, which cannot be imported here: they are heavy, and
not all are installed. So the HTTP status, the response headers and the names of base classes are
read, which all of them have.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from opencodeinterpreter.tools.validation import first_problem

_TRANSIENT_STATUS = frozenset({408, 409, 425, 429})
_REFUSED_STATUS = frozenset({400, 404, 415, 422, 501})
_TRANSIENT_CLASSES = frozenset(
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
    """Why an attempt failed, for a person and for the retry policy."""

    text: str
    """The client's text, of any length; it may contain an API key."""
    advice: str
    transient: bool
    """Whether another attempt may succeed."""
    wait: float = 0.0
    """Seconds to wait before the next attempt, as the server asks."""
    overflow: bool = False
    """Whether the request is longer than the model's context."""
    refused: bool = False
    """Whether the server rejected this form of request, so that another form may succeed."""
    down: bool = False
    """Whether the server seems down: a broken connection, no answer, or HTTP 5xx."""


class AttemptFailed(Exception):
    """One attempt failed. Private to tools.models: `complete` turns it into a ModelError."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


def fault_of(error: Exception) -> Fault:
    """Classify `error`, which a chat client raised."""
    if isinstance(error, AttemptFailed):
        return error.fault
    if _overflows(error):
        return Fault(
            text=_words(error),
            advice="the conversation is longer than the model's context; use fewer turns",
            transient=False,
            overflow=True,
        )
    status = _status(error)
    if status is not None:
        return Fault(
            text=f"HTTP {status}: {_words(error)}",
            advice=_advice(status),
            transient=_transient_status(status, error),
            wait=_retry_after(error),
            refused=status in _REFUSED_STATUS,
            down=status >= 500,
        )
    if any(kind.__name__ in _TRANSIENT_CLASSES for kind in type(error).__mro__):
        return Fault(
            text=_words(error),
            advice="check that the server runs and is reachable",
            transient=True,
            down=True,
        )
    return Fault(
        text=f"invalid answer ({type(error).__name__}: {_words(error)})",
        advice="check that the URL is that of an OpenAI-compatible chat API",
        transient=False,
    )


def silence(seconds: float) -> Fault:
    """Return the fault of an attempt that got no answer within `seconds`."""
    return Fault(
        text=f"no answer within {seconds:g} s",
        advice="check the server, or raise client.attempt_seconds and client.timeout_seconds",
        transient=True,
        down=True,
    )


def _status(error: Exception) -> int | None:
    """Return the HTTP status; a stream that broke off has it only in its body."""
    status = getattr(error, "status_code", None)
    if status is None and isinstance(body := getattr(error, "body", None), Mapping):
        status = body.get("code")
    return status if isinstance(status, int) and 300 <= status < 600 else None


def _transient_status(status: int, error: Exception) -> bool:
    if getattr(error, "code", None) == "insufficient_quota":
        return False
    return status in _TRANSIENT_STATUS or status >= 500


def _retry_after(error: Exception) -> float:
    headers = getattr(getattr(error, "response", None), "headers", {})
    try:
        return max(0.0, float(headers.get("retry-after", 0)))
    except ValueError:  # a date: use the ordinary backoff
        return 0.0


def _overflows(error: Exception) -> bool:
    """Whether `error` reports a context overflow; langchain recognises OpenAI's only."""
    if any(kind.__name__ == "ContextOverflowError" for kind in type(error).__mro__):
        return True
    text = str(error)
    return any(words in text for words in _OVERFLOW_WORDS)


def _advice(status: int) -> str:
    match status:
        case 401 | 403:
            return "check the API key and the variable that holds it"
        case 404:
            return "check the model's name and the URL, which usually ends in /v1"
        case 408 | 409 | 425 | 429:
            return "the server is busy or a quota is used up; resume the run later"
        case _ if status >= 500:
            return "the server failed; resume the run when it works again"
        case _ if status < 400:
            return "redirects are not followed; use the URL that the server redirects to"
        case _:
            return "the server refused the request; check the sampling settings"


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
