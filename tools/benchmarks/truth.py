"""The right outputs of input tasks: computed by the references, in the sandbox, and kept."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from opencodeinterpreter.tools.benchmarks.calls import Answers, CallLimits, CallSet, as_texts, call
from opencodeinterpreter.tools.benchmarks.evalplus_rules import AS_SETS, WHETHER_NONE
from opencodeinterpreter.tools.benchmarks.files import cache_folder, write_atomically
from opencodeinterpreter.tools.benchmarks.tasks import Benchmark, InputTask
from opencodeinterpreter.tools.errors import BenchmarkError
from opencodeinterpreter.tools.grading.inside import wire
from opencodeinterpreter.tools.sandbox.protocol import Sandbox

_FORMAT = 2
_SECONDS = 300.0
_MOST_OUTPUT = 16 << 20


@dataclass(frozen=True)
class Expected:
    """What the reference gave for one set of inputs."""

    arguments: Sequence[Sequence[Any]]
    """Of each call."""
    inputs: Sequence[str]
    """The same as text."""
    outputs: Sequence[str]
    """What each call gave, as text."""
    seconds: Sequence[float]
    """The processor time of the reference for each."""

    @cached_property
    def values(self) -> list[Any]:
        """The outputs."""
        return self._read_outputs()

    @cached_property
    def certain(self) -> list[bool]:
        """Whether what has the same text is equal, for each output; where it is NaN, it isn't."""
        return [_equal(*both) for both in zip(self.values, self._read_outputs(), strict=True)]

    def _read_outputs(self) -> list[Any]:
        found: list[Any] = wire.read(f"[{','.join(self.outputs)}]")
        return found


def _equal(one: Any, other: Any) -> bool:
    try:
        # What arrays say to that is no bool.
        return (one == other) is True
    except Exception:
        # Lists of arrays, for one, say nothing at all.
        return False


@dataclass(frozen=True)
class Truth:
    """All that a task's candidates are compared with."""

    base: Expected
    plus: Expected

    @property
    def seconds(self) -> float:
        """The processor time of the reference for all inputs."""
        return sum(self.base.seconds) + sum(self.plus.seconds)


class TruthStore:
    """Keeps right outputs in files of their own, one a task, by the benchmark's checksum.

    Those of another kind of sandbox are kept apart: its Python may be another, and its speed,
    which decides about time limits, is.
    """

    def __init__(self, benchmark: Benchmark, folder: Path | None = None) -> None:
        root = folder or cache_folder() / "truth"
        self._folder = root / f"{benchmark.name}-{benchmark.sha256[:16]}-{_FORMAT}"

    async def truth(self, sandbox: Sandbox, task: InputTask) -> Truth:
        """Return the right outputs of a task, computed on first use.

        Raises BenchmarkError where the reference does not run, SandboxError, and InputError where
        they can't be written.
        """
        folder = self._folder if sandbox.tier == "full" else self._folder / sandbox.tier
        path = folder / f"{task.task_id.replace('/', '_')}.json"
        kept = await asyncio.to_thread(_read, path)
        if kept is None:
            kept = {which: await _computed(sandbox, task, which) for which in ("base", "plus")}
            await asyncio.to_thread(write_atomically, path, json.dumps(kept).encode())
        return Truth(
            Expected(task.base_input, *kept["base"]),
            Expected(task.plus_input, *kept["plus"]),
        )


def _read(path: Path) -> dict[str, Any] | None:
    try:
        kept: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return kept


async def _computed(sandbox: Sandbox, task: InputTask, which: str) -> list[Any]:
    """Return inputs and outputs as text, and the seconds, of the reference."""
    inputs = as_texts(task.base_input if which == "base" else task.plus_input)
    limits = CallLimits([_SECONDS] * len(inputs), _SECONDS)
    calls = [CallSet(inputs, limits)]
    (answers,) = await call(sandbox, task.reference, task.entry_point, calls)
    if answers.loading is None or answers.loading.kind != "value":
        raise BenchmarkError(f"{task.task_id}: the reference does not load: {answers.loading}")
    found = [_output(task, which, answers, number) for number in range(len(inputs))]
    return [inputs, [text for text, _ in found], [seconds for _, seconds in found]]


def _output(task: InputTask, which: str, answers: Answers, number: int) -> tuple[str, float]:
    answer = answers.answer(number, _MOST_OUTPUT)
    if answer is None or answer.kind != "value":
        ended = answers.ended
        what = answer.value if answer else ended and f"{ended.status} {ended.reason}"
        raise BenchmarkError(f"{task.task_id}: the reference fails at {which} {number + 1}: {what}")
    value = answer.value
    if family(task) == "mbpp" and task.entry_point in WHETHER_NONE:
        value = value is not None
    return wire.Writer().text(value), answer.seconds


def family(task: InputTask) -> Literal["humaneval", "mbpp"]:
    """Return which benchmark's rules hold for a task."""
    return "mbpp" if task.task_id.startswith("Mbpp/") else "humaneval"


def as_set(task: InputTask) -> bool:
    """Whether the outputs of a task are compared as sets."""
    return family(task) == "mbpp" and task.entry_point in AS_SETS
