"""The next node is a pure function of the record."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from opencodeinterpreter.graph.routes import next_node
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.nodes.state import Input, State, by_key, by_number
from opencodeinterpreter.testing import ScriptedModel, ScriptedPerson, draft
from opencodeinterpreter.tools.person import PersonAnswer
from tests.scripts import BETTER, RIGHT, TASK, World

CODE, PROSE = [{"code": "x"}], [{"code": None}]
REVISE, SOLVED, STOPPED = ({"decision": word} for word in ("revise", "solved", "stopped"))


@pytest.mark.parametrize(
    ("parts", "node"),
    [
        ({"drafts": CODE}, "executor"),
        ({"drafts": PROSE}, "judge"),
        ({"drafts": [*PROSE, *CODE]}, "executor"),
        ({"drafts": CODE, "executions": [{}]}, "judge"),
        ({"drafts": CODE, "executions": [{}], "verdict": SOLVED}, "end"),
        ({"drafts": CODE, "executions": [{}], "verdict": STOPPED}, "end"),
        ({"drafts": CODE, "executions": [{}], "verdict": REVISE}, "critic"),
        ({"drafts": PROSE, "verdict": REVISE}, "critic"),
        ({"verdict": REVISE, "feedback": {"action": "words"}}, "coder"),
        ({"verdict": REVISE, "feedback": {"action": "approve"}}, "end"),
        ({"verdict": REVISE, "feedback": {"action": "stop"}}, "end"),
        ({"drafts": CODE, "executions": None, "verdict": None, "feedback": None}, "executor"),
    ],
)
def test_the_missing_part_of_the_last_turn_decides(parts: dict[str, Any], node: str) -> None:
    state = {"tasks": [{}], "turns": [{"task": 1, "drafts": CODE, **parts}]}
    assert next_node(cast(State, state)) == node


@pytest.mark.parametrize("state", [{}, {"tasks": [{}]}, {"tasks": [{}], "turns": []}])
def test_a_fresh_run_begins_with_the_coder(state: Any) -> None:
    assert next_node(state) == "coder"


def test_a_new_task_begins_with_the_coder() -> None:
    finished = {"task": 1, "drafts": CODE, "executions": [{}], "verdict": SOLVED}
    assert next_node(cast(State, {"tasks": [{}], "turns": [finished]})) == "end"
    assert next_node(cast(State, {"tasks": [{}, {}], "turns": [finished]})) == "coder"


def words(text: str) -> PersonAnswer:
    return PersonAnswer(action="words", text=text)


WORLDS: dict[str, tuple[World, dict[str, Any]]] = {
    "three turns": (World(), {}),
    "no code first": (World(coder=ScriptedModel(["Prose.", draft(RIGHT)])), {}),
    "limits": (World(), {"limits": {"turns": 2}}),
    "single turn": (World(), {"critic": "none"}),
    "several drafts": (World(coder=ScriptedModel([["Prose.", draft(BETTER)]])), {"drafts": 2}),
    "simulated": (
        World(critic=ScriptedModel([["```x```", "Look at 2."]])),
        {"critic": "simulated"},
    ),
    "edit, words, stop": (
        World(person=ScriptedPerson(PersonAnswer(action="edit", text=BETTER), words("More."))),
        {"critic": "human", "limits": {"turns": 4}},
    ),
    "approved": (World(person=ScriptedPerson(PersonAnswer(action="approve"))), {"critic": "human"}),
}


async def steps(world: World, seed: Input) -> AsyncIterator[tuple[dict[str, Any], str]]:
    """Yield the state before each node that the graph ran, and that node's name; then the end."""
    state: dict[str, Any] = {**seed, "tasks": by_number([], [cast(Any, seed)["tasks"]])}
    async for part in world.graph().astream(cast(Any, seed), stream_mode="updates"):
        for node, update in part.items():
            if update is None:  # The entry wrote nothing.
                continue
            yield {**state}, node
            state["turns"] = by_number(state.get("turns"), [update["turns"]])
            state["texts"] = by_key(state.get("texts"), [update.get("texts", {})])
    yield state, "end"


@pytest.mark.parametrize("name", WORLDS)
async def test_the_graph_goes_where_the_record_says(name: str) -> None:
    world, fields = WORLDS[name]
    walked = [
        (node, next_node(cast(State, state)))
        async for state, node in steps(world, task_seed(TASK, world.settings(**fields)))
    ]
    assert [said for _, said in walked] == [went for went, _ in walked]
    assert len(walked) > 3


async def test_a_run_cut_at_any_step_resumes_to_the_same_end() -> None:
    whole = await World().solve()
    seed = task_seed(TASK, World().settings())
    async for state, node in steps(World(), seed):
        world = World()
        if node != "end":
            assert await world.drive(state) == whole
