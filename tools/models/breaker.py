"""A breaker: an endpoint that is dead for one caller is dead for all of them."""

import time

from opencodeinterpreter.tools.models.faults import AttemptFailed, Fault

FAILURES = 8
"""Attempts in a row that must fail before an endpoint counts as dead.

More than one call makes, so that a call alone always has all its attempts.
"""
REST_SECONDS = 15.0
"""How long a dead endpoint is left alone before one attempt tries it again."""


class Breaker:
    """Counts an endpoint's failures over all callers and answers for it while it is dead."""

    def __init__(self, failures: int = FAILURES, rest_seconds: float = REST_SECONDS) -> None:
        self._most = failures
        self._rest = rest_seconds
        self._failed = 0
        self._last: Fault | None = None
        self._shut_until = 0.0

    def check(self) -> None:
        """Raise AttemptFailed while the endpoint is dead; let one attempt through after a rest."""
        if self._last is None or self._failed < self._most:
            return
        now = time.monotonic()
        if now >= self._shut_until:
            self._shut_until = now + self._rest
            return
        raise AttemptFailed(
            Fault(
                text=f"the server is dead: {self._failed} attempts in a row failed, "
                f"the last with {self._last.text}",
                advice=self._last.advice,
                passing=False,
            )
        )

    def note(self, fault: Fault | None) -> None:
        """Take in how an attempt went; only faults of the endpoint itself count."""
        if fault is None or not fault.dead:
            self._failed, self._last = 0, None
            return
        self._failed += 1
        self._last = fault
        if self._failed >= self._most:
            self._shut_until = time.monotonic() + self._rest
