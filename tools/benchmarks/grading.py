"""Grade many samples of a benchmark, several at a time."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from opencodeinterpreter.tools.benchmarks.evalplus_rules import check_numpy
from opencodeinterpreter.tools.benchmarks.inside import callee
from opencodeinterpreter.tools.benchmarks.journal import Journal
from opencodeinterpreter.tools.benchmarks.results import SampleVerdict
from opencodeinterpreter.tools.benchmarks.samples import Sample
from opencodeinterpreter.tools.benchmarks.tasks import AssertionTask, Benchmark, InputTask
from opencodeinterpreter.tools.benchmarks.truth import Truth, TruthStore
from opencodeinterpreter.tools.benchmarks.verdicts import SetVerdict, grade_solution
from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.grading.grader import MODULES as TESTS_MODULES
from opencodeinterpreter.tools.grading.grader import grade
from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.sandbox.protocol import ContextSandbox

MODULES = (*TESTS_MODULES, callee)
"""What of ours runs in the sandbox, for all benchmarks."""
_ASSERTIONS = SandboxLimits(wall_seconds=60, cpu_seconds=60, memory_mb=2048)
"""For all assertions of one sample together."""
T = TypeVar("T")
Watch = Callable[[int, int], None]
"""Told how many samples are done, and of how many."""


async def grade_samples(
    sandbox: ContextSandbox,
    benchmark: Benchmark,
    samples: Sequence[Sample],
    journal: Journal,
    *,
    workers: int,
    stop_early: bool = True,
    truths: TruthStore | None = None,
    watch: Watch | None = None,
) -> list[SampleVerdict]:
    """Return the samples' verdicts in their order, taking from `journal` those that it has.

    With `stop_early` a sample is done at its first wrong answer. Right outputs are computed first,
    where `truths` does not have them yet. One sample more than `workers` is under way, so that no
    processor idles while answers are compared; `sandbox` bounds the runs. Raises SandboxError,
    BenchmarkError, and InputError without numpy.
    """
    check_numpy()
    slots = asyncio.Semaphore(workers + 1)
    tasks = {sample.task_id: benchmark.tasks[sample.task_id] for sample in samples}
    found = await _truths(
        sandbox,
        truths or TruthStore(benchmark),
        [task for task in tasks.values() if isinstance(task, InputTask)],
        slots,
    )

    def longest_first(number: int) -> float:
        truth = found.get(samples[number].task_id)
        return -truth.seconds if truth else 0.0

    async def graded(number: int) -> None:
        async with slots:
            sample = samples[number]
            task = tasks[sample.task_id]
            if isinstance(task, InputTask):
                sets = await grade_solution(
                    sandbox, task, found[task.task_id], sample.solution, stop_early=stop_early
                )
                verdict = _verdict(number, *sets)
            else:
                verdict = await _by_assertions(sandbox, task, number, sample.solution)
        journal.add(verdict)
        if watch:
            watch(len(journal.verdicts), len(samples))

    missing = [number for number in range(len(samples)) if number not in journal.verdicts]
    await _all_of([graded(number) for number in sorted(missing, key=longest_first)])
    return [journal.verdicts[number] for number in range(len(samples))]


async def _truths(
    sandbox: ContextSandbox, store: TruthStore, tasks: Sequence[InputTask], slots: asyncio.Semaphore
) -> dict[str, Truth]:
    async def one(task: InputTask) -> Truth:
        async with slots:
            return await store.truth(sandbox, task)

    found = await _all_of([one(task) for task in tasks])
    return dict(zip((task.task_id for task in tasks), found, strict=True))


async def _all_of(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all; the first failure ends the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def _verdict(number: int, base: SetVerdict, plus: SetVerdict) -> SampleVerdict:
    return SampleVerdict(
        number=number,
        base=base.status,
        plus=plus.status,
        base_failed=_failed(base),
        plus_failed=_failed(plus),
    )


def _failed(verdict: SetVerdict) -> tuple[int, ...]:
    """Return the failed inputs as EvalPlus names them: the last one, where none is known to be."""
    if verdict.status == "pass" or not verdict.right:
        return ()
    wrong = tuple(number for number, right in enumerate(verdict.right) if not right)
    return wrong or (len(verdict.right) - 1,)


async def _by_assertions(
    sandbox: ContextSandbox, task: AssertionTask, number: int, solution: str
) -> SampleVerdict:
    execution = await grade(
        sandbox,
        PythonTests(source=task.tests),
        code=solution,
        files={},
        entry_point=task.entry_point,
        limits=_ASSERTIONS,
        strict=True,
    )
    late = any(test.status == "timeout" for test in execution.tests or ())
    status = "pass" if execution.passed else "timeout" if late else "fail"
    return SampleVerdict(number=number, base=status, plus=None)
