"""What can go wrong with one request to the fake of E2B."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.e2b_fake_http import Exchange


@dataclass(frozen=True)
class Refuse:
    """An error status with E2B's kind of body."""

    status: int


@dataclass(frozen=True)
class Silence:
    """No answer for as long as the client waits; a streamed cell sends its keepalives."""


@dataclass(frozen=True)
class Drop:
    """The line is cut after so many pieces of a stream, or before any answer."""

    after: int = 0


@dataclass(frozen=True)
class Die:
    """The sandbox dies after so many pieces of a stream."""

    after: int = 0


@dataclass(frozen=True)
class Unfinished:
    """The stream ends as it should, but after so many pieces, its last ones missing."""

    after: int = 0


Fault = Refuse | Silence | Drop | Die | Unfinished


class Stream:
    """A streamed answer that meets its fault on the way."""

    def __init__(self, exchange: Exchange, fault: Fault | None, die: Callable[[], None]) -> None:
        self._exchange = exchange
        self._fault = fault
        self._die = die
        self._sent = 0

    async def begin(self, kind: str) -> None:
        """Send the head."""
        await self._exchange.stream(kind)
        await self._meet()

    async def send(self, data: bytes) -> None:
        """Send one piece; raises ConnectionError where the fault says so."""
        await self._exchange.chunk(data)
        self._sent += 1
        await self._meet()

    async def end(self) -> None:
        """End the answer."""
        await self._exchange.end()

    async def _meet(self) -> None:
        match self._fault:
            case Drop(after) if self._sent >= after:
                self._exchange.drop()
            case Die(after) if self._sent >= after:
                self._die()
            case Unfinished(after) if self._sent >= after:
                await self._exchange.end()
            case _:
                return
        raise ConnectionAbortedError
