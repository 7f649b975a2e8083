"""Graphs whose three seams are scripted, and one-line summaries of what they recorded."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
from langgraph.checkpoint.memory import InMemorySaver

from opencodeinterpreter.graph.build import Graph, build_graph
from opencodeinterpreter.graph.runs import Origin, Run, advance, create_run, open_run
from opencodeinterpreter.graph.seeds import Edit, branch_seed, task_seed
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import Row
from opencodeinterpreter.nodes.records import Record, Turn
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import read
from opencodeinterpreter.testing import ScriptedModel, ScriptedRunner, draft, graded
from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.models.protocol import Model, Role
from opencodeinterpreter.tools.person import Person
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import Runner

HOLDER = """
import asyncio, sys
from opencodeinterpreter.graph.store.opening import open_store

async def main(url, run):
    async with open_store(url) as store, store.claim(run):
        print("held", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main(*sys.argv[1:]))
"""
"""A program that claims a run of a store until its stdin closes: `python -c HOLDER URL RUN`."""

TASK: dict[str, Any] = {"prompt": "Add two numbers."}
WRONG, BETTER, RIGHT = "print(1)", "print(2)", "print(3)"
TABLE = {WRONG: graded(False, False), BETTER: graded(True, False), RIGHT: graded(True, True)}
THREE_TURNS = (draft(WRONG), draft(BETTER), draft(RIGHT))


@dataclass
class World:
    """The three seams of one graph; by default a run is solved at its third turn."""

    coder: ScriptedModel = field(default_factory=lambda: ScriptedModel(THREE_TURNS))
    critic: ScriptedModel | None = None
    judge: ScriptedModel | None = None
    runner: Runner = field(default_factory=lambda: ScriptedRunner(TABLE))
    person: Person | None = None

    @property
    def models(self) -> dict[Role, Model]:
        named: dict[Role, Model | None] = {
            "coder": self.coder,
            "judge": self.judge,
            "critic": self.critic,
        }
        return {role: model for role, model in named.items() if model is not None}

    def settings(self, **fields: Any) -> Settings:
        """Return settings that name these models."""
        specs = {role: model.spec for role, model in self.models.items()}
        return Settings.model_validate({"models": specs, **fields})

    def graph(self, store: Store | None = None) -> Graph:
        saver = store.saver if store else None
        return build_graph(self.models, self.runner, self.person, checkpointer=saver)

    async def solve(self, task: Mapping[str, Any] = TASK, **fields: Any) -> Record:
        """Run a task without a store; return its record."""
        return await self.drive(task_seed(dict(task), self.settings(**fields)))

    async def drive(self, seed: Mapping[str, Any]) -> Record:
        """Run a seed to its end, in memory."""
        graph = build_graph(self.models, self.runner, self.person, checkpointer=InMemorySaver())
        config: Any = {"configurable": {"thread_id": "t"}}
        return read(cast(Any, await graph.ainvoke(cast(Any, dict(seed)), config)))

    async def run(self, store: Store, task: Mapping[str, Any] = TASK, **fields: Any) -> Run:
        """Run a task to its end, in a store."""
        row = await create_run(store, task_seed(dict(task), self.settings(**fields)))
        return await advance(store, self.graph(store), row)

    async def branch(self, store: Store, parent: Row, turn: int, edit: Edit) -> Run:
        """Branch a stored run and run the branch to its end."""
        record = (await open_run(store, parent.id)).record
        seed = branch_seed(record, parent.short, turn, edit)
        row = await create_run(store, seed, Origin(parent=parent.id, parent_turn=turn))
        return await advance(store, self.graph(store), row)


async def cancelled_for_good(world: World, store: Store, row: Row) -> None:
    """Advance a run whose runner is a `Gathering` of one, and there cancel all that it awaits.

    A scope of anyio cancels again at each await that follows; an MCP server has one for each call.
    """
    assert isinstance(world.runner, Gathering)
    with anyio.CancelScope() as scope:
        going = asyncio.ensure_future(world.runner.all_here.wait())
        going.add_done_callback(lambda _: scope.cancel())
        await advance(store, world.graph(store), row)


def summary(record: Record) -> list[str]:
    """Return one line per turn: draft, run, verdict, feedback, with the source of given parts.

    For example `1 draft: print(1) | 0/2 | revise by tests | execution`.
    """
    return [" | ".join(_parts(record, turn)) for turn in record.turns]


def _parts(record: Record, turn: Turn) -> Iterable[str]:
    def mark(part: Any) -> str:
        return f" [{turn.given[part]}]" if part in turn.given else ""

    code = "no code" if turn.code is None else turn.code.strip()
    yield f"{turn.number} draft: {code}{mark('drafts')}"
    if turn.execution:
        yield f"{_outcome(turn.execution)}{mark('executions')}"
    if turn.verdict:
        yield f"{turn.verdict.decision} by {turn.verdict.decided_by}{mark('verdict')}"
    if turn.feedback:
        action = turn.feedback.action
        yield turn.feedback.kind + (f" {action}" if action != "words" else "") + mark("feedback")


def _outcome(execution: Execution) -> str:
    if execution.tests is None:
        return execution.status
    passed = sum(test.status == "passed" for test in execution.tests)
    return f"{passed}/{len(execution.tests)}"


class Gathering:
    """A runner whose executions wait until as many as expected go on at once."""

    def __init__(self, expected: int) -> None:
        self._runner = ScriptedRunner(TABLE)
        self._left = expected
        self.all_here = asyncio.Event()
        self.go_on = asyncio.Event()

    async def run(self, program: Program) -> Execution:
        self._left -= 1
        if self._left == 0:
            self.all_here.set()
        await self.go_on.wait()
        return await self._runner.run(program)
