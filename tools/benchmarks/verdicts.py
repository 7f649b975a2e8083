"""Grade one solution of an input task: inputs go in, claims come out and are compared here."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from opencodeinterpreter.tools.benchmarks.tasks import InputTask
from opencodeinterpreter.tools.benchmarks.truth import Expected, Truth, as_set, family
from opencodeinterpreter.tools.grading.calls import Answers, CallLimits, call
from opencodeinterpreter.tools.grading.comparing import Comparison
from opencodeinterpreter.tools.grading.wire import Long
from opencodeinterpreter.tools.sandbox.protocol import Sandbox

SetStatus = Literal["pass", "fail", "timeout"]
_LEAST_SECONDS = 1.0
_FACTOR = 4.0
_MOST_SECONDS = 60.0
_EXTRA_SECONDS = 1.0
_WORTH_A_TRIAL = 0.05
"""Seconds of the reference from which a first part of the inputs is tried alone."""
_TRIAL = 0.1
_ROOM = 65_536
"""Characters that an answer may have beyond what a right one can need."""
_WHOLE = 32 << 20
"""Characters that an answer may have where it is asked for whole."""


@dataclass(frozen=True)
class SetVerdict:
    """What became of one set of inputs."""

    status: SetStatus
    """`timeout` also where the process ended before its answers were complete, as in EvalPlus."""
    right: Sequence[bool]
    """For each input that was answered; it ends with the first wrong one where that ends all."""


async def grade_solution(
    sandbox: Sandbox, task: InputTask, truth: Truth, code: str, *, stop_early: bool = True
) -> tuple[SetVerdict, SetVerdict]:
    """Grade `code` on the base inputs and, in another process, on the plus inputs.

    With `stop_early` the first wrong answer decides and nothing more is looked at. Raises
    SandboxError.
    """
    base = await _Grading(sandbox, task, truth.base, code, stop_early).verdict()
    plus = await _Grading(sandbox, task, truth.plus, code, stop_early).verdict()
    return base, plus


class _Grading:
    """The grading of one solution on one set of inputs."""

    def __init__(
        self, sandbox: Sandbox, task: InputTask, expected: Expected, code: str, stop_early: bool
    ) -> None:
        self._sandbox = sandbox
        self._task = task
        self._expected = expected
        self._code = code
        self._stop_early = stop_early
        each = [max(_LEAST_SECONDS, _FACTOR * seconds) for seconds in expected.seconds]
        extra = _EXTRA_SECONDS if stop_early else 2 * _EXTRA_SECONDS
        self._limits = CallLimits(each, min(_MOST_SECONDS, sum(each)) + extra)

    async def verdict(self) -> SetVerdict:
        """Grade; raises SandboxError."""
        count = len(self._expected.seconds)
        trial = _trial(self._expected.seconds) if self._stop_early else 0
        if trial:
            tried = await self._graded(trial)
            if tried.status != "pass":
                return tried
        return await self._graded(count)

    async def _graded(self, count: int) -> SetVerdict:
        """Grade the first `count` inputs in one process."""
        answers = await self._call(self._code, count)
        if answers.loading is None or answers.loading.kind == "timeout":
            return SetVerdict("timeout", ())
        if answers.loading.kind == "error":
            return SetVerdict("fail", ())
        comparing = _Comparing(self._task, self._expected, answers, count, self._stop_early)
        while True:
            number = await asyncio.to_thread(comparing.go_on)
            if number is None:
                return comparing.verdict()
            comparing.whole = await self._whole(number)

    async def _whole(self, number: int) -> tuple[Any, Any]:
        """Return output and expected output of a call whose results are too long to send."""
        given = await self._call(self._code, number + 1, whole=number)
        right = await self._call(self._task.reference, number + 1, whole=number)
        values = []
        for answers in (given, right):
            answer = await asyncio.to_thread(answers.answer, number, _WHOLE)
            values.append(answer.value if answer and answer.kind == "value" else answer)
        return values[0], values[1]

    async def _call(self, code: str, count: int, *, whole: int | None = None) -> Answers:
        return await call(
            self._sandbox,
            code,
            self._task.entry_point,
            self._expected.inputs[:count],
            self._limits,
            whole=whole,
            as_set=as_set(self._task),
            stop_early=self._stop_early,
        )


def _trial(seconds: Sequence[float]) -> int:
    """Return how many inputs to try before all of them, 0 for none.

    A candidate can't be stopped at its first wrong answer, since it doesn't know which is wrong;
    so where the inputs take long, most of those that fail are found out by a tenth of them.
    """
    total, taken = sum(seconds), 0.0
    if total > _WORTH_A_TRIAL:
        for number, each in enumerate(seconds):
            taken += each
            if taken > _TRIAL * total:
                return number
    return 0


class _Comparing:
    """Walks through the answers of one run; stops where it needs a long value."""

    def __init__(
        self, task: InputTask, expected: Expected, answers: Answers, count: int, stop_early: bool
    ) -> None:
        self._expected = expected
        self._answers = answers
        self._count = count
        self._stop_early = stop_early
        self._comparison = Comparison(family(task), task.entry_point, task.atol)
        self._right: list[bool] = []
        self._broken_off = False
        self.whole: tuple[Any, Any] | None = None
        """Output and expected output of the call that `go_on` asked for."""

    def go_on(self) -> int | None:
        """Compare what can be; return the call whose values are needed whole, `None` at the end."""
        while len(self._right) < self._count:
            number = len(self._right)
            if number not in self._answers.lines:
                self._broken_off = True
                return None
            right = self._is_right(number)
            if right is None:
                return number
            self._right.append(right)
            if self._stop_early and not right:
                return None
        return None

    def verdict(self) -> SetVerdict:
        """Return the verdict once there is nothing more to compare."""
        if self._broken_off:
            return SetVerdict("timeout", self._right)
        return SetVerdict("pass" if all(self._right) else "fail", self._right)

    def _is_right(self, number: int) -> bool | None:
        arguments = self._expected.arguments[number]
        if self.whole is not None:
            output, expected = self.whole
            self.whole = None
            return self._comparison.right(arguments, output, expected)
        answer = self._answers.answer(number, _ROOM + 16 * len(self._expected.outputs[number]))
        if answer is None or answer.kind != "value":
            return False
        expected = self._expected.values[number]
        if isinstance(expected, Long) and _may_equal(answer.value, expected):
            return None
        return self._comparison.right(arguments, answer.value, expected)


def _may_equal(output: Any, expected: Long) -> bool:
    """Whether only the whole values can tell: other text, yet the same type and length."""
    if output == expected or expected.kind == "str":
        return False
    if isinstance(output, Long):
        return (output.kind, output.length) == (expected.kind, expected.length)
    return type(output).__name__ == expected.kind and len(output) == expected.length
