"""The host's end of the examiner, which compares a candidate's outputs with right ones.

It is our code in a sandboxed process of its own; one sample's never serves another. The host passes
it text of bounded length and reads one character a comparison.
"""

import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import NamedTuple

from opencodeinterpreter.tools.benchmarks.inside import comparer, evalplus_rules
from opencodeinterpreter.tools.benchmarks.inside.evalplus_rules import Rule
from opencodeinterpreter.tools.errors import InputError, SandboxError
from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.grading.boundary import how_it_ended
from opencodeinterpreter.tools.grading.inside import wire
from opencodeinterpreter.tools.grading.shipping import AGAIN, ship
from opencodeinterpreter.tools.sandbox.protocol import Context, ContextSandbox

MODULES = (wire, evalplus_rules, comparer)
"""Our modules that run in the sandbox; a sandbox opened with them has them loaded."""
_PIECE = 1 << 20
"""Characters that are passed on at once; passing on more would hold up everything else."""
_SECONDS = 10.0
"""Processor time that the comparisons passed on at once may take."""
_WALL = 3.0
"""Wall time of the same, as a multiple."""
_ALL_SECONDS = 60.0
"""Wall time that all comparisons of a sample may take."""
_MEMORY = 1024
"""MiB."""
_CONTEXT = SandboxLimits(cpu_seconds=2 * _ALL_SECONDS, memory_mb=2048)
"""What the context is made for: the same as most candidates, whose ready processes then fit."""


class Question(NamedTuple):
    """An output to be compared, all as text."""

    arguments: str
    expected: str
    output: str
    atol: float
    """Absolute tolerance."""

    @property
    def size(self) -> int:
        """Characters."""
        return len(self.arguments) + len(self.expected) + len(self.output)

    @property
    def lines(self) -> Sequence[str]:
        """The lines that the examiner reads."""
        return repr(self.atol), self.arguments, self.expected, self.output


class Found(NamedTuple):
    """What became of a comparison."""

    right: bool | None
    """`None` where only the whole values can tell."""
    reason: str = ""
    """Why it came to no end; empty where it did."""


_FOUND = {
    comparer.RIGHT: Found(right=True),
    comparer.WRONG: Found(right=False),
    comparer.LONG: Found(right=None),
}


class Examiner:
    """Compares outputs of one candidate. Its process is started when it is first needed.

    What exhausts it is a wrong output; the next one has a new process.
    """

    def __init__(self, sandbox: ContextSandbox, rule: Rule) -> None:
        self._sandbox = sandbox
        self._rule = rule
        self._context: Context | None = None
        self._held = AsyncExitStack()
        self._left = _ALL_SECONDS

    async def __aenter__(self) -> "Examiner":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    async def compare(self, questions: Sequence[Question]) -> list[Found]:
        """Return what became of each comparison; raises SandboxError, InputError without numpy."""
        found: list[Found] = []
        while len(found) < len(questions):
            batch = _batch(questions[len(found) :])
            told, problem = await self._do(
                "compare", [line for each in batch for line in each.lines]
            )
            found += [_FOUND[mark] for mark in told[: len(batch)]]
            if len(told) < len(batch):
                found.append(Found(right=False, reason=problem))
        return found

    async def compare_held(self, question: Question) -> Found:
        """Compare values that were handed over by `hold`; raises SandboxError.

        Only arguments and tolerance of the question count.
        """
        told, problem = await self._do("compare held", question.lines[:2])
        return _FOUND[told[0]] if told else Found(right=False, reason=problem)

    async def hold(self, which: str, text: str) -> None:
        """Hand over a long value, the `output` or the `expected` one; raises SandboxError."""
        for start in range(0, len(text), _PIECE):
            await self._do("hold", [which, text[start : start + _PIECE]])

    async def describe(self, right: Sequence[Question]) -> tuple[list[bool], list[bool]]:
        """Return whether what has the same text is right, and is floats, for each right output.

        Raises SandboxError, and InputError without numpy.
        """
        marks = ""
        while len(marks) < 2 * len(right):
            batch = _batch(right[len(marks) // 2 :])
            told, problem = await self._do(
                "describe", [line for each in batch for line in each.lines]
            )
            if problem:
                raise SandboxError(f"the right outputs could not be read: {problem}")
            marks += told
        told_right = [mark == comparer.RIGHT for mark in marks]
        return told_right[::2], told_right[1::2]

    async def _do(self, task: str, lines: Sequence[str]) -> tuple[str, str]:
        """Do a task; return the verdicts, and why some are missing."""
        head = {"task": task, "family": self._rule.family, "entry_point": self._rule.entry_point}
        message = "\n".join([json.dumps(head), *lines])
        for _ in range(2):
            if self._left <= 0:
                return "", f"comparing its outputs took more than {_ALL_SECONDS:g} s"
            ended = await self._cell(message)
            ready, told = ended.logs.stdout[:1], ended.logs.stdout[1:]
            if ready == comparer.NO_NUMPY:
                raise InputError(
                    "grading benchmarks needs numpy: pip install 'opencodeinterpreter[eval]'"
                )
            if ended.status == "ok" and ready:
                return told, ""
            await self._end()
            if ready:
                return told, _problem(ended)
            # It went away between two cells, which says nothing about these outputs.
        raise SandboxError(f"the process that compares outputs did not start: {_problem(ended)}")

    async def _cell(self, message: str) -> Execution:
        program = AGAIN
        if self._context is None:
            program = await ship(self._sandbox, *MODULES)
            await self._held.enter_async_context(self._sandbox.reserve(1))
            self._context = await self._sandbox.create_context(limits=_CONTEXT)
        ended = await self._sandbox.run_code(
            program,
            stdin=message,
            limits=SandboxLimits(
                wall_seconds=min(_WALL * _SECONDS, self._left),
                cpu_seconds=_SECONDS,
                memory_mb=_MEMORY,
                output_bytes=_PIECE,
            ),
            context=self._context,
        )
        self._left -= ended.seconds
        return ended

    async def _end(self) -> None:
        """End the process, if there is one."""
        context, self._context = self._context, None
        if context is not None:
            await self._sandbox.remove_context(context)
        await self._held.aclose()


def _batch(questions: Sequence[Question]) -> Sequence[Question]:
    """Return the first questions that can be passed on at once, at least one."""
    size = 0
    for count, each in enumerate(questions):
        size += each.size
        if count and size > _PIECE:
            return questions[:count]
    return questions


def _problem(ended: Execution) -> str:
    if ended.status == "timeout":
        return f"comparing the output took more than {_SECONDS:g} s"
    if ended.reason == "memory" or (ended.error and ended.error.name == "MemoryError"):
        return f"comparing the output took more than {_MEMORY} MiB"
    return f"the output could not be compared: {how_it_ended(ended)}"
