"""A breaker: an endpoint that is dead for one caller is dead for all of them."""

import time

from opencodeinterpreter.tools.models.faults import AttemptFailed, Fault

FAILURES = 8
"""Attempts in a row that must fail before an endpoint counts as dead."""
PATIENCE_SECONDS = 5.0
"""How long they must have failed: many callers meet a server's short rest all at once."""
REST_SECONDS = 15.0
"""How long a dead endpoint is left alone before one attempt tries it again."""


class Breaker:
    """Counts an endpoint's failures over all callers and answers for it while it is dead."""

    def __init__(
        self,
        failures: float = FAILURES,
        patience_seconds: float = PATIENCE_SECONDS,
        rest_seconds: float = REST_SECONDS,
    ) -> None:
        self._most = failures
        self._patience = patience_seconds
        self._rest = rest_seconds
        self._failed = 0
        self._last: Fault | None = None
        self._since = 0.0
        self._shut_until: float | None = None

    def check(self) -> None:
        """Raise AttemptFailed while the endpoint is dead; let one attempt through after a rest."""
        if self._last is None or self._shut_until is None:
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
            self._failed, self._last, self._shut_until = 0, None, None
            return
        now = time.monotonic()
        if self._last is None:
            self._since = now
        self._failed += 1
        self._last = fault
        if self._failed >= self._most and now - self._since >= self._patience:
            self._shut_until = now + self._rest
