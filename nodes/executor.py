"""The executor: runs every draft of the turn and picks the one to go on with."""

from collections import Counter
from collections.abc import Sequence

from langgraph.runtime import Runtime

from opencodeinterpreter.nodes.asking import all_of
from opencodeinterpreter.nodes.node import Node, Update, logged
from opencodeinterpreter.nodes.records import Draft, Record
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import State, read
from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.runner import Program, Runner


def executor(runner: Runner) -> Node:
    """Return the executor node over `runner`; it awaits one `run` a draft that holds code."""

    @logged("executor")
    async def run(state: State, runtime: Runtime[Settings]) -> Update:
        record = read(state)
        turn = record.turns[-1]
        programs = [program(record, draft) for draft in turn.drafts or ()]
        executions = await all_of([_run(runner, planned) for planned in programs])
        part = turn.part(
            programs=tuple(planned.digest if planned else None for planned in programs),
            executions=tuple(executions),
            chosen=best(executions),
        )
        return {"turns": [part]}

    return run


async def _run(runner: Runner, planned: Program | None) -> Execution | None:
    return await runner.run(planned) if planned else None


def program(record: Record, draft: Draft) -> Program | None:
    """Return the program that a draft of the last turn is; `None` where it holds no code."""
    if draft.code is None:
        return None
    settings = Settings.model_validate(record.settings[record.turns[-1].settings])
    task = record.task
    return Program(
        code=draft.code,
        files=draft.files,
        entry_point=task.entry_point,
        tests=task.tests,
        limits=settings.sandbox,
    )


def best(executions: Sequence[Execution | None]) -> int:
    """Return the index to go on with: most tests passed, then agreement of outputs, then first.

    Agreement counts how many drafts ended and printed the same, as in majority voting.
    """
    seen = Counter(_seen(execution) for execution in executions)

    def rank(index: int) -> tuple[bool, int, bool, int, int]:
        execution = executions[index]
        if execution is None:
            return (False, 0, False, 0, -index)
        passed = sum(test.status == "passed" for test in execution.tests or ())
        return (True, passed, execution.status == "ok", seen[_seen(execution)], -index)

    return max(range(len(executions)), key=rank)


def _seen(execution: Execution | None) -> tuple[object, ...]:
    if execution is None:
        return ()
    outcomes = tuple((test.status, test.message) for test in execution.tests or ())
    return (execution.status, outcomes, execution.logs.stdout)
