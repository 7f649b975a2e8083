"""Call a candidate with inputs in the sandbox, and read what it claims came back."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

from opencodeinterpreter.tools.benchmarks.inside import callee
from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.grading.inside import wire
from opencodeinterpreter.tools.grading.shipping import ship
from opencodeinterpreter.tools.sandbox.protocol import Sandbox

MODULES = (wire, callee)
"""What of ours runs in the sandbox; one that is opened with them need not be sent them."""
_RESULTS = 64 << 20
"""Bytes that all answers of one run may take."""
_AROUND = 80
"""Most characters of an answer beside its value."""
_ANSWER = 1 << 20
"""Bytes that one answer may take, where its caller names no other bound."""
_LISTEN_SECONDS = 0.03
"""How often it is looked at what a run has told."""
Kind = Literal["value", "error", "timeout"]
_KINDS = ("value", "error", "timeout")
_NUMBERS = re.compile(r"\[([0-9]{1,9}), ?(-?[0-9]{1,9}),").match


class Answer(NamedTuple):
    """What a candidate claims about one call."""

    kind: Kind
    seconds: float
    """Processor time."""
    value: Any
    """The value; else name, text and the candidate's own lines of the exception."""


class Answers:
    """What became of the calls of one set, as far as it was heard."""

    def __init__(self) -> None:
        self._lines: dict[int, str] = {}
        self.ended: Execution | None = None
        """How the process ended; `None` while it runs, and where it was ended by us."""
        self.started_at: float | None = None
        """When it was heard that the set has begun, by the monotonic clock."""

    def hear(self, number: int, line: str) -> None:
        """Take what was told of a call; only the first counts."""
        if number == callee.STARTED and self.started_at is None:
            self.started_at = time.monotonic()
        self._lines.setdefault(number, line)

    def __contains__(self, number: int) -> bool:
        """Whether anything was told of a call."""
        return number in self._lines

    @property
    def loading(self) -> Answer | None:
        """How loading the candidate went; `None` if nothing was heard of it."""
        return self.answer(callee.LOADING)

    def seconds_of(self, number: int, text: str) -> float | None:
        """Return the processor time of a call that gave the value whose text is `text`.

        `None` where it gave another one, or one that must be read to tell.
        """
        line = self._lines.get(number, "")
        if not len(text) < len(line) < len(text) + _AROUND:
            return None
        parts = line.split(",", 4)
        if len(parts) < 5 or parts[2] != '"value"' or parts[4] != f"{text}]":
            return None
        try:
            return float(parts[3])
        except ValueError:
            return None

    def answer(self, number: int, most: int = _ANSWER) -> Answer | None:
        """Return the answer to a call, `None` if there is none that can be read.

        `most` bounds its characters: longer ones are not even looked at.
        """
        line = self._lines.get(number, "")
        return _read(line) if 0 < len(line) <= most else None


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


async def call(
    sandbox: Sandbox,
    code: str,
    entry_point: str,
    sets: Sequence[CallSet],
    *,
    whole: int | None = None,
    as_set: bool = False,
    stop_early: bool = True,
    enough: Callable[[Sequence[Answers]], bool] = lambda heard: False,
) -> Sequence[Answers]:
    """Call `entry_point` of `code` as each of `sets` says, all in one process.

    State that the candidate keeps is seen by its later calls, those of other sets only where it
    keeps it outside of its own module. Long results come as a `wire.Long`, except that of the call
    `whole`. `as_set` passes results through `set` on the candidate's side; `stop_early` leaves out
    what comes after an exception in a set. `enough` is asked in a thread whenever more was heard;
    the run is ended once it says so, and when a set takes far more time than processor time.
    Raises SandboxError when the sandbox fails.
    """
    job = {
        "code": code,
        "entry_point": entry_point,
        "sets": [_told(each) for each in sets],
        "whole": whole,
        "as_set": as_set,
        "stop_early": stop_early,
    }
    total = sum(each.limits.total for each in sets)
    lines = [json.dumps(job), *(f"[{','.join(each.inputs)}]" for each in sets)]
    heard = _Heard(sets)
    running = asyncio.ensure_future(
        sandbox.run_code(
            await ship(sandbox, *MODULES),
            stdin="".join(f"{line}\n" for line in lines),
            limits=SandboxLimits(
                wall_seconds=callee.WALL * total,
                cpu_seconds=total,
                memory_mb=max(each.limits.memory_mb for each in sets),
                output_bytes=_RESULTS,
            ),
            on_stdout=heard.pieces.append,
        )
    )
    return await _listen(running, heard, enough)


def _told(calls: CallSet) -> dict[str, Any]:
    limits, each = calls.limits, list(calls.limits.each[: len(calls.inputs)])
    return {"each": each, "total": limits.total, "loading": min(limits.loading, limits.total)}


class _Heard:
    """What was heard of one run."""

    def __init__(self, sets: Sequence[CallSet]) -> None:
        self.pieces: list[str] = []
        """What was printed and not taken yet."""
        self.answers = [Answers() for _ in sets]
        self._totals = [each.limits.total for each in sets]
        self._rest = ""

    def take(self, enough: Callable[[Sequence[Answers]], bool]) -> bool:
        """Take what was printed since; return whether that is `enough`."""
        pieces, self.pieces[:] = self.pieces[:], []
        if not pieces:
            return False
        *lines, self._rest = (self._rest + "".join(pieces)).split("\n")
        for line in lines:
            if found := _NUMBERS(line):
                at, number = map(int, found.groups())
                for answers in self.answers[at : at + 1]:
                    answers.hear(number, line)
        return enough(self.answers)

    def overdue(self) -> bool:
        """Whether the set that began last should be over by now."""
        begun = [answers.started_at for answers in self.answers if answers.started_at is not None]
        # Before the first it may still wait for its turn.
        return (
            bool(begun)
            and time.monotonic() - begun[-1] > callee.WALL * self._totals[len(begun) - 1]
        )


async def _listen(
    running: asyncio.Future[Execution],
    heard: _Heard,
    enough: Callable[[Sequence[Answers]], bool],
) -> Sequence[Answers]:
    """Take what comes until the run has ended, or enough was heard, or a set takes too long."""
    try:
        while not running.done():
            await asyncio.wait((running,), timeout=_LISTEN_SECONDS)
            late = heard.overdue()
            if await asyncio.to_thread(heard.take, enough) or late:
                return heard.answers
        ended = running.result()
        await asyncio.to_thread(heard.take, enough)
    finally:
        running.cancel()
        await asyncio.wait((running,))
    # The answers are in place of the text.
    ended = ended.model_copy(update={"logs": ended.logs.model_copy(update={"stdout": ""})})
    for answers in heard.answers:
        answers.ended = ended
    return heard.answers


def as_texts(inputs: Sequence[Sequence[Any]]) -> list[str]:
    """Return the arguments of each call as text."""
    writer = wire.Writer()
    return [writer.text(list(arguments)) for arguments in inputs]


def _read(line: str) -> Answer | None:
    try:
        _, _, kind, seconds, value = wire.read(line)
    except (ValueError, TypeError):
        return None
    if kind not in _KINDS or type(seconds) is not float:
        return None
    if kind != "value" and not _is_failure(value):
        return None
    return Answer(cast(Kind, kind), seconds, value)


def _is_failure(value: Any) -> bool:
    return type(value) is list and [type(part) for part in value] == [str] * 3
