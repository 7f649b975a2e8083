"""Grade one solution of an input task: claims come in as text, and the examiner compares them."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Literal

from opencodeinterpreter.tools.benchmarks.calls import (
    CalledProgram,
    CallLimits,
    CallSet,
    Claim,
    Hear,
    Kind,
    call,
)
from opencodeinterpreter.tools.benchmarks.examiner import Examiner, Found, Question
from opencodeinterpreter.tools.benchmarks.inside import callee
from opencodeinterpreter.tools.benchmarks.inside.evalplus_rules import FLOATS
from opencodeinterpreter.tools.benchmarks.tasks import InputTask
from opencodeinterpreter.tools.benchmarks.truth import Expected, Truth, rule_of
from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.sandbox.protocol import ContextSandbox

SetStatus = Literal["pass", "fail", "timeout"]
Turns = AbstractAsyncContextManager[object]
"""Entered while a candidate runs, to bound how many do at once."""
_LEAST_SECONDS = 1.0
_FACTOR = 4.0
_MOST_SECONDS = 60.0
_EXTRA_SECONDS = 1.0
_DOUBT_SECONDS = 1.0
"""A solution that failed within this time is tried in another process."""
_ASK_SECONDS = 0.03
"""Time between two times that the examiner is asked while the candidate runs."""
_ROOM = 65_536
"""How many characters an answer may have beyond the length that a right one can need."""
_AROUND = 80
"""The same of what stands beside it."""
_LEAST_OUTPUT = 16 << 20
"""Bytes that all answers of a run may take, where right ones need fewer."""
_WHOLE = 16 << 20
"""How many characters an answer may have if the whole of it is requested."""
_WHOLE_SECONDS = 300.0
"""Wall time in which calls are repeated for whole answers."""
_IMPATIENT = f"repeating calls with long outputs took more than {_WHOLE_SECONDS:g} s"


@dataclass(frozen=True)
class SetVerdict:
    """The verdict on one set of inputs."""

    status: SetStatus
    """`timeout` also if the process ended before its answers were complete, as in EvalPlus."""
    right: Sequence[bool]
    """One value per answered input; with `stop_early` the first wrong one is the last."""
    seconds: float = 0.0
    """The processor time for these, as the solution reports it."""
    begun: bool = True
    """Whether the process began to load the solution for this set."""
    reason: str = ""
    """Why an answer could not be compared; empty if all could."""


async def grade_solution(
    sandbox: ContextSandbox,
    task: InputTask,
    truth: Truth,
    code: str,
    *,
    stop_early: bool = True,
    turns: Turns | None = None,
) -> tuple[SetVerdict, SetVerdict]:
    """Grade `code` on the base inputs and, loaded again, on the plus inputs.

    One process for both halves the cost. If it did not reach the plus inputs, or may be the reason
    why only they failed, they are graded again in another process. With `stop_early` a set ends at
    its first wrong answer. Raises SandboxError.
    """
    async with Examiner(sandbox, rule_of(task)) as examiner:
        grading = _Grading(sandbox, task, code, examiner, stop_early, turns or nullcontext())
        base, plus = await grading.verdicts(truth.base, truth.plus)
        doubtful = base.status == "pass" != plus.status and grading.doubtful
        if doubtful or not plus.begun:
            (plus,) = await grading.verdicts(truth.plus)
    return base, plus


@dataclass
class _Grading:
    """The grading of one solution."""

    sandbox: ContextSandbox
    task: InputTask
    code: str
    examiner: Examiner
    stop_early: bool
    turns: Turns
    doubtful: bool = False
    """Whether a failure after the first set is worth a second look, by how the process ended.

    One that took long is not: what keeps to no time limit would do so again.
    """

    async def verdicts(self, *expected: Expected) -> list[SetVerdict]:
        """Grade on several sets of inputs in one process; raises SandboxError."""
        sets = [_Set(self.task, each, self._calls(each), self.stop_early) for each in expected]
        ended = await self._hear(sets)
        began = sets[0].began
        quick = began is not None and time.monotonic() - began < _DOUBT_SECONDS
        self.doubtful = quick or (ended is not None and ended.reason == "memory")
        patience = time.monotonic() + _WHOLE_SECONDS
        for each in sets:
            while each.long:
                number = min(each.long)
                if time.monotonic() < patience:
                    found = await self._compare_whole(each, number)
                else:
                    found = Found(right=False, reason=_IMPATIENT)
                each.settle(number, found)
        return [each.verdict() for each in sets]

    async def _hear(self, sets: Sequence["_Set"]) -> Execution | None:
        """Run the candidate; ask the examiner meanwhile, and end the run once all is decided."""
        asked = asyncio.Event()

        def hear(claim: Claim) -> bool:
            sets[claim.at].hear(claim)
            if sets[claim.at].open:
                asked.set()
            return all(each.decided for each in sets)

        room = sum(len(text) + _AROUND for each in sets for text in each.expected.outputs)
        program = replace(
            self._program(self.code),
            longest=max(each.most for each in sets),
            output_bytes=max(_LEAST_OUTPUT, 2 * room),
        )
        running = asyncio.ensure_future(self._call(program, [each.calls for each in sets], hear))
        running.add_done_callback(lambda _: asked.set())
        try:
            while not running.done():
                await asked.wait()
                asked.clear()
                await self._ask(sets)
                if all(each.decided for each in sets):
                    break
                await asyncio.wait((running,), timeout=_ASK_SECONDS)
        finally:
            running.cancel()
            await asyncio.wait((running,))
        await self._ask(sets)
        return None if running.cancelled() else running.result()

    async def _ask(self, sets: Sequence["_Set"]) -> None:
        """Let the examiner compare all that was heard and is not decided."""
        for each in sets:
            asked = dict(each.open)
            found = await self.examiner.compare(list(asked.values()))
            for number, one in zip(asked, found, strict=True):
                each.settle(number, one)

    async def _compare_whole(self, one: "_Set", number: int) -> Found:
        """Compare the output of a call whose result is too long to be told with all others."""
        calls = self._calls(one.expected, number + 1)
        for which, code in (("output", self.code), ("expected", self.task.reference)):
            program = replace(
                self._program(code), whole=number, longest=_WHOLE, output_bytes=2 * _WHOLE
            )
            text = await self._text(program, calls)
            if text is None:
                return Found(right=False)
            await self.examiner.hold(which, text)
        return await self.examiner.compare_held(one.long[number])

    async def _text(self, program: CalledProgram, calls: CallSet) -> str | None:
        """Return the text of the value of the call `whole`, the last one; `None` without one."""
        found: list[Claim] = []

        def hear(claim: Claim) -> bool:
            if claim.number == program.whole:
                found.append(claim)
            return bool(found)

        await self._call(program, [calls], hear)
        if not found or found[0].kind != "value" or len(found[0].text) > program.longest:
            return None
        return found[0].text

    async def _call(
        self, program: CalledProgram, sets: Sequence[CallSet], hear: Hear
    ) -> Execution | None:
        async with self.turns:
            return await call(self.sandbox, program, sets, hear)

    def _program(self, code: str) -> CalledProgram:
        shape = rule_of(self.task).shape
        return CalledProgram(code, self.task.entry_point, shape, self.stop_early)

    def _calls(self, expected: Expected, count: int | None = None) -> CallSet:
        """Return the first `count` calls, by default all, and their time limits."""
        each = [max(_LEAST_SECONDS, _FACTOR * seconds) for seconds in expected.seconds]
        extra = _EXTRA_SECONDS if self.stop_early else 2 * _EXTRA_SECONDS
        limits = CallLimits(each, min(_MOST_SECONDS, sum(each)) + extra)
        return CallSet(expected.inputs[:count], limits)


class _Set:
    """Walks through the claims about one set of inputs in their order."""

    def __init__(
        self, task: InputTask, expected: Expected, calls: CallSet, stop_early: bool
    ) -> None:
        self.expected = expected
        self.calls = calls
        self.count = len(expected.outputs)
        self.began: float | None = None
        """When its start was heard, by the monotonic clock."""
        self.open: dict[int, Question] = {}
        """What the examiner is to compare, by the call's number."""
        self.long: dict[int, Question] = {}
        """What can only be decided by whole values, which are not in the question."""
        self._uses_arguments = rule_of(task).uses_arguments
        self._stop_early = stop_early
        self._atol = task.atol
        self._loading: Kind | None = None
        self._right: list[bool | None] = []
        self._seconds: list[float] = []
        self._failed = False
        self._reason = ""

    @property
    def most(self) -> int:
        """How many characters an output may have."""
        return max(map(_most, self.expected.outputs), default=_ROOM)

    @property
    def decided(self) -> bool:
        """Whether further claims would change nothing."""
        if self._loading is None:
            return False
        stopped = self._loading != "value" or (self._stop_early and self._failed)
        return stopped or len(self._right) == self.count

    def hear(self, claim: Claim) -> None:
        """Take a claim; only the first one about a call counts, and only in the calls' order."""
        if claim.number == callee.STARTED:
            self.began = self.began or time.monotonic()
        elif claim.number == callee.LOADING:
            self._loading = self._loading or claim.kind
        elif claim.number == len(self._right) and self._loading == "value" and not self.decided:
            self._right.append(self._first_look(claim))
            self._seconds.append(claim.seconds)
            self._failed = self._failed or self._right[-1] is False

    def _first_look(self, claim: Claim) -> bool | None:
        """Return whether an output is right; `None` if the examiner has to tell."""
        number, expected = claim.number, self.expected
        if claim.kind != "value" or len(claim.text) > _most(expected.outputs[number]):
            return False
        if not 0 <= claim.seconds <= self.calls.limits.each[number]:
            return False
        if self._atol == 0 and expected.floats[number]:
            self._atol = FLOATS
        if expected.certain[number] and claim.text == expected.outputs[number]:
            # Most answers are right, and then their text is.
            return True
        arguments = expected.inputs[number] if self._uses_arguments else "[]"
        self.open[number] = Question(arguments, expected.outputs[number], claim.text, self._atol)
        return None

    def settle(self, number: int, found: Found) -> None:
        """Take what became of a comparison."""
        question = self.open.pop(number, None) or self.long.pop(number, None)
        if question is None:
            # A wrong output before it has decided.
            return
        if found.right is None:
            self.long[number] = question._replace(output="")
            return
        self._right[number] = found.right
        if not found.right:
            self._failed = True
            if found.reason and not self._reason:
                self._reason = f"input {number + 1}: {found.reason}"
            if self._stop_early:
                for later in (self.open, self.long):
                    for key in [key for key in later if key > number]:
                        del later[key]

    def verdict(self) -> SetVerdict:
        """Return the verdict; called when there is nothing more to compare."""
        if self._loading is None or self._loading == "timeout":
            return SetVerdict("timeout", (), begun=self._loading is not None)
        if self._loading == "error":
            return SetVerdict("fail", ())
        right = [bool(each) for each in self._right]
        if self._stop_early and False in right:
            right = right[: right.index(False) + 1]
        status: SetStatus = "pass" if all(right) else "fail"
        stopped = self._stop_early and status == "fail"
        if len(right) < self.count and not stopped:
            status = "timeout"
        seconds = sum(self._seconds[: len(right)])
        return SetVerdict(status, right, seconds, reason=self._reason)


def _most(right: str) -> int:
    """Return how many characters an output may have where this is the right one."""
    return _ROOM + 16 * len(right)
