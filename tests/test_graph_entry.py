"""What a host may put into the graph: inputs, short and wrong ones, edits; and what it streams."""

import uuid
from pathlib import Path
from typing import Any, cast

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from opencodeinterpreter.graph.build import Graph, build_graph
from opencodeinterpreter.graph.runs import open_run, rebuild
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import delete_row, list_runs
from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.nodes.state import by_turn, read
from opencodeinterpreter.testing import ScriptedModel
from opencodeinterpreter.tools.errors import InputError, ModelError
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import trace_of
from tests.scripts import BETTER, RIGHT, TABLE, TASK, THREE_TURNS, World, summary

GIVEN: Any = {"tasks": [TASK]}
RUN = "0d1b1f04-7c6e-4d56-9a35-6a1c4f8e2b11"
CONFIG: Any = {"configurable": {"thread_id": "t"}}


def graph_of(world: World) -> Graph:
    return build_graph(world.models, world.runner, checkpointer=InMemorySaver())


async def run(graph: Graph, given: Any, **named: Any) -> Record:
    return read(await graph.ainvoke(given, CONFIG, **named))


PYTHON = "from solution import add\n\nassert add(1, 2) == 3\n"
CASES = [{"args": [1, 2], "expected": 3}]


@pytest.mark.parametrize(
    ("given", "prompt", "tests"),
    [
        ({"tasks": ["Add two numbers."]}, "Add two numbers.", None),
        ({"tasks": "Add two numbers."}, "Add two numbers.", None),
        ({"tasks": TASK}, "Add two numbers.", None),
        ({"tasks": [{"prompt": "Add.", "tests": PYTHON}]}, "Add.", "python"),
        ({"tasks": [{"prompt": "Write add(a, b).", "tests": CASES}]}, "Write add(a, b).", "cases"),
    ],
)
async def test_a_task_may_be_given_in_short(given: Any, prompt: str, tests: str | None) -> None:
    record = await run(graph_of(World()), given)
    assert record.task.prompt == prompt
    assert (record.task.tests and record.task.tests.kind) == tests
    assert record.solved
    if tests == "cases":
        assert record.task.entry_point == "add"


