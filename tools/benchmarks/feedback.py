"""What a loop may see of a benchmark's task: its words, and the tests that give feedback.

HumanEval's feedback tests are its base tests, MBPP's are the assertions in its prompt. Inputs that
only score ("plus") are never among them.
"""

import ast
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opencodeinterpreter.tools.benchmarks.tasks import AssertionTask, InputTask
from opencodeinterpreter.tools.benchmarks.truth import Truth, rule_of
from opencodeinterpreter.tools.errors import BenchmarkError
from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.python_syntax import bound_and_free

_CLOSE = 1e-6
"""How far a float may be from the reference's, where the task names no tolerance."""


@dataclass(frozen=True)
class FeedbackTask:
    """A benchmark's task as the loop gets it."""

    prompt: str
    """A stub with its docstring, or the task in words without its examples."""
    entry_point: str
    tests: PythonTests
    """Assertions at the top level, so that each is a test of its own."""


def from_inputs(task: InputTask, truth: Truth) -> FeedbackTask:
    """Return a task of HumanEval+ or MBPP+ as the loop gets it.

    Raises BenchmarkError for an MBPP+ prompt without an assertion.
    """
    if rule_of(task).family == "mbpp":
        return _from_words(task.task_id, ast.literal_eval(task.prompt.strip()), task.entry_point)
    base = zip(task.base_input, truth.base.values, strict=True)
    lines = [assertion(task, arguments, expected) for arguments, expected in base]
    source = "\n".join([f"from solution import {task.entry_point}", "", *lines])
    if "approx(" in source:
        source = f"from pytest import approx\n{source}"
    return FeedbackTask(task.prompt, task.entry_point, PythonTests(source=source))


def from_assertions(task: AssertionTask) -> FeedbackTask:
    """Return a task of HumanEval or MBPP as the loop gets it; its feedback tests score too."""
    if task.task_id.startswith("Mbpp/"):
        return _from_words(task.task_id, task.prompt, task.entry_point)
    return FeedbackTask(task.prompt, task.entry_point, PythonTests(source=task.tests))


def assertion(task: InputTask, arguments: Sequence[Any], expected: Any) -> str:
    """Return an assertion that a call gives what the reference gave."""
    call = f"{task.entry_point}({', '.join(map(repr, arguments))})"
    if task.entry_point == "find_zero":  # any root is right
        value = f"(lambda x: sum(c * x**n for n, c in enumerate({arguments[0]!r})))({call})"
        return f"assert abs({value}) <= {task.atol}"
    if _has_float(expected):
        return f"assert {call} == approx({expected!r}, abs={task.atol or _CLOSE})"
    return f"assert {call} == {expected!r}"


def _has_float(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def _from_words(task_id: str, text: str, entry_point: str) -> FeedbackTask:
    """Split the words of a task from the assertions that follow them."""
    lines = textwrap.dedent(text).strip().split("\n")
    at = next((n for n, line in enumerate(lines) if line.startswith("assert")), len(lines))
    examples = "\n".join(lines[at:])
    try:
        found = ast.parse(examples).body
    except SyntaxError as error:
        raise BenchmarkError(f"{task_id}: its examples are not valid Python: {error.msg}") from None
    if not found:
        raise BenchmarkError(f"{task_id}: its prompt holds no assertion to give feedback by")
    source = f"{_imports(examples)}from solution import {entry_point}\n\n{examples}"
    return FeedbackTask("\n".join(lines[:at]).strip(), entry_point, PythonTests(source=source))


def _imports(examples: str) -> str:
    """Return imports of the modules that examples use; the prompts of MBPP+ hold none."""
    _, free = bound_and_free(examples)
    return "".join(f"import {name}\n" for name in sorted(free & sys.stdlib_module_names))
