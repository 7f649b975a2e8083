"""Call a candidate with inputs in the sandbox, and read what it claims came back."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

from opencodeinterpreter.tools.grading import callee, wire
from opencodeinterpreter.tools.grading.shipping import ship
from opencodeinterpreter.tools.sandbox.protocol import Execution, Sandbox, SandboxLimits

_RESULTS = 64 << 20
"""Bytes that all answers of one run may take."""
_ANSWER = 1 << 20
"""Bytes that one answer may take, where its caller names no other bound."""
_LISTEN_SECONDS = 0.03
"""How often it is looked at what a run has told."""
Kind = Literal["value", "error", "timeout"]
_KINDS = ("value", "error", "timeout")


class Answer(NamedTuple):
    """What a candidate claims about one call."""

    kind: Kind
    seconds: float
    """Processor time."""
    value: Any
    """The value; else name, text and the candidate's own lines of the exception."""


class Answers:
    """What became of the calls of one run, as far as it was heard."""

    def __init__(self) -> None:
        self._lines: dict[int, str] = {}
        self._rest = ""
        self.ended: Execution | None = None
        """How the process ended; `None` while it runs, and where it was ended by us."""

    def take(self, text: str) -> None:
        """Take a piece of what the run told; what it told first of a call stands."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            number, comma, _ = line[1:24].partition(",")
            if comma and number.lstrip("-").isdecimal():
                self._lines.setdefault(int(number), line)

    def __contains__(self, number: int) -> bool:
        """Whether anything was told of a call."""
        return number in self._lines

    @property
    def loading(self) -> Answer | None:
        """How loading the candidate went; `None` if nothing was heard of it."""
        return self.answer(callee.LOADING)

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
    """For the whole run."""
    loading: float = 10.0
    memory_mb: int = 2048
    """Resident memory in MiB."""


async def call(
    sandbox: Sandbox,
    code: str,
    entry_point: str,
    inputs: Sequence[str],
    limits: CallLimits,
    *,
    whole: int | None = None,
    as_set: bool = False,
    stop_early: bool = True,
    enough: Callable[[Answers], bool] = lambda answers: False,
) -> Answers:
    """Call `entry_point` of `code` with each of `inputs`, arguments as text, in one process.

    State that the candidate keeps is seen by its later calls. Long results come as a `wire.Long`,
    except that of the call `whole`. `as_set` passes results through
    `set` on the candidate's side; `stop_early` leaves out what comes after an exception.
    `enough` is asked in a thread whenever more was heard; the run is ended once it says so.
    Raises SandboxError when the sandbox fails.
    """
    job = {
        "code": code,
        "entry_point": entry_point,
        "seconds": list(limits.each[: len(inputs)]),
        "load_seconds": min(limits.loading, limits.total),
        "whole": whole,
        "as_set": as_set,
        "stop_early": stop_early,
    }
    pieces: list[str] = []
    running = asyncio.ensure_future(
        sandbox.run_code(
            await ship(wire, callee),
            stdin=f"{json.dumps(job)}\n[{','.join(inputs)}]\n",
            limits=SandboxLimits(
                # Other work on the machine slows a run down, which is not its fault.
                wall_seconds=3 * limits.total,
                cpu_seconds=limits.total,
                memory_mb=limits.memory_mb,
                output_bytes=_RESULTS,
            ),
            on_stdout=pieces.append,
        )
    )
    return await _listen(running, pieces, enough)


async def _listen(
    running: asyncio.Future[Execution], pieces: list[str], enough: Callable[[Answers], bool]
) -> Answers:
    """Take `pieces` as they come until the run has ended or `enough` was heard."""
    answers = Answers()

    def hear(text: str) -> bool:
        answers.take(text)
        return enough(answers)

    try:
        while not running.done():
            await asyncio.wait((running,), timeout=_LISTEN_SECONDS)
            text = "".join(pieces)
            pieces.clear()
            if not text:
                continue
            if await asyncio.to_thread(hear, text):
                return answers
        ended = running.result()
        if pieces:
            await asyncio.to_thread(hear, "".join(pieces))
    finally:
        running.cancel()
        await asyncio.wait((running,))
    # The answers are in place of the text.
    answers.ended = ended.model_copy(update={"logs": ended.logs.model_copy(update={"stdout": ""})})
    return answers


def as_texts(inputs: Sequence[Sequence[Any]]) -> list[str]:
    """Return the arguments of each call as text."""
    writer = wire.Writer()
    return [writer.text(list(arguments)) for arguments in inputs]


def _read(line: str) -> Answer | None:
    try:
        _, kind, seconds, value = wire.read(line)
    except (ValueError, TypeError):
        return None
    if kind not in _KINDS or type(seconds) is not float:
        return None
    if kind != "value" and not _is_failure(value):
        return None
    return Answer(cast(Kind, kind), seconds, value)


def _is_failure(value: Any) -> bool:
    return type(value) is list and [type(part) for part in value] == [str] * 3
