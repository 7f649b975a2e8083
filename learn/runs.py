"""Runs of the graph over tasks: as dialogues to learn from, and as a measurement."""

import asyncio
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from learn.language import Task
from learn.people import QUESTION, REFERENCE, Taught, Users
from learn.running import SharedRunner
from opencodeinterpreter.graph.build import Graph, build_graph
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.nodes.settings import Limits, Settings
from opencodeinterpreter.nodes.state import TaskInput, read
from opencodeinterpreter.tools.models.protocol import Model
from opencodeinterpreter.tools.runner import Runner
from opencodeinterpreter.traces.dialogues.format import Dialogue, Dropped
from opencodeinterpreter.traces.dialogues.runs import dialogue_of
from opencodeinterpreter.traces.trace import Header, Trace

_AT_ONCE = 256
_PROMPTS = {
    "coder_system": "",
    "task_words": "$prompt",
    "task_examples": "",
    "critic_question": QUESTION,
    "critic_reference": REFERENCE,
}
"""A million parameters read little."""
_LIMITS = Limits(turns=2, stuck=False)
_NOTICE = {"execution_result": "Execution result: some tests did not pass."}

ARMS: Mapping[str, Settings] = {
    "notice": Settings(critic="execution", limits=_LIMITS, prompts={**_PROMPTS, **_NOTICE}),
    "execution": Settings(critic="execution", limits=_LIMITS, prompts=_PROMPTS),
    "simulated": Settings(critic="simulated", limits=_LIMITS, prompts=_PROMPTS),
    "oracle": Settings(critic="oracle", limits=_LIMITS, prompts=_PROMPTS),
}
"""The kinds of feedback. `notice` is a control: it says that the draft is wrong, and no more."""
_SINGLE = Settings(critic="none", limits=Limits(turns=1), prompts=_PROMPTS)


@dataclass(frozen=True)
class Measured:
    """How a pupil does on tasks."""

    tasks: int
    single: int
    """How many first drafts pass."""
    repaired: dict[str, int]
    """How many of the others pass after feedback of each kind."""


async def measure(pupil: Model, runner: Runner, chosen: Sequence[Task]) -> Measured:
    """Run tasks with one turn, and those that fail with two, in each arm."""
    graph, room = _graph(pupil, SharedRunner(runner)), asyncio.Semaphore(_AT_ONCE)

    async def solved(task: Task, settings: Settings) -> bool:
        async with room:
            return (await _record(graph, task, settings)).solved

    async def all_solved(tasks: Sequence[Task], settings: Settings) -> list[bool]:
        return await asyncio.gather(*(solved(task, settings) for task in tasks))

    passed = await all_solved(chosen, _SINGLE)
    failed = [task for task, done in zip(chosen, passed, strict=True) if not done]
    repaired = {arm: sum(await all_solved(failed, settings)) for arm, settings in ARMS.items()}
    return Measured(len(chosen), sum(passed), repaired)


async def dialogues(
    pupil: Model, runner: Runner, chosen: Iterable[tuple[Task, str]]
) -> list[Dialogue]:
    """Run tasks, each in its arm, with a teacher who repairs; return the runs as dialogues."""
    shared, waiting = SharedRunner(runner), enumerate(chosen)
    records: dict[int, Record] = {}

    async def desk() -> None:
        taught = Taught(pupil)
        graph = _graph(taught, shared)
        for number, (task, arm) in waiting:
            taught.task = task
            records[number] = await _record(graph, task, ARMS[arm])

    await asyncio.gather(*(desk() for _ in range(_AT_ONCE)))
    # In the order of the tasks, not of their ends: else a seed would not give the same pupil.
    packed = [_packed(records[number]) for number in sorted(records)]
    return [each for each in packed if isinstance(each, Dialogue)]


def _graph(coder: Model, runner: Runner) -> Graph:
    return build_graph({"coder": coder, "critic": Users()}, runner)


async def _record(graph: Graph, task: Task, settings: Settings) -> Record:
    cases = [{"args": [xs], "expected": want} for xs, want in task.cases]
    asked: TaskInput = {
        "prompt": task.prompt,
        "entry_point": "f",
        "tests": {"kind": "cases", "cases": cases},
        "reference": task.code,
    }
    return read(await graph.ainvoke(task_seed(asked, settings)))


def _packed(record: Record) -> Dialogue | Dropped:
    header = Header(run=str(uuid.uuid4()), created=datetime.now(UTC).isoformat())
    return dialogue_of(Trace(header=header, record=record, routes=()))
