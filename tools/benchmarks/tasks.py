"""The benchmarks' tasks, and how they are loaded from the official files."""

import ast
import asyncio
import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from opencodeinterpreter.tools.benchmarks.files import BenchmarkName, read_benchmark
from opencodeinterpreter.tools.benchmarks.mbpp_inputs import python_inputs
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.grading.tests import Tests
from opencodeinterpreter.tools.validation import first_problem


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True)

    task_id: str
    prompt: str
    """What a model gets: a stub with its docstring, or a sentence and examples."""
    entry_point: str
    reference: str
    """A right solution, complete."""


class InputTask(_Plain):
    """A task of HumanEval+ or MBPP+: inputs; the reference computes the right outputs."""

    base_input: list[list[Any]]
    plus_input: list[list[Any]]
    atol: float
    """Absolute tolerance of floats."""


class AssertionTask(_Plain):
    """A task of HumanEval or MBPP: a module of assertions that call the entry point."""

    tests: str


class OwnTask(BaseModel):
    """A task of a user's file."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    prompt: str
    entry_point: str | None
    reference: str | None
    tests: Tests
    """The feedback tests."""
    scoring: Tests | None
    """Tests that only score; `None` if the feedback tests score."""


Task = InputTask | AssertionTask | OwnTask


@dataclass(frozen=True)
class Benchmark:
    """One version of a benchmark, or a user's file of tasks."""

    name: str
    sha256: str
    """Of the decompressed file, in hex."""
    md5: str
    """The md5 of the same, which EvalPlus writes to its result files."""
    tasks: Mapping[str, Task]
    """By task id, in the file's order."""


async def load_benchmark(name: BenchmarkName, path: Path | None = None) -> Benchmark:
    """Load a benchmark; see `read_benchmark` for the places where it looks.

    Raises InputError that names the line if the file is not that benchmark, and BenchmarkError if
    the official file can't be fetched.
    """
    return await asyncio.to_thread(_load, name, path)


def _load(name: BenchmarkName, path: Path | None) -> Benchmark:
    content = read_benchmark(name, path)
    where = str(path or name)
    tasks: dict[str, Task] = {}
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            task = _task(name, line, f"{where}, line {number}")
            tasks[task.task_id] = task
    if not tasks:
        raise InputError(f"{where}: no task in it; it should be the JSONL file of {name}")
    return Benchmark(
        name, hashlib.sha256(content).hexdigest(), hashlib.md5(content).hexdigest(), tasks
    )


def _task(name: BenchmarkName, line: bytes, where: str) -> Task:
    try:
        fields = json.loads(line)
        return _READERS[name](fields)
    except KeyError as error:
        raise InputError(f"{where}: no task of {name}: it has no {error}") from None
    except ValidationError as error:
        raise InputError(f"{where}: {first_problem(error)}") from None
    except (ValueError, TypeError, SyntaxError, StopIteration, RecursionError) as error:
        raise InputError(f"{where}: no task of {name}: {error}") from None


def _humaneval(fields: dict[str, Any]) -> AssertionTask:
    return AssertionTask(
        task_id=fields["task_id"],
        prompt=fields["prompt"],
        entry_point=fields["entry_point"],
        reference=fields["prompt"] + fields["canonical_solution"],
        tests="\n".join(
            [
                # Some tests call helpers that are defined in the prompt only.
                fields["prompt"],
                f"from solution import {fields['entry_point']}",
                fields["test"],
                f"check({fields['entry_point']})",
            ]
        ),
    )


def _mbpp(fields: dict[str, Any]) -> AssertionTask:
    tests = [*fields["test_list"], *fields["challenge_test_list"]]
    reference = fields["code"].replace("\r\n", "\n")
    entry_point = _called(tests, reference)
    # Tests may call classes and helpers of the solution as well.
    names = f"from solution import *\nfrom solution import {entry_point}"
    return AssertionTask(
        task_id=f"Mbpp/{fields['task_id']}",
        prompt="\n".join([fields["text"], *fields["test_list"]]),
        entry_point=entry_point,
        reference=reference,
        tests="\n".join([names, fields["test_setup_code"], *tests]),
    )


def _called(tests: list[str], reference: str) -> str:
    """Return the outermost function of the reference that the tests call."""
    with warnings.catch_warnings():
        # Old references have escapes of which today's Python warns.
        warnings.simplefilter("ignore")
        defined = {getattr(statement, "name", None) for statement in ast.parse(reference).body}
        nodes = ast.walk(ast.parse("\n".join(tests)))
    return next(node.id for node in nodes if isinstance(node, ast.Name) and node.id in defined)


def _plus(convert: Callable[[str, list[list[Any]]], Any]) -> Callable[[dict[str, Any]], InputTask]:
    def read(fields: dict[str, Any]) -> InputTask:
        return InputTask(
            task_id=fields["task_id"],
            prompt=fields["prompt"],
            entry_point=fields["entry_point"],
            reference=fields["prompt"] + fields["canonical_solution"],
            base_input=[[*args] for args in convert(fields["task_id"], fields["base_input"])],
            # The one task without plus inputs has an object there.
            plus_input=[[*args] for args in convert(fields["task_id"], fields["plus_input"] or [])],
            atol=fields["atol"],
        )

    return read


def _unchanged(task_id: str, inputs: list[list[Any]]) -> list[list[Any]]:
    return inputs


_READERS: dict[BenchmarkName, Callable[[dict[str, Any]], Task]] = {
    "humaneval": _humaneval,
    "humaneval+": _plus(_unchanged),
    "mbpp": _mbpp,
    "mbpp+": _plus(python_inputs),
}
