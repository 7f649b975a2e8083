"""Read samples in EvalPlus's formats: a JSONL file, or a folder with one file per sample."""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opencodeinterpreter.tools.benchmarks.tasks import Benchmark
from opencodeinterpreter.tools.errors import InputError

_TASK = re.compile(r'"task_id"\s*:\s*"([^"\\]*)"')
_SURROGATE = re.compile("[\ud800-\udfff]")
_DIGITS = 18
"""Python refuses to read integers of thousands of digits; no field of a sample has that many."""
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Sample:
    """One solution of a task."""

    task_id: str
    solution: str
    """The complete program."""
    problem: str = ""
    """Why there is no program; it then fails without being run. Empty if there is one."""


def read_samples(path: Path, benchmark: Benchmark) -> list[Sample]:
    """Read samples of `benchmark`, in the order of the file or folder.

    A `.jsonl` (or `.jsonl.gz`) file has one `{"task_id", "solution"}` or `{"task_id",
    "completion"}` per line, a folder has files such as `HumanEval_0/0.py`. A sample that names its
    task and cannot be read has a `problem`, if there are others that can be read. Raises InputError
    that names the line or file.
    """
    try:
        read = _from_folder if path.is_dir() else _from_file
        samples = list(read(path, benchmark))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file or folder of samples") from None
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    if not samples:
        raise InputError(f"{path}: no samples in it; it needs at least one")
    if all(sample.problem for sample in samples):
        raise InputError(samples[0].problem)
    return samples


def _from_file(path: Path, benchmark: Benchmark) -> Iterator[Sample]:
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        path.stat()
        raise InputError(f"{path}: samples are a .jsonl file or a folder")
    content = path.read_bytes()
    content = gzip.decompress(content) if path.suffix == ".gz" else content
    for number, line in enumerate(content.removeprefix(_BOM).split(b"\n"), 1):
        if line.strip():
            yield _sample(line, benchmark, f"{path}, line {number}")


def _sample(line: bytes, benchmark: Benchmark, where: str) -> Sample:
    try:
        fields = json.loads(line.decode("utf-8"), parse_int=_integer)
    except UnicodeDecodeError as error:
        return _broken(line, benchmark, f"{where}: not UTF-8 text (byte {error.start})")
    except (ValueError, RecursionError) as error:
        return _broken(line, benchmark, f"{where}: not JSON: {error}")
    task_id = _task_id(fields.get("task_id"), benchmark) if isinstance(fields, dict) else None
    if task_id is None:
        raise InputError(f"{where}: a sample is an object with a `task_id`")
    _check_task(task_id, benchmark, where)
    if "solution" in fields:
        return _of_text(task_id, "", fields, "solution", where)
    if "completion" in fields:
        return _of_text(task_id, benchmark.tasks[task_id].prompt, fields, "completion", where)
    return Sample(task_id, "", f"{where}: {task_id} has neither `solution` nor `completion`")


def _task_id(told: object, benchmark: Benchmark) -> str | None:
    """Return a task's id; MBPP's own files have its number alone."""
    if isinstance(told, int) and not isinstance(told, bool):
        return f"{next(iter(benchmark.tasks)).partition('/')[0]}/{told}"
    return told if isinstance(told, str) else None


def _integer(text: str) -> float:
    return int(text) if len(text) <= _DIGITS else float(text)


def _broken(line: bytes, benchmark: Benchmark, problem: str) -> Sample:
    """Return the sample of a line that cannot be read, if the line names its task."""
    named = _TASK.search(line.decode("utf-8", "replace"))
    if named is None or named[1] not in benchmark.tasks:
        raise InputError(problem)
    return Sample(named[1], "", problem)


def _of_text(task_id: str, before: str, fields: dict[str, Any], name: str, where: str) -> Sample:
    value = fields[name]
    if not isinstance(value, str):
        kind = type(value).__name__
        problem = f"{where}: `{name}` is a string, not {kind}; write one line a solution"
        return Sample(task_id, "", problem)
    if _SURROGATE.search(value):
        return Sample(task_id, before + value, f"{where}: `{name}` is not valid Unicode")
    return Sample(task_id, before + value)


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
                yield _from_program(task_id, file)


def _from_program(task_id: str, file: Path) -> Sample:
    try:
        return Sample(task_id, file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        return Sample(task_id, "", f"{file}: not UTF-8 text (byte {error.start})")
