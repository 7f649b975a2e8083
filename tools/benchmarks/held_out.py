"""The part of a benchmark that no feedback shows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from opencodeinterpreter.tools.benchmarks.tasks import Benchmark, InputTask, OwnTask, Task
from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.errors import InputError


def held_out(benchmark: Benchmark) -> Benchmark:
    """Return a benchmark whose plus inputs are only those that equal no base input.

    Tasks without such an input, and tasks of a user's file without scoring tests, are left out. The
    sha256 is another one, so that its right outputs are kept apart. Raises InputError if no task is
    left.
    """
    tasks = {name: _held_out(task) for name, task in benchmark.tasks.items()}
    left = {name: task for name, task in tasks.items() if task is not None}
    if not left and any(isinstance(task, OwnTask) for task in benchmark.tasks.values()):
        raise InputError(
            f"{benchmark.name}: no task has tests that only score; give some lines a field "
            "`scoring`, or use --protocol paper, where the feedback tests score"
        )
    if not left:
        raise InputError(
            f"{benchmark.name} has no tests beside those that give feedback, so none can be held "
            f"out; take {benchmark.name.removesuffix('+')}+, or --protocol paper"
        )
    return replace(benchmark, sha256=digest([benchmark.sha256, "held out"]), tasks=left)


def _held_out(task: Task) -> InputTask | OwnTask | None:
    if isinstance(task, OwnTask):
        return task if task.scoring else None
    if not isinstance(task, InputTask):
        return None
    plus = [each for each in task.plus_input if not _is_among(each, task.base_input)]
    return task.model_copy(update={"plus_input": plus}) if plus else None


def _is_among(arguments: Sequence[Any], inputs: Sequence[Sequence[Any]]) -> bool:
    return any(arguments == each for each in inputs)
