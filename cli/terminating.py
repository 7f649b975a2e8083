"""SIGTERM: the node that is running is finished and stored, then the run stops."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Terminated(Exception):
    """The process was asked to end, and the node that was running has ended."""


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
