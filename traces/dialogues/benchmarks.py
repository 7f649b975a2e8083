"""The texts of benchmarks that must not be trained on: prompts, solutions and tests."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from opencodeinterpreter.tools.benchmarks.files import BenchmarkName, read_benchmark, unpacked
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.frozen import Frozen

_NAMES = ("task_id", "id", "name")
_TEXTS = (
    *("prompt", "text", "question"),
    *("canonical_solution", "code", "reference"),
    *("test", "test_list", "challenge_test_list", "assertion", "tests", "scoring"),
)
"""The fields of HumanEval, MBPP, their plus versions, and our files of tasks."""


class BenchmarkText(Frozen):
    """A text of a task."""

    task: str
    text: str


def benchmark_texts(named: str) -> list[BenchmarkText]:
    """Return the texts of a benchmark: a known name, or a file with a JSON object per line.

    Raises InputError for a file that cannot be read or has no texts, BenchmarkError as
    `read_benchmark` does.
    """
    found: list[BenchmarkText] = []
    for number, line in enumerate(_content(named).split(b"\n"), 1):
        if line.strip():
            found += _texts(_object(line, f"{named}, line {number}"), f"line {number}")
    if not found:
        raise InputError(f"{named}: no task with one of the fields {', '.join(_TEXTS)}")
    return found


def _content(named: str) -> bytes:
    known = next((name for name in get_args(BenchmarkName) if name == named), None)
    return unpacked(Path(named)) if known is None else read_benchmark(known)


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)  # Not strictly: the inputs of MBPP+ hold `-Infinity`.
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{where}: a task is a JSON object, not {type(value).__name__}")
    return value


def _texts(fields: dict[str, Any], number: str) -> Iterator[BenchmarkText]:
    task = next((str(fields[name]) for name in _NAMES if name in fields), number)
    for name in _TEXTS:
        if text := "\n".join(_strings(fields.get(name))):
            yield BenchmarkText(task=task, text=text)


def _strings(value: Any) -> Iterator[str]:
    """Yield a text, or the texts in a list or an object."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)
