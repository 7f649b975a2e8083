"""Storage and work grow with a run's turns, not with their square.

Work is counted in function calls, which are the same however busy the machine is. For storage,
channels, saver, routes and file are the product's own; the nodes only repeat, turn after turn, what
the real ones wrote in one, so that five hundred turns take seconds.
"""

import json
import sys
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from langgraph.graph import END, START, StateGraph

from opencodeinterpreter.graph.entry import entry
from opencodeinterpreter.graph.routes import next_node
from opencodeinterpreter.graph.runs import Run, advance, create_run, open_run
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import Row, now
from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import Input, Output, State
from opencodeinterpreter.testing import ScriptedModel, ScriptedRunner, draft, graded
from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import Trace, trace_of
from tests.scripts import TASK, World

MOST = 6.0
"""What 500 turns may take at most, measured in what 100 take."""
LINES = "\n".join(f"value_{number} = {number}  # some words to fill it" for number in range(36))
FAILED = graded(False, message="expected 4, got 5, and so on. " * 8)
SETTINGS: dict[str, Any] = {"limits": {"turns": 3, "stuck": False}}
NODES = ("coder", "executor", "judge", "critic")

Update = dict[str, Any]


async def one_turn() -> list[Update]:
    """Return what the four nodes write in one turn whose texts are about 2 KB."""
    world = World(coder=ScriptedModel([draft(LINES)]), runner=ScriptedRunner(default=FAILED))
    seed = task_seed(TASK, world.settings(**SETTINGS))
    stream = world.graph().astream(cast(Any, seed), stream_mode="updates")
    written = [update async for part in stream for update in part.values() if update]
    return cast(list[Update], written[4:8])


def writes(pattern: list[Update], count: int) -> Iterator[Update]:
    """Yield the writes of `count` turns, each with a number and texts of its own."""
    own = {at for update in pattern for at in update.get("texts", {})}
    parents = {
        message["parent"] for update in pattern for message in update.get("texts", {}).values()
    }
    words = list(pattern[-1]["texts"])[-1]
    for number in range(1, count + 1):
        # What a turn begins with are the words of the turn before it.
        names = {at: digest([number, at]) for at in own}
        names |= {at: digest([number - 1, words]) for at in parents - own}
        for update in _renamed(pattern, names):
            (turn,) = update["turns"]
            turn["number"] = number
            if number == count and "verdict" in turn and len(turn) == 2:
                turn["verdict"]["decision"] = "stopped"
            for message in update.get("texts", {}).values():
                message["content"] = f"{number} {message['content']}"
            if number == 1 and "drafts" in turn:
                first = {"parent": None, "role": "user", "content": "0"}
                update["texts"] = {digest([0, words]): first, **update["texts"]}
            yield update


def _renamed(pattern: list[Update], names: dict[str, str]) -> list[Update]:
    text = json.dumps(pattern)
    for old, new in names.items():
        text = text.replace(old, new)
    return cast(list[Update], json.loads(text))


def repeating(written: Iterator[Update]) -> StateGraph[State, Settings, Input, Output]:
    """Return the graph with nodes that write what they are given."""
    built = StateGraph(State, context_schema=Settings, input_schema=Input, output_schema=Output)
    node: Callable[[State], Update] = lambda state: next(written)  # noqa: E731
    entries: Any = {**{name: name for name in NODES}, "end": END}
    for name in NODES:
        built.add_node(name, cast(Any, node))
        built.add_conditional_edges(name, next_node, entries)
    built.add_node("task", entry(None))
    built.add_edge(START, "task")
    built.add_conditional_edges("task", next_node, entries)
    return built


async def grow(path: Path, count: int) -> tuple[int, float]:
    """Store a run of so many turns; return the file's bytes and the seconds to open the run."""
    graph = repeating(writes(await one_turn(), count))
    async with open_store(str(path)) as store:
        row = await create_run(store, task_seed(TASK, World().settings(**SETTINGS)))
        run = await advance(store, graph.compile(checkpointer=store.saver), row)
    assert len(run.record.turns) == count
    async with open_store(str(path)) as store:
        began = time.perf_counter()
        assert (await open_run(store, row.id)).record == run.record
        took = time.perf_counter() - began
    return path.stat().st_size, took


@pytest.mark.slow
async def test_five_hundred_turns_take_at_most_six_times_what_a_hundred_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small, _ = await grow(tmp_path / "small.sqlite", 100)
    large, opening = await grow(tmp_path / "large.sqlite", 500)
    with capsys.disabled():
        print(
            f"\n100 turns {small / 1e6:.2f} MB, 500 turns {large / 1e6:.2f} MB "
            f"({large / small:.1f} times), opened in {opening * 1000:.0f} ms"
        )
    assert large / small <= MOST


async def calls_of(work: Coroutine[Any, Any, Any]) -> int:
    """Return how many functions are called by this thread until `work` is done."""
    count = 0

    def seen(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(seen)
    try:
        await work
    finally:
        sys.setprofile(None)
    return count


async def long_record(turns: int) -> Record:
    """Return the record of a run of so many turns, each with a program of its own."""
    programs = [f"print({number})" for number in range(turns)]
    world = World(
        coder=ScriptedModel([draft(program) for program in programs]),
        runner=ScriptedRunner(dict.fromkeys(programs, graded(False))),
    )
    # A turn is compared with all before it, and each limit counts all turns.
    limits = {"turns": turns, "calls": 10**6, "tokens": 10**9, "cost": 1e9, "seconds": 1e9}
    return await world.solve(limits=limits)


def trace_of_record(record: Record) -> Trace:
    """Return the trace of a run with this record."""
    row = Row(str(uuid.UUID(int=1)), None, None, "", "unsolved", 0, 0, now(), now())
    return trace_of(Run(row=row, record=record, next="end"))


async def test_the_work_of_a_turn_does_not_grow_with_the_turns_before_it() -> None:
    solving, replaying = list[int](), list[int]()
    await long_record(3)  # What is imported and computed once.
    for turns in (20, 40, 80):
        solving.append(await calls_of(long_record(turns)))
        trace = trace_of_record(await long_record(turns))
        replaying.append(await calls_of(replay(trace)))
        assert (await replay(trace)).identical
    for few, more, many in (solving, replaying):
        # Twice the turns, twice the calls; a square would add them up to more.
        assert (many - more) / (more - few) < 2.1, (few, more, many)
