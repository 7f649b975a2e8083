"""SIGTERM: end a run after the node that is running, or the work on many runs at once."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Terminated(Exception):
    """The process was asked to end, and its work has stopped."""


@contextmanager
def terminating() -> Iterator[Callable[[], None]]:
    """Yield a check to be called after each node, which raises Terminated after a SIGTERM."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, asked.set)

    def check() -> None:
        if asked.is_set():
            raise Terminated

    try:
        yield check
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


@contextmanager
def cancelled_by_sigterm() -> Iterator[None]:
    """Cancel what the current task does in the block at a SIGTERM; then raise Terminated."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    asked = asyncio.Event()

    def cancel() -> None:
        if not asked.is_set():
            asked.set()
            task.cancel()

    loop.add_signal_handler(signal.SIGTERM, cancel)
    try:
        yield
    except asyncio.CancelledError:
        if asked.is_set():
            task.uncancel()
            raise Terminated from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
