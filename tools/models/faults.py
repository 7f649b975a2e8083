"""Classifies a failed attempt: whether to retry, how long to wait, what to advise.

Providers' clients raise classes of their own, which cannot be imported here: they are heavy, and
not all are installed. So the HTTP status, the response headers and the names of base classes are
read, which all of them have.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from opencodeinterpreter.tools.models.network import connection_failure
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
_STATUS_OF_WORDS = (
    (("quota", "rate_limit", "ratelimit", "too_many", "too many"), 429),
    (("overloaded", "unavailable", "capacity"), 503),
    (("timeout", "timed out"), 504),
    (("server_error", "servererror", "internal"), 500),
)
"""What an error object without a status says in its code or type, and the status it means."""
_ROLES = re.compile(
    r"\bsystem (?:role|message|prompt|instruction)|roles must alternate"
    r"|\broles?\b.{0,60}\b(?:not (?:supported|allowed)|unsupported|invalid|unknown)"
    r"|(?:only|unsupported|invalid|unknown|unexpected).{0,60}\brole",
    re.IGNORECASE | re.DOTALL,
)
"""How servers and chat templates refuse the roles of a conversation."""


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
    roles: bool = False
    """Whether the server rejected the roles of the messages, as templates without system do."""
    down: bool = False
    """Whether the server seems down: a broken connection, no answer, or HTTP 5xx."""


class AttemptFailed(Exception):
    """One attempt failed. Private to tools.models: `complete` turns it into a ModelError."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


class ErrorAnswerError(Exception):
    """A server answered with an error object where an answer was due, under HTTP 200.

    Private to tools.models, as all that chat clients raise.
    """

    def __init__(self, body: Mapping[str, Any]) -> None:
        super().__init__(str(body.get("message") or body))
        self.body = body


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
            roles=_ROLES.search(_words(error)) is not None,
            down=status >= 500,
        )
    if any(kind.__name__ in _TRANSIENT_CLASSES for kind in type(error).__mro__):
        return Fault(
            text=connection_failure(error) or _words(error),
            advice="check that the server runs and is reachable",
            transient=True,
            down=True,
        )
    if isinstance(error, ErrorAnswerError):
        return Fault(
            text=f"the server answered with an error: {_words(error)}",
            advice="check the server",
            transient=False,
            roles=_ROLES.search(_words(error)) is not None,
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


def broken_off() -> Fault:
    """Return the fault of an answer that the server did not end."""
    return Fault(
        text="the answer broke off", advice="check the server and the network", transient=True
    )


def _status(error: Exception) -> int | None:
    """Return the HTTP status; an error inside an answer or a stream has it only in its body."""
    status = getattr(error, "status_code", None)
    if status is None and isinstance(body := getattr(error, "body", None), Mapping):
        status = _status_in(body)
    return status if isinstance(status, int) and 300 <= status < 600 else None


def _status_in(body: Mapping[str, Any]) -> int | None:
    told = [body.get(name) for name in ("code", "status", "status_code", "type")]
    for value in told:
        if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()):
            return int(value)
    words = " ".join(value for value in told if isinstance(value, str)).lower()
    found = (status for names, status in _STATUS_OF_WORDS if any(name in words for name in names))
    return next(found, None)


def _transient_status(status: int, error: Exception) -> bool:
    body = getattr(error, "body", None)
    codes = [getattr(error, "code", None), body.get("code") if isinstance(body, Mapping) else None]
    if "insufficient_quota" in codes:
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
