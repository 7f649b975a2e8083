"""Runs in the sandbox, in the examiner: the threads of the tests take turns with the candidate.

The candidate does one request at a time. While it waits for code of the tests that it called, it
does the requests of other threads; they must end before that code's answer is sent.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Who may send to the candidate at present."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._owner = 0
        """The thread whose request the candidate does; 0 if it waits."""
        self._called: list[object] = []
        """The calls of the tests' code for which the candidate waits, the innermost last."""

    @contextmanager
    def own(self) -> Iterator[None]:
        """Hold the candidate for a request."""
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: self._owner in (0, me))
            before, self._owner = self._owner, me
        try:
            yield
        finally:
            self._give(before)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let other threads have the candidate while it waits for code of the tests."""
        me, call = threading.get_ident(), object()
        self._called.append(call)
        self._give(0)
        try:
            yield
        finally:
            with self._changed:
                self._changed.wait_for(lambda: not self._owner and self._called[-1] is call)
                self._called.pop()
                self._owner = me

    def _give(self, owner: int) -> None:
        with self._changed:
            self._owner = owner
            self._changed.notify_all()
