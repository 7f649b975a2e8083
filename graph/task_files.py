"""Files of tasks for `batch` and `evaluate`: one JSON object per line.

    {"id": "t/1", "prompt": "Write double(x).", "tests": "assert double(2) == 4"}

`tests` is Python source, a list of cases (`{"args": [2], "expected": 4}` or `{"stdin": "2",
"stdout": "4"}`), or absent. `files` maps names to text, or to `{"base64": "…"}`. `entry_point` and
`reference` are those of `nodes.records.Task`.
`scoring` has the same forms as `tests`: tests by which `evaluate` scores and that the loop never
gets.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from opencodeinterpreter.nodes.records import Task
from opencodeinterpreter.nodes.state import TaskInput
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.grading.tests import PythonTests, Tests, cases_of
from opencodeinterpreter.tools.strict_json import loads_given, name_of
from opencodeinterpreter.tools.validation import first_problem

GIVEN_TASKS = "given.jsonl"
"""The copy that a batch keeps of a user's own file of tasks."""
_KEYS = ("id", "prompt", "entry_point", "tests", "reference", "files", "scoring")


@dataclass(frozen=True)
class ScoredTask:
    """A line of such a file."""

    task: TaskInput
    """What the loop gets."""
    scoring: Tests | None
    """What the loop must not see."""


_WRITTEN = TypeAdapter[Tests](Tests)


def read_tasks(path: Path) -> dict[str, TaskInput]:
    """Return a file's tasks as the loop gets them; raises as `read_scored_tasks` does."""
    return {name: scored.task for name, scored in read_scored_tasks(path).items()}


def read_scored_tasks(path: Path) -> dict[str, ScoredTask]:
    """Return a file's tasks by id, in its order.

    Raises InputError that names the line if it is not a task or if its id occurs twice.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot read the tasks: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from None
    tasks: dict[str, ScoredTask] = {}
    first: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        name, task = _task(line, where)
        if name in tasks:
            raise InputError(f"{where}: the id {name!r} is that of line {first[name]} too")
        tasks[name], first[name] = task, number
    if not tasks:
        raise InputError(f"{path}: no task in it; write one JSON object a line")
    return tasks


def task_line(name: str, task: TaskInput) -> str:
    """Return a task as a line of such a file, without the line end."""
    return json.dumps({"id": name, **task}, ensure_ascii=False)


def _task(line: str, where: str) -> tuple[str, ScoredTask]:
    try:
        fields = loads_given(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON: {error}") from None
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
    if not isinstance(fields, dict):
        raise InputError(f"{where}: a task is a JSON object, not {name_of(fields)}")
    if unknown := fields.keys() - set(_KEYS):
        raise InputError(
            f"{where}: unknown field {', '.join(sorted(unknown))}; a task has {', '.join(_KEYS)}"
        )
    name = fields.pop("id", None)
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{where}: a task needs an `id`, a text that no other task has")
    try:
        fields["tests"] = _tests("tests", fields.get("tests"))
        scoring = _tests("scoring", fields.pop("scoring", None))
        task = Task.model_validate(fields)
    except ValidationError as error:
        raise InputError(f"{where}: {first_problem(error)}") from None
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
    seen = cast(TaskInput, task.model_dump(mode="json", exclude={"number"}))
    return name, ScoredTask(seen, scoring)


def _tests(field: str, value: Any) -> Tests | None:
    """Return the tests that a field holds; raises ValueError that names the field."""
    if isinstance(value, dict) and "kind" in value:  # As `task_line` writes them.
        return _WRITTEN.validate_python(value)
    if value is None:
        return None
    if isinstance(value, str):
        return PythonTests(source=value)
    if not isinstance(value, list):
        raise ValueError(f"`{field}` is Python or a list of cases, not {name_of(value)}")
    if not value:
        raise ValueError(f"`{field}` has no case in it; add one, or leave the field out")
    return cases_of((f"{field}, case {number}", case) for number, case in enumerate(value, 1))
