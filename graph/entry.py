"""The graph's entry: what is wrong with an input is told in words, before any node runs."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, cast

from langgraph.runtime import Runtime
from pydantic import ValidationError

from opencodeinterpreter.graph.consistency import check_record
from opencodeinterpreter.nodes.entry_point import required_entry_point
from opencodeinterpreter.nodes.node import Node, Update, logged
from opencodeinterpreter.nodes.records import Record, Task
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import State
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.validation import first_problem

TestsCheck: TypeAlias = Callable[[Task], Awaitable[None]]
"""Raises InputError if a task's tests are wrong; see `graph.checking`."""


def checked_task(task: object) -> Task:
    """Return a task as the nodes need it; raises InputError, in words, if it is invalid."""
    try:
        checked = Task.model_validate(task)
    except ValidationError as error:
        raise InputError(f"the task's {first_problem(error)}") from error
    entry_point = required_entry_point(checked.prompt, checked.tests, checked.entry_point)
    return checked.model_copy(update={"entry_point": entry_point})


def entry(check: TestsCheck | None) -> Node:
    """Return the node that checks the input of a run, and with `check` a new task's tests.

    It writes the task anew if the nodes need it in another form.
    """

    @logged("task")
    async def check_input(state: State, runtime: Runtime[Settings]) -> Update:
        update, new = _checked(state)
        if check and new:
            await check(new)
        return update

    return check_input


def _checked(state: State) -> tuple[Update, Task | None]:
    """Return what to write of a checked input, and its task if no turn has begun it."""
    tasks = state.get("tasks") or []
    if not tasks:
        raise InputError(
            'the input holds no task; pass {"tasks": [{"prompt": "Write double(x)."}]}'
        )
    turns = state.get("turns") or []
    begun = bool(turns) and turns[-1].get("task") == len(tasks)
    update: Update = {} if begun else _new_task(tasks[-1])
    try:
        whole = {**state, "tasks": [*tasks[:-1], *(update.get("tasks") or tasks[-1:])]}
        record = Record.model_validate(_known(whole))
        check_record(record)
    except ValidationError as error:
        raise InputError(f"the input's {first_problem(error)}") from error
    except InputError as error:
        raise InputError(f"the input does not hold together: {error}") from error
    return update, None if begun else record.task


def _known(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: state[name] for name in Record.model_fields if name in state}


def _new_task(given: Mapping[str, Any]) -> Update:
    task = checked_task(given).model_dump(mode="json")
    return {} if task == given else {"tasks": [cast(Any, task)]}
