"""Storage grows with a run's turns, not with their square.

Channels, saver, routes and file are the product's own; the nodes only repeat, turn after turn, what
the real ones wrote in one, so that five hundred turns take seconds.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from langgraph.graph import END, START, StateGraph

from opencodeinterpreter.graph.routes import next_node
from opencodeinterpreter.graph.runs import advance, create_run, open_run
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import Input, State
from opencodeinterpreter.testing import ScriptedModel, ScriptedRunner, draft, graded
from opencodeinterpreter.tools.canonical import digest
from tests.scripts import TASK, World

MOST = 6.0
"""What 500 turns may take at most, measured in what 100 take."""
LINES = "\n".join(f"value_{number} = {number}  # some words to fill it" for number in range(36))
FAILED = graded(False, message="expected 4, got 5, and so on. " * 8)
NODES = ("coder", "executor", "judge", "critic")

Update = dict[str, Any]


async def one_turn() -> list[Update]:
    """Return what the four nodes write in one turn whose texts are about 2 KB."""
    world = World(coder=ScriptedModel([draft(LINES)]), runner=ScriptedRunner(default=FAILED))
    seed = task_seed(TASK, world.settings(limits={"turns": 3, "stuck": False}))
    stream = world.graph().astream(cast(Any, seed), stream_mode="updates")
    written = [update async for part in stream for update in part.values()]
    return cast(list[Update], written[4:8])


def writes(pattern: list[Update], count: int) -> Iterator[Update]:
    """Yield the writes of `count` turns, each with a number and texts of its own."""
    for number in range(1, count + 1):
        for update in pattern:
            turn = {**update["turns"][0], "number": number}
            if number == count and "verdict" in update["turns"][0] and len(turn) == 2:
                turn["verdict"] = {**turn["verdict"], "decision": "stopped"}
            messages = {
                digest([number, at]): {**message, "content": f"{number} {message['content']}"}
                for at, message in update.get("messages", {}).items()
            }
            yield {**update, "turns": [turn], **({"messages": messages} if messages else {})}


def repeating(written: Iterator[Update]) -> StateGraph[State, Settings, Input, State]:
    """Return the graph with nodes that write what they are given."""
    built = StateGraph(State, context_schema=Settings, input_schema=Input, output_schema=State)
    node: Callable[[State], Update] = lambda state: next(written)  # noqa: E731
    entries: Any = {**{name: name for name in NODES}, "end": END}
    for name in NODES:
        built.add_node(name, cast(Any, node))
        built.add_conditional_edges(name, next_node, entries)
    built.add_conditional_edges(START, next_node, entries)
    return built


async def grow(path: Path, count: int) -> tuple[int, float]:
    """Store a run of so many turns; return the file's bytes and the seconds to open the run."""
    graph = repeating(writes(await one_turn(), count))
    async with open_store(str(path)) as store:
        row = await create_run(store, task_seed(TASK, World().settings()))
        run = await advance(store, graph.compile(checkpointer=store.saver), row)
    assert len(run.record.turns) == count
    async with open_store(str(path)) as store:
        began = time.perf_counter()
        assert (await open_run(store, row.id)).record == run.record
        took = time.perf_counter() - began
    return path.stat().st_size, took


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
