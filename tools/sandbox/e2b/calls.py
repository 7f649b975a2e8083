"""Call E2B through `ask`, which adds a deadline and converts errors to ours.

The SDK raises its own errors and those of three HTTP libraries.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from opencodeinterpreter.tools.errors import SandboxError

T = TypeVar("T")
Handle = Any
"""A running sandbox: the SDK's `AsyncSandbox`, which has no type information."""
_REFUSED = range(400, 500)
_PASSING = (408, 409, 425, 429)
"""HTTP statuses that may succeed when tried again."""


class E2BTransientError(SandboxError):
    """The sandbox is gone, or E2B is busy or unreachable; another attempt may succeed."""


async def ask(doing: str, call: Awaitable[T], seconds: float) -> T:
    """Await one SDK call for at most `seconds`; `doing` names it in errors.

    Raises E2BTransientError if another attempt may succeed, else SandboxError.
    """
    task = asyncio.current_task()
    assert task
    cancelled = task.cancelling()
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            value = await call
    except Exception as error:
        # The SDK may turn a cancellation into an error or a result.
        if task.cancelling() > cancelled:
            raise asyncio.CancelledError from error
        cause = TimeoutError() if deadline.expired() else error
        raise told(doing, cause, seconds) from cause
    if task.cancelling() > cancelled:
        raise asyncio.CancelledError
    return value


def told(doing: str, error: Exception, seconds: float) -> SandboxError:
    """Return our error for an exception of the SDK."""
    from e2b import AuthenticationException, InvalidArgumentException, RateLimitException

    if isinstance(error, SandboxError):
        return error
    if isinstance(error, TimeoutError):
        return E2BTransientError(f"E2B did not {doing} within {seconds:g} s")
    said = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, AuthenticationException):
        return SandboxError(f"E2B refused to {doing}: {said}; check that the API key is valid")
    if isinstance(error, RateLimitException):
        return E2BTransientError(
            f"E2B refused to {doing}: {said}; the account's limit is reached: lower `concurrency` "
            "or `creations_per_second`, or end sandboxes that other programs left running"
        )
    if isinstance(error, TypeError | AttributeError | NameError):
        return SandboxError(
            f"E2B's SDK could not {doing}: {said}; install a version that the extra `e2b` allows"
        )
    if isinstance(error, InvalidArgumentException) or _final(error):
        return SandboxError(f"E2B refused to {doing}: {said}")
    return E2BTransientError(f"E2B failed to {doing}: {said}")


def _final(error: Exception) -> bool:
    status = getattr(error, "status_code", None)
    return status in _REFUSED and status not in _PASSING
