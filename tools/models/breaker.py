"""A circuit breaker: stops all callers from waiting for an endpoint that is down."""

import time

from opencodeinterpreter.tools.models.faults import AttemptFailed, Fault

FAILURES = 8
"""Consecutive failed attempts after which an endpoint may count as down."""
PATIENCE_SECONDS = 5.0
"""How long the failures must last: many callers can fail at once during a short outage."""
REST_SECONDS = 15.0
"""How long an endpoint that is down gets no requests before one attempt tries it again."""


class Breaker:
    """Counts an endpoint's failures over all callers and fails at once while it is down."""

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
        """Raise AttemptFailed while the endpoint is down; after a rest, let one attempt through."""
        if self._last is None or self._shut_until is None:
            return
        now = time.monotonic()
        if now >= self._shut_until:
            self._shut_until = now + self._rest
            return
        raise AttemptFailed(
            Fault(
                text=f"the server is down: {self._failed} attempts in a row failed, "
                f"the last with {self._last.text}",
                advice=self._last.advice,
                transient=False,
            )
        )

    def note(self, fault: Fault | None) -> None:
        """Record the result of an attempt (`None`: success); only faults of the endpoint count."""
        if fault is None or not fault.down:
            self._failed, self._last, self._shut_until = 0, None, None
            return
        now = time.monotonic()
        if self._last is None:
            self._since = now
        self._failed += 1
        self._last = fault
        if self._failed >= self._most and now - self._since >= self._patience:
            self._shut_until = now + self._rest
