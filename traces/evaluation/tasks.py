"""A benchmark's tasks as the loop gets them, and the benchmark that scores, by protocol.

`held-out`: the loop has only the feedback tests; inputs that equal none of them score.
`paper`: the tests that score give the feedback, as the paper's authors did.
"""

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from opencodeinterpreter.graph.checking import check_tasks
from opencodeinterpreter.graph.task_files import read_scored_tasks
from opencodeinterpreter.nodes.records import Task
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import TaskInput
from opencodeinterpreter.tools.benchmarks.feedback import (
    FeedbackTask,
    from_assertions,
    from_inputs,
)
from opencodeinterpreter.tools.benchmarks.grading import MODULES
from opencodeinterpreter.tools.benchmarks.held_out import held_out
from opencodeinterpreter.tools.benchmarks.paper import with_scoring_tests
from opencodeinterpreter.tools.benchmarks.tasks import AssertionTask, Benchmark, InputTask, OwnTask
from opencodeinterpreter.tools.benchmarks.tasks import Task as BenchmarkTask
from opencodeinterpreter.tools.benchmarks.truth import Truth, TruthStore
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.gathering import all_of
from opencodeinterpreter.tools.sandbox.opening import SandboxName, open_sandbox
from opencodeinterpreter.tools.sandbox.protocol import ContextSandbox
from opencodeinterpreter.traces.evaluation.audit import planted, planted_truth
from opencodeinterpreter.traces.evaluation.folder import Protocol

_AT_ONCE = 4
_SCORING_LIMITS = {"wall_seconds": 180.0, "cpu_seconds": 60.0}
"""A thousand calls take seconds of processor time, much more wall time on a busy machine."""


def scoring_benchmark(benchmark: Benchmark, protocol: Protocol) -> Benchmark:
    """Return the benchmark by which programs are scored; raises InputError if it has no tests."""
    if protocol == "held-out":
        return held_out(benchmark)
    tasks = {name: _without_scoring(task) for name, task in benchmark.tasks.items()}
    return replace(benchmark, tasks=tasks)


def _without_scoring(task: BenchmarkTask) -> BenchmarkTask:
    return task.model_copy(update={"scoring": None}) if isinstance(task, OwnTask) else task


def own_benchmark(path: Path) -> Benchmark:
    """Return a user's file of tasks as a benchmark; raises InputError that names the line."""
    tasks: dict[str, BenchmarkTask] = {}
    for name, line in read_scored_tasks(path).items():
        if line.task.get("tests") is None:
            raise InputError(f"{path}: task {name} has no tests, so nothing can be scored")
        tasks[name] = OwnTask.model_validate(
            {"task_id": name, **line.task, "scoring": line.scoring}
        )
    content = path.read_bytes()
    return Benchmark(
        path.name, hashlib.sha256(content).hexdigest(), hashlib.md5(content).hexdigest(), tasks
    )


async def check_own_tasks(benchmark: Benchmark, sandbox: SandboxName) -> None:
    """Check all tests of a user's file, also against its references; raises InputError."""
    for field in ("tests", "scoring"):
        tasks = {
            name: Task.model_validate({**_own_input(task), "tests": tests})
            for name, task in benchmark.tasks.items()
            if isinstance(task, OwnTask) and (tests := getattr(task, field)) is not None
        }
        await check_tasks(tasks, sandbox)


def _own_input(task: OwnTask) -> TaskInput:
    return {
        "prompt": task.prompt,
        "entry_point": task.entry_point,
        "tests": task.tests.model_dump(mode="json"),
        "reference": task.reference,
    }


async def loop_tasks(
    sandbox: SandboxName,
    benchmark: Benchmark,
    names: Iterable[str],
    protocol: Protocol = "held-out",
    canary: str = "",
) -> dict[str, TaskInput]:
    """Return the tasks of these ids as the loop gets them.

    A `canary` is planted in their scoring tests before. Raises BenchmarkError where a reference
    does not run, and SandboxError.
    """
    truths, slots = TruthStore(benchmark), asyncio.Semaphore(_AT_ONCE)

    async def one(opened: ContextSandbox, task: BenchmarkTask) -> TaskInput:
        async with slots:
            truth = await truths.truth(opened, task) if isinstance(task, InputTask) else None
        if canary:
            task = planted(task, canary)
            truth = planted_truth(truth, task) if truth else None
        if isinstance(task, OwnTask):
            return _own_input(task)
        return _loop_task(task, _seen(task, truth, protocol))

    wanted = list(names)
    async with open_sandbox(sandbox, preload="numpy", modules=MODULES) as opened:
        found = await all_of([one(opened, benchmark.tasks[name]) for name in wanted])
    return dict(zip(wanted, found, strict=True))


def _seen(task: InputTask | AssertionTask, truth: Truth | None, protocol: Protocol) -> FeedbackTask:
    """Return the part of a task that the loop may see."""
    if not isinstance(task, InputTask):
        return from_assertions(task)
    assert truth is not None
    return with_scoring_tests(task, truth) if protocol == "paper" else from_inputs(task, truth)


def protocol_settings(settings: Settings, protocol: Protocol) -> Settings:
    """Return the settings of an evaluation by a protocol.

    In `paper` a task's prompt shows the examples that it has and no further test, a critic's reply
    alone is the feedback, and the tests have more time.
    """
    if protocol == "held-out":
        return settings
    prompts = {**settings.prompts, "task_examples": "", "critic_feedback": "$words"}
    limits = settings.sandbox.model_copy(update=_SCORING_LIMITS)
    return settings.model_copy(update={"prompts": prompts, "sandbox": limits})


def _loop_task(task: InputTask | AssertionTask, seen: FeedbackTask) -> TaskInput:
    return {
        "prompt": seen.prompt,
        "entry_point": seen.entry_point,
        "tests": seen.tests.model_dump(mode="json"),
        "reference": task.reference,
    }
