"""Samples to be graded, in EvalPlus's formats: a JSONL file, or a folder with one a file."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opencodeinterpreter.tools.benchmarks.tasks import Benchmark
from opencodeinterpreter.tools.errors import InputError


@dataclass(frozen=True)
class Sample:
    """One solution of a task."""

    task_id: str
    solution: str
    """The complete program."""


def read_samples(path: Path, benchmark: Benchmark) -> list[Sample]:
    """Read samples of `benchmark`, in the order in which they are written.

    A `.jsonl` file (or `.jsonl.gz`) holds `{"task_id", "solution"}` or `{"task_id", "completion"}`
    a line, a folder `HumanEval_0/0.py` and so on. Raises InputError that names the line or file.
    """
    try:
        read = _from_folder if path.is_dir() else _from_file
        samples = list(read(path, benchmark))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file or folder of samples") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    if not samples:
        raise InputError(f"{path}: no samples in it; it needs at least one")
    return samples


def _from_file(path: Path, benchmark: Benchmark) -> Iterator[Sample]:
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        path.stat()
        raise InputError(f"{path}: samples are a .jsonl file or a folder")
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _sample(line, benchmark, f"{path}, line {number}")


def _sample(line: str, benchmark: Benchmark, where: str) -> Sample:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {error}") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("task_id"), str):
        raise InputError(f"{where}: a sample is an object with a `task_id`")
    task_id = fields["task_id"]
    _check_task(task_id, benchmark, where)
    if "solution" in fields:
        return Sample(task_id, _text(fields, "solution", where))
    if "completion" in fields:
        return Sample(task_id, benchmark.tasks[task_id].prompt + _text(fields, "completion", where))
    raise InputError(f"{where}: {task_id} has neither `solution` nor `completion`")


def _text(fields: dict[str, Any], name: str, where: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        kind = type(value).__name__
        raise InputError(f"{where}: `{name}` is a string, not {kind}; write one line a solution")
    return value


def _check_task(task_id: str, benchmark: Benchmark, where: str) -> None:
    if task_id in benchmark.tasks:
        return
    first = next(iter(benchmark.tasks))
    raise InputError(
        f"{where}: there is no task {task_id!r} in {benchmark.name}, whose tasks are called "
        f"like {first}; is --benchmark right?"
    )


def _from_folder(path: Path, benchmark: Benchmark) -> Iterator[Sample]:
    for folder in sorted(path.iterdir()):
        if folder.is_dir():
            task_id = folder.name.replace("_", "/")
            _check_task(task_id, benchmark, str(folder))
            for file in sorted(folder.glob("*.py"), key=lambda file: (len(file.stem), file.stem)):
                yield Sample(task_id, file.read_text(encoding="utf-8"))
