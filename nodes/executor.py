"""The executor: runs every draft of the turn and chooses the best."""

from collections import Counter
from collections.abc import Sequence

from langgraph.runtime import Runtime

from opencodeinterpreter.nodes.artifacts import Keeper
from opencodeinterpreter.nodes.given import written_out
from opencodeinterpreter.nodes.node import Node, Update, logged
from opencodeinterpreter.nodes.records import Draft, Record, Task, Turn
from opencodeinterpreter.nodes.settings import Settings, settings_of
from opencodeinterpreter.nodes.state import State, read
from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.gathering import all_of
from opencodeinterpreter.tools.program import Program, Step
from opencodeinterpreter.tools.runner import Runner


def executor(runner: Runner) -> Node:
    """Return the executor node; it awaits one `runner.run` per draft with code."""

    @logged("executor")
    async def run(state: State, runtime: Runtime[Settings]) -> Update:
        record = read(state)
        settings = settings_of(record)
        turn, texts = written_out(record, settings.prompts)
        before = steps_before(record)
        programs = [
            program(record.task, draft, settings.sandbox, before) for draft in turn.drafts or ()
        ]
        keeper = Keeper(record.artifacts)
        executions = await all_of([_run(runner, planned, keeper) for planned in programs])
        part = turn.part(
            **({"drafts": turn.drafts} if texts else {}),
            programs=tuple(planned.digest if planned else None for planned in programs),
            executions=tuple(executions),
            chosen=best(executions),
        )
        update: Update = {"turns": [part]}
        if texts:
            update["texts"] = texts
        if keeper.added:
            update["artifacts"] = keeper.added
        return update

    return run


async def _run(runner: Runner, planned: Program | None, keeper: Keeper) -> Execution | None:
    return keeper.take(await runner.run(planned)) if planned else None


def program(
    task: Task, draft: Draft, limits: SandboxLimits, before: tuple[Step, ...] | None
) -> Program | None:
    """Return a draft as a program that runs after the steps `before`; `None` if it has no code."""
    if draft.code is None:
        return None
    return Program(
        code=draft.code,
        files=draft.files,
        inputs=task.files,
        entry_point=task.entry_point,
        tests=task.tests,
        limits=limits,
        before=before,
    )


def steps_before(record: Record) -> tuple[Step, ...] | None:
    """Return the steps that a session has run before the current task; `None` without a session.

    There is one step a task: its last program, if that ended without an error, and its files.
    """
    if not record.task.session:
        return None
    return tuple(_step(task, record.turns_of(task)) for task in record.tasks[:-1])


def _step(task: Task, turns: Sequence[Turn]) -> Step:
    last = turns[-1] if turns else None
    if last is None or last.draft is None or last.execution is None:
        return Step(code="", inputs=task.files)
    if last.draft.code is None or last.execution.status != "ok":
        return Step(code="", inputs=task.files)
    return Step(code=last.draft.code, files=last.draft.files, inputs=task.files)


def best(executions: Sequence[Execution | None]) -> int:
    """Return the best draft's index: most tests passed, then agreement of outputs, then first.

    Agreement is the number of drafts that ended alike and printed the same (majority voting).
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
