"""Call a candidate with inputs in the sandbox, and read what it claims came back."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from opencodeinterpreter.tools.grading import callee, wire
from opencodeinterpreter.tools.grading.shipping import ship
from opencodeinterpreter.tools.sandbox.protocol import Execution, Sandbox, SandboxLimits

_RESULTS = 64 << 20
"""Bytes that all answers of one run may take."""
_ANSWER = 1 << 20
"""Bytes that one answer may take, where its caller names no other bound."""
_KINDS = ("value", "error", "timeout")


@dataclass(frozen=True)
class Answer:
    """What a candidate claims about one call."""

    kind: Literal["value", "error", "timeout"]
    seconds: float
    value: Any
    """The value; else name, text and the candidate's own lines of the exception."""


@dataclass(frozen=True)
class Answers:
    """What became of all calls of one run."""

    loading: Answer | None
    """How loading the candidate went; `None` if nothing was heard of it."""
    lines: Mapping[int, str]
    """The line told of each call; the first one stands."""
    ended: Execution
    """How the process ended."""

    def answer(self, number: int, most: int = _ANSWER) -> Answer | None:
        """Return the answer to a call, `None` if there is none that can be read.

        `most` bounds its characters: longer ones are not even looked at.
        """
        line = self.lines.get(number, "")
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
) -> Answers:
    """Call `entry_point` of `code` with each of `inputs`, arguments as text, in one process.

    State that the candidate keeps is seen by its later calls. Long results come as a `wire.Long`,
    except that of the call `whole`. `as_set` passes results through
    `set` on the candidate's side; `stop_early` leaves out what comes after an exception.
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
    ended = await sandbox.run_code(
        await asyncio.to_thread(ship, wire, callee),
        stdin=f"{json.dumps(job)}\n[{','.join(inputs)}]\n",
        limits=SandboxLimits(
            # Other work on the machine slows a run down, which is not its fault.
            wall_seconds=3 * limits.total,
            cpu_seconds=limits.total,
            memory_mb=limits.memory_mb,
            output_bytes=_RESULTS,
        ),
    )
    return await asyncio.to_thread(_answers, ended)


def as_texts(inputs: Sequence[Sequence[Any]]) -> list[str]:
    """Return the arguments of each call as text."""
    writer = wire.Writer()
    return [writer.text(list(arguments)) for arguments in inputs]


def _answers(ended: Execution) -> Answers:
    lines: dict[int, str] = {}
    for line in ended.logs.stdout.split("\n"):
        number, comma, _ = line[1:24].partition(",")
        if comma and number.lstrip("-").isdecimal():
            lines.setdefault(int(number), line)
    loading = _read(lines.get(callee.LOADING, ""))
    # The answers are read from the lines; the text is not needed twice.
    rest = ended.model_copy(update={"logs": ended.logs.model_copy(update={"stdout": ""})})
    return Answers(loading, lines, rest)


def _read(line: str) -> Answer | None:
    try:
        _, kind, seconds, value = wire.read(line)
    except (ValueError, TypeError):
        return None
    if kind not in _KINDS or type(seconds) is not float:
        return None
    if kind != "value" and not _is_failure(value):
        return None
    return Answer(cast(Literal["value", "error", "timeout"], kind), seconds, value)


def _is_failure(value: Any) -> bool:
    return type(value) is list and [type(part) for part in value] == [str] * 3
