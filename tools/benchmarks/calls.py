"""Call a candidate with inputs in the sandbox, and read what it claims to have returned.

Claims are text of bounded length. Nothing here parses their values.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

from opencodeinterpreter.tools.benchmarks.inside import callee
from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.grading.inside import wire
from opencodeinterpreter.tools.grading.shipping import ship
from opencodeinterpreter.tools.sandbox.protocol import RunExtras, Sandbox

MODULES = (wire, callee)
"""Our modules that run in the sandbox; a sandbox opened with them has them loaded."""
_AROUND = 80
"""The most characters of a claim, apart from its value."""
_SPARE_LINES = 1000
"""Reading stops after so many lines more than an honest process writes."""
_LOOK_SECONDS = 0.03
"""The seconds between two checks whether a set takes too long."""
Kind = Literal["value", "error", "timeout"]
_HEAD = re.compile(
    r'\[([0-9]{1,2}), ?(-?[0-9]{1,9}), ?"(value|error|timeout)", ?([0-9][0-9.e+-]{0,30}), ?'
).match


class Claim(NamedTuple):
    """What a candidate claims about one call, its loading (-1) or the start of a set (-2)."""

    at: int
    """The set's place."""
    number: int
    kind: Kind
    seconds: float
    """Processor time."""
    text: str
    """Of the value, cut if it is too long; or name, text and own lines of the exception."""


Hear = Callable[[Claim], bool]
"""Takes a claim; returns whether no more are needed."""


@dataclass(frozen=True)
class CallLimits:
    """How long calls may take, in seconds of processor time."""

    each: Sequence[float]
    """For each call."""
    total: float
    """For the whole set."""
    loading: float = 10.0
    memory_mb: int = 2048
    """Resident memory in MiB."""


@dataclass(frozen=True)
class CallSet:
    """Calls for which a candidate is loaded once."""

    inputs: Sequence[str]
    """The arguments of each, as text."""
    limits: CallLimits


@dataclass(frozen=True)
class CalledProgram:
    """A candidate, and how it is to be called."""

    code: str
    entry_point: str
    shape: str = "as it is"
    """How a value is reported; see `callee.SHAPES`."""
    stop_early: bool = True
    """Whether a set ends at its first exception."""
    whole: int | None = None
    """The call whose value is reported whole; other long values become a `wire.Long`."""
    longest: int = 1 << 20
    """The most characters of a value that are read."""
    output_bytes: int = 16 << 20
    """The most bytes of all values together that are read."""


async def call(
    sandbox: Sandbox, program: CalledProgram, sets: Sequence[CallSet], hear: Hear
) -> Execution | None:
    """Call a candidate as each of `sets` says, all in one process; return how that ended.

    Later calls of a set see the state that the candidate keeps; other sets see it only if it is
    outside its own module. `hear` gets each claim as it arrives, and must be quick. The run is
    ended, and `None` returned, if `hear` needs no more, if the candidate writes more than it can
    have to say, or if a set takes far more time than processor time. Raises SandboxError.
    """
    heard = _Heard(sets, program.longest, hear)
    running = asyncio.ensure_future(
        sandbox.run_code(
            await ship(sandbox, *MODULES),
            stdin=_request(program, sets),
            limits=_limits(program, sets),
            extras=RunExtras(on_stdout=heard.take),
        )
    )
    try:
        while not (running.done() or heard.enough.done() or heard.overdue()):
            await asyncio.wait(
                (running, heard.enough),
                timeout=_LOOK_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
        return running.result() if running.done() else None
    finally:
        running.cancel()
        await asyncio.wait((running,))


def _request(program: CalledProgram, sets: Sequence[CallSet]) -> str:
    job = {
        "code": program.code,
        "entry_point": program.entry_point,
        "sets": [_told(each) for each in sets],
        "whole": program.whole,
        "shape": program.shape,
        "stop_early": program.stop_early,
    }
    lines = [json.dumps(job), *(f"[{','.join(each.inputs)}]" for each in sets)]
    return "".join(f"{line}\n" for line in lines)


def _told(calls: CallSet) -> dict[str, Any]:
    limits, each = calls.limits, list(calls.limits.each[: len(calls.inputs)])
    return {"each": each, "total": limits.total, "loading": min(limits.loading, limits.total)}


def _limits(program: CalledProgram, sets: Sequence[CallSet]) -> SandboxLimits:
    total = sum(each.limits.total for each in sets)
    return SandboxLimits(
        wall_seconds=callee.WALL * total,
        cpu_seconds=total,
        memory_mb=max(each.limits.memory_mb for each in sets),
        output_bytes=program.output_bytes,
    )


class _Heard:
    """What is heard of one run."""

    def __init__(self, sets: Sequence[CallSet], longest: int, hear: Hear) -> None:
        self.enough: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the run can be ended."""
        self._hear = hear
        self._lines = _Lines(longest + _AROUND)
        self._counts = [len(each.inputs) for each in sets]
        self._totals = [each.limits.total for each in sets]
        self._begun: dict[int, float] = {}
        # A line may come twice, where a look at the time interrupts the writing.
        self._lines_left = _SPARE_LINES + 2 * sum(self._counts)

    def take(self, piece: str) -> None:
        """Take what was printed."""
        for line in self._lines.take(piece):
            if self.enough.done():
                return
            self._lines_left -= 1
            claim = _claim(line, self._counts)
            if claim and claim.number == callee.STARTED:
                self._begun.setdefault(claim.at, time.monotonic())
            if self._lines_left < 0 or (claim and self._hear(claim)):
                self.enough.set_result(None)

    def overdue(self) -> bool:
        """Return whether the set that began last should be over by now."""
        if not self._begun:
            # It may still wait for its turn.
            return False
        at, began = next(reversed(self._begun.items()))
        return time.monotonic() - began > callee.WALL * self._totals[at]


class _Lines:
    """Splits text that comes in pieces into lines, of which it keeps the first characters.

    A line with characters that JSON is not written with becomes an empty one.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._parts: list[str] = []
        self._size = 0
        self._plain = True

    def take(self, piece: str) -> Iterator[str]:
        """Add a piece; yield the lines that are complete."""
        *ends, rest = piece.split("\n")
        for end in ends:
            self._keep(end)
            line = "".join(self._parts)
            self._parts.clear()
            self._size, self._plain = 0, True
            yield line
        self._keep(rest)

    def _keep(self, part: str) -> None:
        if not self._plain or self._size >= self._most:
            return
        self._plain = part.isascii() and part.isprintable()
        if not self._plain:
            self._parts.clear()
            return
        self._parts.append(part[: self._most - self._size])
        self._size += len(part)


def _claim(line: str, counts: Sequence[int]) -> Claim | None:
    """Return what a line claims; `None` if it is about no call of the `counts` of each set."""
    head = _HEAD(line)
    if head is None:
        return None
    at, number, kind, seconds = head.groups()
    if int(at) >= len(counts) or not callee.STARTED <= int(number) < counts[int(at)]:
        return None
    try:
        took = float(seconds)
    except ValueError:
        return None
    text = line[head.end() : -1] if line.endswith("]") else line[head.end() :]
    return Claim(int(at), int(number), cast(Kind, kind), took, text)


def as_texts(inputs: Sequence[Sequence[Any]]) -> list[str]:
    """Return the arguments of each call as text."""
    writer = wire.Writer()
    return [writer.text(list(arguments)) for arguments in inputs]
