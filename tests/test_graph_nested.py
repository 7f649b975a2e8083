"""The loop two levels deep: a host's node is a graph whose node is the loop; history and edits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, StateSnapshot

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import State, read
from opencodeinterpreter.tools.errors import InputError
from tests.scripts import RIGHT, TASK, World, summary

CONFIG: Any = {"configurable": {"thread_id": "the host's"}}
OWN = "own"
"""Stands for a saver; `None` takes the host's, and `True` the host's under a name that stays."""
LEVELS: Mapping[str, tuple[Any, Any, Any]] = {
    "the host": (OWN, None, None),
    "the host, kept in the middle": (OWN, True, None),
    "the host, kept in the loop": (OWN, None, True),
    "the host, kept in both": (OWN, True, True),
    "each level": (OWN, OWN, OWN),
}
"""Which level has a saver: the host, the graph in the middle, the loop."""


def around(inside: Any, saver: Any) -> Any:
    """Return a graph whose only node is `inside`."""
    host: Any = StateGraph(State, context_schema=Settings)
    host.add_node("inside", inside)
    host.add_edge(START, "inside")
    host.add_edge("inside", END)
    return host.compile(checkpointer=saver)


@dataclass
class Nested:
    """A loop two levels deep."""

    savers: tuple[Any, Any, Any]
    world: World = field(default_factory=World)

    def __post_init__(self) -> None:
        host, middle, loop = (InMemorySaver() if each == OWN else each for each in self.savers)
        graph = build_graph(self.world.models, self.world.runner, checkpointer=loop)
        self.graph = around(around(graph, middle), host)

    async def go(self, given: Any, config: Any = CONFIG, critic: str = "human") -> Any:
        """Run the host; return its state."""
        return await self.graph.ainvoke(given, config, context=self.world.settings(critic=critic))

    async def bottom(self) -> StateSnapshot:
        """Return the state of the loop that waits."""
        state = await self.graph.aget_state(CONFIG, subgraphs=True)
        for _ in range(2):
            state = state.tasks[0].state
        return cast(StateSnapshot, state)


def asked(state: Mapping[str, Any]) -> list[int]:
    """Return the turns of the questions that wait."""
    return [each.value["turn"] for each in state.get("__interrupt__", ())]


@pytest.mark.parametrize("savers", LEVELS.values(), ids=LEVELS)
async def test_answers_reach_the_loop_and_nothing_is_asked_twice(
    savers: tuple[Any, Any, Any],
) -> None:
    nested = Nested(savers)
    assert asked(await nested.go({"tasks": [TASK]})) == [1]
    assert asked(await nested.go(Command(resume="Print 2."))) == [2]
    done = await nested.go(Command(resume="Print 3."))
    assert summary(read(done)) == [
        "1 draft: print(1) | 0/2 | revise by tests | human",
        "2 draft: print(2) | 1/2 | revise by tests | human",
        "3 draft: print(3) | 2/2 | solved by tests",
    ]
    assert len(nested.world.coder.asked) == 3


@pytest.mark.parametrize("savers", LEVELS.values(), ids=LEVELS)
async def test_an_edit_at_the_bottom_goes_on_and_the_hosts_history_leads_back(
    savers: tuple[Any, Any, Any],
) -> None:
    nested = Nested(savers)
    await nested.go({"tasks": [TASK]})
    await nested.go(Command(resume="Print 2."))
    waiting = await nested.bottom()
    turn = waiting.values["turns"][-1]
    edited = {**turn, "drafts": [{**turn["drafts"][0], "code": RIGHT}]}
    await nested.graph.aupdate_state(waiting.config, {"turns": [edited]}, as_node="coder")
    done = await nested.go(None)
    assert summary(read(done))[1:] == ["2 draft: print(3) [an edit] | 2/2 | solved by tests"]
    assert len(nested.world.coder.asked) == 2

    history = [state async for state in nested.graph.aget_state_history(CONFIG)]
    before = next(state for state in history if state.next == ("inside",))
    assert asked(await nested.go(None, before.config)) == [1]
    assert len(nested.world.coder.asked) == 3


async def test_without_a_saver_the_loop_runs_to_its_end_and_cannot_ask() -> None:
    nested = Nested((None, None, None))
    assert len(read(await nested.go({"tasks": [TASK]}, critic="execution")).turns) == 3
    with pytest.raises(InputError, match="nobody can be asked"):
        await nested.go({"tasks": [TASK]})


async def test_a_loop_that_keeps_its_checkpoints_can_go_back_to_an_earlier_turn() -> None:
    nested = Nested((OWN, None, True))
    await nested.go({"tasks": [TASK]})
    first = await nested.bottom()
    await nested.go(Command(resume="Print 2."))
    (turn,) = first.values["turns"]
    edited = {**turn, "drafts": [{**turn["drafts"][0], "code": RIGHT}]}
    fork = await nested.graph.aupdate_state(first.config, {"turns": [edited]}, as_node="coder")
    done = await nested.go(None, fork)
    assert summary(read(done)) == ["1 draft: print(3) [an edit] | 2/2 | solved by tests"]
