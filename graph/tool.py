"""The loop as a tool for agents: typed arguments in, a short result out."""

from typing import Annotated, Literal

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, Field

from opencodeinterpreter.graph.hosted import solved_in_host
from opencodeinterpreter.graph.solve import Solution, Solver
from opencodeinterpreter.nodes.state import TaskInput
from opencodeinterpreter.tools.errors import OpenCodeInterpreterError

DESCRIPTION = (
    "Write a Python program for a task, run it in a sandbox, test it, and refine it from what went "
    "wrong. Give tests whenever you know what must hold: without them only a crash is noticed."
)


TaskText = Annotated[
    str,
    Field(
        min_length=1,
        description="What the code must do, in words or as a function stub with its docstring.",
    ),
]
TestsText = Annotated[
    str | None,
    Field(
        description="A pytest file that imports the program as `solution`, for example "
        "'from solution import double\\nassert double(2) == 4'."
    ),
]
EntryPoint = Annotated[
    str | None,
    Field(description="The function that must be there, if the task does not name it."),
]


class CodeArguments(BaseModel, extra="forbid"):
    """What an agent passes."""

    # Without tests nearly every program counts as right, so a misspelt `tests` is refused.

    task: TaskText
    tests: TestsText = None
    entry_point: EntryPoint = None


def code_task(task: str, tests: str | None, entry_point: str | None) -> TaskInput:
    """Return what an agent passed as a task of the loop."""
    given = None if tests is None else {"kind": "python", "source": tests}
    return {"prompt": task, "tests": given, "entry_point": entry_point}


class CodeResult(BaseModel):
    """What an agent gets."""

    outcome: Literal["solved", "not solved"]
    reason: str
    """Why, as the judge said it: how many tests passed, or which limit was reached."""
    code: str | None
    """The last program; `None` if no answer held one."""
    turns: int
    run: str | None
    """The run's id, by which it can be shown, replayed and branched; `None` without a store."""


def result_of(solution: Solution) -> CodeResult:
    """Return the short form of a solution."""
    record = solution.record
    return CodeResult(
        outcome="solved" if record.solved else "not solved",
        reason=record.outcome.reason if record.outcome else "the run has not ended",
        code=record.code,
        turns=len(record.turns),
        run=solution.run,
    )


def as_tool(solver: Solver, name: str = "solve_code") -> BaseTool:
    """Return `solver` as a LangChain tool, for `create_agent` and other hosts.

    The result is JSON with the fields of `CodeResult`. An error of a model, the sandbox or the
    agent's tests is returned as text, so that the agent can go on. If the solver has a store, a
    human critic interrupts the agent, as in `as_node`.
    """

    async def call(task: TaskText, tests: TestsText = None, entry_point: EntryPoint = None) -> str:
        try:
            solution = await solved_in_host(solver, code_task(task, tests, entry_point))
        except OpenCodeInterpreterError as error:
            return f"error: {error}"
        return result_of(solution).model_dump_json()

    def call_sync(task: TaskText, tests: TestsText = None, entry_point: EntryPoint = None) -> str:
        return solver.wait(call(task, tests, entry_point))

    return StructuredTool.from_function(
        call_sync,
        coroutine=call,
        name=name,
        description=DESCRIPTION,
        args_schema=CodeArguments,
    )
