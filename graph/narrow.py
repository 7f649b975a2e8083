"""The loop with a small input and output, for callers that know no more than a task.

A server shows it as a tool (MCP) or a skill (A2A): task and tests in, outcome and code out.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, Required, TypeAlias

from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Checkpointer
from pydantic import Field
from typing_extensions import TypedDict

from opencodeinterpreter.graph.build import Seams, wire
from opencodeinterpreter.graph.entry import TestsCheck, checked_task
from opencodeinterpreter.nodes.node import Update, logged
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import Item, State, read
from opencodeinterpreter.tools.errors import InputError

_Task = Annotated[
    str,
    Field(
        title="Task",
        min_length=1,
        description="What the code must do, in words or as a function stub with its docstring.",
    ),
]
_Tests = Annotated[
    str | list[Item] | None,
    Field(
        title="Tests",
        description="A pytest file that imports the program as `solution`, or a list of cases, "
        'each {"args": […], "expected": …} or {"stdin": "…", "stdout": "…"}.',
    ),
]
_EntryPoint = Annotated[
    str | None,
    Field(
        title="Entry point",
        description="The function that must be there, if the task does not name it.",
    ),
]


class CodeTask(TypedDict, total=False):
    """A task and its tests."""

    task: Required[_Task]
    tests: _Tests
    entry_point: _EntryPoint


class CodeOutcome(TypedDict, total=False):
    """How a task ended."""

    outcome: Literal["solved", "not solved"]
    reason: str
    code: str | None


class NarrowState(State, total=False):
    """The record, and the small input and output."""

    task: _Task
    tests: _Tests
    entry_point: _EntryPoint
    outcome: Literal["solved", "not solved"]
    reason: str
    code: str | None


NarrowGraph: TypeAlias = CompiledStateGraph[NarrowState, Settings, CodeTask, CodeOutcome]


def build_solve_code(seams: Seams, *, checkpointer: Checkpointer = None) -> NarrowGraph:
    """Compile the loop with a small input and output; the caller opens and closes the seams."""
    built: StateGraph[NarrowState, Settings, CodeTask, CodeOutcome] = StateGraph(
        NarrowState, context_schema=Settings, input_schema=CodeTask, output_schema=CodeOutcome
    )
    wire(built, seams, {"task": take(seams.check)}, {"outcome": tell})
    return built.compile(checkpointer=checkpointer, name="solve_code")


_Take: TypeAlias = Callable[[NarrowState, Runtime[Settings]], Awaitable[dict[str, Any]]]


def take(check: TestsCheck | None) -> _Take:
    """Return the node that makes a task of the input, and checks its tests."""

    async def accept(state: NarrowState, runtime: Runtime[Settings]) -> dict[str, Any]:
        if not state.get("task"):
            raise InputError('the input holds no task; pass {"task": "Write double(x)."}')
        given = {
            "number": len(state.get("tasks") or ()) + 1,
            "prompt": state["task"],
            "tests": state.get("tests"),
            "entry_point": state.get("entry_point"),
        }
        task = checked_task(given)
        if check:
            await check(task)
        # The next input on the thread may leave them out.
        return {"tasks": [task.model_dump(mode="json")], "tests": None, "entry_point": None}

    return accept


@logged("outcome")
async def tell(state: State, runtime: Runtime[Settings]) -> Update:
    """Tell how the task ended."""
    record = read(state)
    return {
        "outcome": "solved" if record.solved else "not solved",
        "reason": record.outcome.reason if record.outcome else "the run has not ended",
        "code": record.code,
    }