WRONG: dict[str, tuple[Any, str]] = {
    "nothing": ({}, "the input holds no task; pass "),
    "another key": ({"prompt": "x"}, "the input holds no task; pass "),
    "no tasks": ({"tasks": []}, "the input holds no task; pass "),
    "a number": ({"tasks": [3]}, "3 is not a task; pass "),
    "an empty prompt": ({"tasks": [""]}, "the task's prompt: "),
    "no prompt": ({"tasks": [{"text": "x"}]}, "the task's prompt: Field required"),
    "tests that are a number": ({"tasks": [{"prompt": "x", "tests": 3}]}, "the task's tests: "),
    "cases without a function": (
        {"tasks": [{"prompt": "x", "tests": CASES}]},
        "the task does not say which",
    ),
    "a turn of nothing": ({"tasks": ["x"], "turns": [{}]}, "the input's turns.0.task: "),
    "a turn of other settings": (
        {"tasks": ["x"], "turns": [{"task": 1, "settings": "none", "drafts": [{"code": "1"}]}]},
        "the input does not hold together: turn 1 refers to settings",
    ),
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_input_is_told_in_words_and_the_thread_goes_on(name: str) -> None:
    given, words = WRONG[name]
    graph = graph_of(World())
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        await run(graph, given)
    if name in ("a turn of nothing", "a turn of other settings"):
        return  # The thread holds a turn that is none.
    again = graph_of(World())
    assert (await run(again, {"tasks": ["Add two numbers."]})).solved


def test_the_schema_says_what_is_required() -> None:
    schema = graph_of(World()).get_input_jsonschema()
    assert schema["required"] == ["tasks"]
    task = schema["$defs"]["TaskInput"]
    assert task["required"] == ["prompt"]
    assert all(field["title"] for field in task["properties"].values())
    kinds = {each["type"] for each in task["properties"]["tests"]["anyOf"]}
    assert kinds == {"string", "array", "object", "null"}


def test_the_drawing_has_one_edge_from_the_start_and_names_stopped() -> None:
    drawn = graph_of(World()).get_graph()
    assert [edge.target for edge in drawn.edges if edge.source == "__start__"] == ["task"]
    ends = [edge.data for edge in drawn.edges if (edge.source, edge.target) == ("judge", "__end__")]
    assert ends == ["solved | stopped"]


@pytest.mark.parametrize("as_whole_turn", [False, True])
async def test_an_edit_by_update_state_is_marked_as_given_and_replays(
    tmp_path: Path, as_whole_turn: bool
) -> None:
    async with open_store(str(tmp_path / "runs.sqlite")) as store:
        world = World()
        done = await world.run(store)
        graph = world.graph(store)
        config: Any = {"configurable": {"thread_id": done.row.id}}
        turn = done.record.turns[0].model_dump(mode="json")
        drafts = [{**turn["drafts"][0], "code": RIGHT}] if as_whole_turn else [{"code": RIGHT}]
        edit = {**turn, "drafts": drafts} if as_whole_turn else {"number": 1, "drafts": drafts}
        await graph.aupdate_state(config, {"turns": [edit]}, as_node="coder")
        edited = read(await graph.ainvoke(None, config))
        run = await open_run(store, done.row.id)
    expected = ["1 draft: print(3) [an edit] | 2/2 | solved by tests"]
    assert summary(edited) == expected
    assert summary(run.record) == expected
    found = await replay(trace_of(run))
    assert found.identical, found.divergence


async def test_an_edited_draft_is_what_the_coder_sees_next() -> None:
    world = World()
    graph = graph_of(world)
    await run(graph, {"tasks": [TASK]}, interrupt_after=["coder"])
    edit = {"turns": [{"number": 1, "drafts": [{"code": BETTER}]}]}
    await graph.aupdate_state(CONFIG, edit, as_node="coder")
    record = await run(graph, None)
    assert world.coder.asked[1].messages[1].content == f"```python\n{BETTER}\n```"
    assert record.turns[0].given == {"drafts": "an edit"}


async def test_an_edited_code_needs_the_node_that_it_is_of() -> None:
    graph = graph_of(World())
    await run(graph, {"tasks": [TASK]})
    edit = {"turns": [{"number": 3, "drafts": [{"code": RIGHT}]}]}
    with pytest.raises(InputError, match="as_node='coder'"):
        await graph.aupdate_state(CONFIG, edit)


def test_turns_are_merged_alike_in_one_batch_and_in_several() -> None:
    one = {"number": 1, "task": 1, "drafts": [{"message": "a", "code": "1"}]}
    two = {"number": 1, "executions": [None], "programs": [None]}
    three = {"number": 2, "task": 1, "drafts": [{"message": "b", "code": "2"}]}
    edit = {"number": 1, "drafts": [{"code": "3"}]}
    whole = {"number": 1, "drafts": [{"message": "c", "code": "3"}]}
    again = {"number": 1, "executions": [None], "programs": [None]}
    writes = [[one], [two], [three], [edit], [whole], [again]]
    at_once = by_turn(None, writes)
    in_steps: list[dict[str, Any]] = []
    for write in writes:
        in_steps = by_turn(in_steps, [write])
    assert at_once == in_steps
    (turn,) = at_once
    assert turn["drafts"] == [{"message": "c", "code": "3"}]
    assert turn["given"] == {"drafts": "an edit"}


async def test_each_part_is_streamed_as_a_small_event() -> None:
    graph = graph_of(World())
    given: Any = {"tasks": [TASK]}
    events = [event async for event in graph.astream(given, CONFIG, stream_mode="custom")]
    assert events[:4] == [
        {"event": "turn", "turn": 1, "task": 1, "drafts": 1, "code": "print(1)"},
        {
            "event": "execution",
            "turn": 1,
            "status": "ok",
            "passed": 0,
            "tests": 2,
            "seconds": events[1]["seconds"],
        },
        {
            "event": "verdict",
            "turn": 1,
            "decision": "revise",
            "decided_by": "tests",
            "reason": "0 of 2 tests passed",
        },
        {
            "event": "feedback",
            "turn": 1,
            "kind": "execution",
            "action": "words",
            "text": events[3]["text"],
        },
    ]
    assert events[3]["text"].startswith("Execution result: ")
    assert [event["event"] for event in events[4:]] == [
        *["turn", "execution", "verdict", "feedback"],
        *["turn", "execution", "verdict"],
    ]


async def test_a_run_that_a_host_drives_is_listed_and_replays(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "runs.sqlite")) as store:
        config: Any = {"configurable": {"thread_id": RUN}}
        graph = World().graph(store)
        await graph.ainvoke(GIVEN, config, interrupt_after=["judge"])
        (row,) = await list_runs(store)
        assert (row.title, row.status, row.turns) == ("Add two numbers.", "interrupted", 1)
        await graph.ainvoke(None, config)
        (row,) = await list_runs(store)
        assert (row.id, row.status, row.turns, row.tokens) == (RUN, "solved", 3, 45)
        run = await open_run(store, row.id)
        assert run.row == row
        await delete_row(store, row.id)
        assert (await rebuild(store)).added == 1
        (again,) = await list_runs(store)
        assert (again.status, again.title) == ("solved", row.title)
        found = await replay(trace_of(run))
        assert found.identical, found.divergence
        await store.saver.adelete_thread(RUN)
        assert await list_runs(store) == []


