"""The right outputs of input tasks: the references compute them in the sandbox; they are cached."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opencodeinterpreter.tools.atomic_file import write_atomically
from opencodeinterpreter.tools.benchmarks.calls import (
    CalledProgram,
    CallLimits,
    CallSet,
    Claim,
    as_texts,
    call,
)
from opencodeinterpreter.tools.benchmarks.examiner import Examiner, Question
from opencodeinterpreter.tools.benchmarks.files import cache_folder
from opencodeinterpreter.tools.benchmarks.inside import callee
from opencodeinterpreter.tools.benchmarks.inside.evalplus_rules import Rule
from opencodeinterpreter.tools.benchmarks.tasks import Benchmark, InputTask
from opencodeinterpreter.tools.errors import BenchmarkError
from opencodeinterpreter.tools.grading.inside import wire
from opencodeinterpreter.tools.sandbox.protocol import ContextSandbox, Sandbox

_FORMAT = 3
_SECONDS = 300.0
_LONGEST = 16 << 20
_SHOWN = 500


@dataclass(frozen=True)
class Expected:
    """The reference's results for one set of inputs."""

    inputs: Sequence[str]
    """The arguments of each call, as text."""
    outputs: Sequence[str]
    """The output of each call, as text."""
    seconds: Sequence[float]
    """The reference's processor time for each call."""
    certain: Sequence[bool]
    """Whether what has the same text is right, for each output; where it holds NaN, it isn't."""
    floats: Sequence[bool]
    """Whether each output is floats, which bring a tolerance."""

    @property
    def values(self) -> list[Any]:
        """The outputs; they are the reference's own, never a candidate's."""
        return [wire.read(output) for output in self.outputs]


@dataclass(frozen=True)
class Truth:
    """Everything with which a task's candidates are compared."""

    base: Expected
    plus: Expected

    @property
    def seconds(self) -> float:
        """The reference's processor time for all inputs."""
        return sum(self.base.seconds) + sum(self.plus.seconds)


class TruthStore:
    """Caches right outputs, one file per task, under the benchmark's checksum.

    Each kind of sandbox has its own files: its Python may differ, and so does its speed, which
    determines the time limits.
    """

    def __init__(self, benchmark: Benchmark, folder: Path | None = None) -> None:
        root = folder or cache_folder() / "truth"
        self._folder = root / f"{benchmark.name}-{benchmark.sha256[:16]}-{_FORMAT}"

    async def truth(self, sandbox: ContextSandbox, task: InputTask) -> Truth:
        """Return the right outputs of a task, computed on first use.

        Raises BenchmarkError where the reference does not run, SandboxError, and InputError where
        they can't be written or numpy is missing.
        """
        folder = self._folder if sandbox.tier == "full" else self._folder / sandbox.tier
        path = folder / f"{task.task_id.replace('/', '_')}.json"
        kept = await asyncio.to_thread(_read, path)
        if kept is None:
            kept = Truth(
                await _computed(sandbox, task, "base"), await _computed(sandbox, task, "plus")
            )
            content = json.dumps(asdict(kept)).encode()
            await asyncio.to_thread(write_atomically, path, content)
        return kept


def _read(path: Path) -> Truth | None:
    try:
        kept: dict[str, Any] = json.loads(path.read_bytes())
        return Truth(Expected(**kept["base"]), Expected(**kept["plus"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


async def _computed(sandbox: ContextSandbox, task: InputTask, which: str) -> Expected:
    inputs = as_texts(task.base_input if which == "base" else task.plus_input)
    claims = await _claims(sandbox, task, which, inputs)
    outputs = [claim.text for claim in claims]
    rule = rule_of(task)
    questions = [
        Question(arguments if rule.uses_arguments else "[]", output, output, task.atol)
        for arguments, output in zip(inputs, outputs, strict=True)
    ]
    async with Examiner(sandbox, rule) as examiner:
        certain, floats = await examiner.describe(questions)
    return Expected(inputs, outputs, [claim.seconds for claim in claims], certain, floats)


async def _claims(
    sandbox: Sandbox, task: InputTask, which: str, inputs: Sequence[str]
) -> Sequence[Claim]:
    """Return what the reference gave for each input; raises BenchmarkError."""
    heard: dict[int, Claim] = {}

    def hear(claim: Claim) -> bool:
        heard.setdefault(claim.number, claim)
        return False

    program = CalledProgram(
        task.reference,
        task.entry_point,
        rule_of(task).right_shape,
        longest=_LONGEST,
        output_bytes=4 * _LONGEST,
    )
    limits = CallLimits([_SECONDS] * len(inputs), _SECONDS)
    ended = await call(sandbox, program, [CallSet(inputs, limits)], hear)
    how = f"{ended.status} {ended.reason}" if ended else "took too long"
    for number in (callee.LOADING, *range(len(inputs))):
        claim = heard.get(number)
        if claim is None or claim.kind != "value" or len(claim.text) > _LONGEST:
            what = "does not load" if number < 0 else f"fails at {which} {number + 1}"
            told = claim.text[:_SHOWN] if claim else how
            raise BenchmarkError(f"{task.task_id}: the reference {what}: {told}")
    return [heard[number] for number in range(len(inputs))]


def rule_of(task: InputTask) -> Rule:
    """Return the rule that holds for the outputs of a task."""
    family = "mbpp" if task.task_id.startswith("Mbpp/") else "humaneval"
    return Rule(family, task.entry_point)
