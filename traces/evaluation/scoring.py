"""Grade the programs of runs outside the loop, and keep each verdict."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.tools.benchmarks.grading import Grade, GradingOptions, Watch
from opencodeinterpreter.tools.benchmarks.results import SampleVerdict
from opencodeinterpreter.tools.benchmarks.samples import Sample
from opencodeinterpreter.tools.benchmarks.tasks import Benchmark
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.sandbox.opening import SandboxName
from opencodeinterpreter.traces.metrics import Attempt

_Key = tuple[str, str]


def programs(record: Record) -> tuple[str, ...]:
    """Return the program that scores after each turn: the newest code so far, or none."""
    found: list[str] = []
    for turn in record.turns:
        found.append(turn.code if turn.code is not None else (found or [""])[-1])
    return tuple(found)


class Verdicts:
    """Verdicts on programs, in a file with one line per verdict.

    A verdict belongs to a task and a program: equal programs of several arms are graded once.
    """

    def __init__(self, path: Path) -> None:
        """Read the verdicts of an existing file; raises InputError if it cannot be read."""
        self._path = path
        self._known: dict[_Key, Attempt] = {}
        self._about: dict[str, Any] = {}
        if path.exists():
            self._read()

    def attempt(self, task: str, program: str) -> Attempt | None:
        """Return the result of a program; `None` if it was not graded."""
        return self._known.get(_key(task, program))

    def begin(self, benchmark: Benchmark, sandbox: SandboxName) -> None:
        """Write what the verdicts are about; raises InputError if the file says something else."""
        about = {"benchmark": benchmark.sha256, "sandbox": sandbox}
        if not self._about:
            self._about = about
            self._append(about)
        elif self._about != about:
            raise InputError(
                f"{self._path}: verdicts of another benchmark, protocol or sandbox; remove it"
            )

    def keep(self, sample: Sample, verdict: SampleVerdict) -> None:
        """Append a verdict to the file."""
        task, program = key = _key(sample.task_id, sample.solution)
        status = {"base": verdict.base, "plus": verdict.plus}
        self._append({"task_id": task, "program": program, **status})
        self._known[key] = _attempt(verdict.base, verdict.plus)

    def _append(self, line: dict[str, Any]) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(line)}\n")
        except OSError as error:
            raise InputError(f"{self._path}: cannot be written: {error.strerror}") from None

    def _read(self) -> None:
        try:
            text = self._path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{self._path}: cannot be read: {error}") from None
        for line in text.split("\n"):
            try:
                told: dict[str, Any] = json.loads(line)
            except ValueError:  # empty, or cut where the process was killed
                continue
            if "program" in told:
                key = (told["task_id"], told["program"])
                self._known[key] = _attempt(told["base"], told["plus"])
            else:
                self._about = told
        if not text.endswith("\n"):
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n")


async def grade_missing(
    verdicts: Verdicts,
    benchmark: Benchmark,
    samples: Iterable[Sample],
    sandbox: SandboxName,
    grade: Grade,
    watch: Watch | None = None,
) -> None:
    """Let those samples be graded that have no verdict yet; raises as `grade` does."""
    missing = {
        (sample.task_id, sample.solution): sample
        for sample in samples
        if verdicts.attempt(sample.task_id, sample.solution) is None
    }
    verdicts.begin(benchmark, sandbox)
    if not missing:
        return
    log = _Log(verdicts, list(missing.values()))
    await grade(sandbox, benchmark, log.samples, log, GradingOptions(watch=watch))


class _Log:
    """Takes verdicts and appends them to the file."""

    def __init__(self, kept: Verdicts, samples: Sequence[Sample]) -> None:
        self._kept = kept
        self.samples = samples
        self.verdicts: dict[int, SampleVerdict] = {}

    def add(self, verdict: SampleVerdict) -> None:
        self.verdicts[verdict.number] = verdict
        self._kept.keep(self.samples[verdict.number], verdict)


def _key(task: str, program: str) -> _Key:
    return task, hashlib.sha256(program.encode("utf-8", "surrogatepass")).hexdigest()


def _attempt(base: str, plus: str | None) -> Attempt:
    return Attempt(base=base == "pass", further=None if plus is None else plus == "pass")


def samples_text(samples: Iterable[Sample]) -> str:
    """Return a file of samples as EvalPlus takes it."""
    return "".join(
        f"{json.dumps({'task_id': each.task_id, 'solution': each.solution})}\n" for each in samples
    )