async def test_a_host_run_that_asks_or_fails_is_listed_so(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "runs.sqlite")) as store:
        failing: Any = {"configurable": {"thread_id": RUN}}
        world = World(coder=ScriptedModel(THREE_TURNS, fails_at=[2]))
        with pytest.raises(ModelError):
            await world.graph(store).ainvoke(GIVEN, failing)
        assert [row.status for row in await list_runs(store)] == ["failed"]
        other: Any = {"configurable": {"thread_id": str(uuid.uuid4())}}
        await World().graph(store).ainvoke(GIVEN, other, context=world.settings(critic="human"))
        assert {row.status for row in await list_runs(store)} == {"failed", "waiting"}


BY_HAND: dict[str, tuple[str, str, dict[str, Any]]] = {
    "executions": (
        "coder",
        "executor",
        {"executions": [TABLE[BETTER].model_dump(mode="json")]},
    ),
    "verdict": (
        "executor",
        "judge",
        {"verdict": {"decision": "revise", "decided_by": "human", "reason": "I looked."}},
    ),
}


@pytest.mark.parametrize("part", BY_HAND)
@pytest.mark.parametrize("turn", [1, 2])
async def test_an_edit_that_first_makes_a_part_is_marked_as_given_and_replays(
    tmp_path: Path, part: str, turn: int
) -> None:
    before, node, made = BY_HAND[part]
    config: Any = {"configurable": {"thread_id": RUN}}
    async with open_store(str(tmp_path / "runs.sqlite")) as store:
        graph = World().graph(store)
        given: Any = task_seed(TASK, World().settings())
        for _ in range(turn):
            await graph.ainvoke(given, config, interrupt_after=[before])
            given = None
        await graph.aupdate_state(config, {"turns": [{"number": turn, **made}]}, as_node=node)
        await graph.ainvoke(None, config)
        run = await open_run(store, RUN)
    assert len(run.record.turns) == 3
    marks = [each.given for each in run.record.turns]
    assert marks[turn - 1][cast(Any, part)] == "an edit"
    assert all(marks[:turn])
    assert not any(marks[turn:])
    found = await replay(trace_of(run))
    assert found.identical, found.divergence


async def test_an_edit_of_a_later_turn_replays(tmp_path: Path) -> None:
    config: Any = {"configurable": {"thread_id": RUN}}
    async with open_store(str(tmp_path / "runs.sqlite")) as store:
        graph = World().graph(store)
        await graph.ainvoke(cast(Any, task_seed(TASK, World().settings())), config)
        edit = {"turns": [{"number": 2, "drafts": [{"code": RIGHT}]}]}
        await graph.aupdate_state(config, edit, as_node="coder")
        await graph.ainvoke(None, config)
        run = await open_run(store, RUN)
    assert summary(run.record)[-1] == "2 draft: print(3) [an edit] | 2/2 | solved by tests"
    found = await replay(trace_of(run))
    assert found.identical, found.divergence


def test_a_call_that_does_not_await_is_told_what_to_call_instead() -> None:
    with pytest.raises(TypeError, match="ainvoke"):
        World().graph().invoke(cast(Any, task_seed(TASK, World().settings())))
