"""Grade one solution of an input task: inputs go in, claims come out and are compared here."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from opencodeinterpreter.tools.benchmarks.calls import Answers, CallLimits, CallSet, call
from opencodeinterpreter.tools.benchmarks.evalplus_rules import Comparison
from opencodeinterpreter.tools.benchmarks.inside import callee
from opencodeinterpreter.tools.benchmarks.tasks import InputTask
from opencodeinterpreter.tools.benchmarks.truth import Expected, Truth, as_set, family
from opencodeinterpreter.tools.grading.inside.wire import Long
from opencodeinterpreter.tools.sandbox.protocol import Sandbox

SetStatus = Literal["pass", "fail", "timeout"]
_LEAST_SECONDS = 1.0
_FACTOR = 4.0
_MOST_SECONDS = 60.0
_EXTRA_SECONDS = 1.0
_DOUBT_SECONDS = 1.0
"""What failed within that time is worth another process."""
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
    seconds: float = 0.0
    """Processor time that the solution says it took for these."""
    begun: bool = True
    """Whether the process got as far as loading the solution for this set."""


async def grade_solution(
    sandbox: Sandbox, task: InputTask, truth: Truth, code: str, *, stop_early: bool = True
) -> tuple[SetVerdict, SetVerdict]:
    """Grade `code` on the base inputs and, loaded anew, on the plus inputs.

    Both in one process, which is half the cost; where that did not get to the plus inputs, or
    may be why only they failed, these have another to themselves. With `stop_early` the first
    wrong answer of a set decides and none after it is looked at. Raises SandboxError.
    """
    grading = _Grading(sandbox, task, code, stop_early)
    base, plus = await grading.verdicts(truth.base, truth.plus)
    doubtful = base.status == "pass" != plus.status and grading.doubtful
    if doubtful or not plus.begun:
        (plus,) = await grading.verdicts(truth.plus)
    return base, plus


class _Grading:
    """The grading of one solution."""

    def __init__(self, sandbox: Sandbox, task: InputTask, code: str, stop_early: bool) -> None:
        self._sandbox = sandbox
        self._task = task
        self._code = code
        self._stop_early = stop_early
        self.doubtful = False
        """Whether a failure after the first set is worth a second look, by how the process ended.

        One that took long is not: what keeps to no time limit would do so again.
        """

    async def verdicts(self, *expected: Expected) -> list[SetVerdict]:
        """Grade on sets of inputs, one after the other in one process; raises SandboxError."""
        comparing = [_Comparing(self._task, each, self._stop_early) for each in expected]

        def decided(heard: Sequence[Answers]) -> bool:
            found = [each.decided(told) for each, told in zip(comparing, heard, strict=True)]
            return all(found)

        heard = await self._call(self._code, [self._set(each) for each in expected], enough=decided)
        began, ended = heard[0].started_at, heard[0].ended
        quick = began is not None and time.monotonic() - began < _DOUBT_SECONDS
        self.doubtful = quick or (ended is not None and ended.reason == "memory")
        return [
            await self._verdict(each, told) for each, told in zip(comparing, heard, strict=True)
        ]

    async def _verdict(self, comparing: "_Comparing", answers: Answers) -> SetVerdict:
        if answers.loading is None or answers.loading.kind == "timeout":
            return SetVerdict("timeout", (), begun=callee.LOADING in answers)
        if answers.loading.kind == "error":
            return SetVerdict("fail", ())
        while comparing.long is not None:
            comparing.whole = await self._whole(comparing.expected, comparing.long)
            await asyncio.to_thread(comparing.decided, answers)
        return comparing.verdict()

    async def _whole(self, expected: Expected, number: int) -> tuple[Any, Any]:
        """Return output and expected output of a call whose results are too long to send."""
        calls, values = [self._set(expected, number + 1)], []
        for code in (self._code, self._task.reference):
            (answers,) = await self._call(code, calls, whole=number)
            answer = await asyncio.to_thread(answers.answer, number, _WHOLE)
            values.append(answer.value if answer and answer.kind == "value" else answer)
        return values[0], values[1]

    def _set(self, expected: Expected, count: int | None = None) -> CallSet:
        """Return the first `count` calls, by default all, and the time they may take."""
        each = [max(_LEAST_SECONDS, _FACTOR * seconds) for seconds in expected.seconds]
        extra = _EXTRA_SECONDS if self._stop_early else 2 * _EXTRA_SECONDS
        limits = CallLimits(each, min(_MOST_SECONDS, sum(each)) + extra)
        return CallSet(expected.inputs[:count], limits)

    async def _call(
        self,
        code: str,
        sets: Sequence[CallSet],
        *,
        whole: int | None = None,
        enough: Callable[[Sequence[Answers]], bool] = lambda heard: False,
    ) -> Sequence[Answers]:
        return await call(
            self._sandbox,
            code,
            self._task.entry_point,
            sets,
            whole=whole,
            as_set=as_set(self._task),
            stop_early=self._stop_early,
            enough=enough,
        )


class _Comparing:
    """Walks through the answers of one run as they come; stops where it needs a long value."""

    def __init__(self, task: InputTask, expected: Expected, stop_early: bool) -> None:
        self.expected = expected
        self._stop_early = stop_early
        self._comparison = Comparison(family(task), task.entry_point, task.atol)
        self._right: list[bool] = []
        self._seconds = 0.0
        self.long: int | None = None
        """The call whose values are needed whole, if there is one."""
        self.whole: tuple[Any, Any] | None = None
        """Output and expected output of that call."""

    def decided(self, answers: Answers) -> bool:
        """Compare what can be; return whether more answers would change nothing."""
        if self._stop_early and self._right and not self._right[-1]:
            return True
        while len(self._right) < len(self.expected.seconds):
            number = len(self._right)
            if number not in answers:
                return False
            right = self._is_right(number, answers)
            if right is None:
                return False
            self._right.append(right)
            if self._stop_early and not right:
                return True
        return True

    def verdict(self) -> SetVerdict:
        """Return the verdict once there is nothing more to compare."""
        status: SetStatus = "pass" if all(self._right) else "fail"
        stopped = self._stop_early and status == "fail"
        if len(self._right) < len(self.expected.seconds) and not stopped:
            status = "timeout"
        return SetVerdict(status, self._right, self._seconds)

    def _is_right(self, number: int, answers: Answers) -> bool | None:
        """Whether an answer is right; `None` where only whole values, not given yet, can tell."""
        arguments = self.expected.arguments[number]
        if self.whole is not None:
            output, expected = self.whole
            self.long = self.whole = None
            return self._comparison.right(arguments, output, expected)
        if self.long is not None:
            return None
        if self._comparison.plain and self.expected.certain[number]:
            # Most answers are right, and then their text is: no need to make values of it.
            seconds = answers.seconds_of(number, self.expected.outputs[number])
            if seconds is not None:
                self._seconds += seconds
                self._comparison.go_on(self.expected.values[number])
                return True
        answer = answers.answer(number, _ROOM + 16 * len(self.expected.outputs[number]))
        if answer is None:
            return False
        self._seconds += answer.seconds
        if answer.kind != "value":
            return False
        expected = self.expected.values[number]
        if isinstance(expected, Long) and _may_equal(answer.value, expected):
            self.long = number
            return None
        return self._comparison.right(arguments, answer.value, expected)


def _may_equal(output: Any, expected: Long) -> bool:
    """Whether only the whole values can tell: other text, yet the same type and length."""
    if output == expected or expected.kind == "str":
        return False
    if isinstance(output, Long):
        return (output.kind, output.length) == (expected.kind, expected.length)
    return type(output).__name__ == expected.kind and len(output) == expected.length
