"""Runs in a store: create, advance, interrupt with a question, list, find, rebuild."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from opencodeinterpreter.graph.runs import Origin, advance, create_run, open_run, rebuild
from opencodeinterpreter.graph.seeds import Edit, task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import find_run, list_runs
from opencodeinterpreter.testing import ScriptedModel, draft
from opencodeinterpreter.tools.errors import InputError, StoreError
from opencodeinterpreter.tools.models.protocol import message_ids
from opencodeinterpreter.tools.person import PersonAnswer
from tests.scripts import BETTER, RIGHT, TASK, THREE_TURNS, World, summary

THREE = [
    "1 draft: print(1) | 0/2 | revise by tests | execution",
    "2 draft: print(2) | 1/2 | revise by tests | execution",
    "3 draft: print(3) | 2/2 | solved by tests",
]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(str(tmp_path / "runs.sqlite")) as opened:
        yield opened


async def test_a_run_is_carried_to_its_end_and_kept(store: Store) -> None:
    run = await World().run(store)
    assert summary(run.record) == THREE
    assert (run.row.status, run.row.turns, run.row.tokens, run.next) == ("solved", 3, 45, "end")
    again = await open_run(store, run.row.id)
    assert again.record == run.record
    assert again.row == run.row


async def test_a_store_gives_the_same_record_as_memory(store: Store) -> None:
    assert (await World().run(store)).record == await World().solve()


async def test_a_new_run_waits_at_its_first_node(store: Store) -> None:
    row = await create_run(store, task_seed(TASK, World().settings()))
    run = await open_run(store, row.id)
    assert (row.status, run.next, run.record.turns) == ("interrupted", "coder", ())
    assert row.title == "Add two numbers."


async def test_a_finished_run_stays_as_it_is(store: Store) -> None:
    world = World()
    run = await world.run(store)
    again = await advance(store, world.graph(store), run.row)
    assert again == run
    assert len(world.coder.asked) == 3


async def test_each_node_is_shown_with_the_turn_so_far(store: Store) -> None:
    world, seen = World(), list[str]()
    row = await create_run(store, task_seed(TASK, world.settings(limits={"turns": 2})))
    await advance(
        store,
        world.graph(store),
        row,
        watch=lambda node, turn: seen.append(f"{turn.number} {node} {turn.verdict is not None}"),
    )
    assert seen == [
        "1 coder False",
        "1 executor False",
        "1 judge True",
        "1 critic True",
        "2 coder False",
        "2 executor False",
        "2 judge True",
    ]


async def test_settings_of_the_record_are_used_on_resuming(store: Store) -> None:
    world = World()
    row = await create_run(store, task_seed(TASK, world.settings(limits={"turns": 2})))
    run = await advance(store, world.graph(store), row)
    assert len(run.record.turns) == 2
    assert len(run.record.settings) == 1


async def test_a_question_to_a_person_waits_in_the_store(store: Store) -> None:
    world = World()
    waiting = await world.run(store, critic="human")
    assert waiting.row.status == "waiting"
    assert waiting.question is not None
    assert (waiting.question.turn, waiting.question.code) == (1, "print(1)")
    assert await advance(store, world.graph(store), waiting.row) == waiting


async def test_an_answer_resumes_at_the_critic_and_redoes_nothing(store: Store) -> None:
    world = World()
    row = (await world.run(store, critic="human")).row
    for answer in (
        PersonAnswer(action="words", text="Print 2."),
        PersonAnswer(action="edit", text=RIGHT),
    ):
        run = await advance(store, World().graph(store), row, answer=answer)
    assert summary(run.record) == [
        "1 draft: print(1) | 0/2 | revise by tests | human",
        "2 draft: print(2) | 1/2 | revise by tests | human edit",
        "3 draft: print(3) [a person] | 2/2 | solved by tests",
    ]
    assert run.row.status == "solved"
    assert len(world.coder.asked) == 1


@pytest.mark.parametrize(("action", "status"), [("approve", "solved"), ("stop", "unsolved")])
async def test_a_persons_decision_is_the_runs_end(store: Store, action: Any, status: str) -> None:
    world = World()
    row = (await world.run(store, critic="human")).row
    run = await advance(store, world.graph(store), row, answer=PersonAnswer(action=action))
    assert (run.row.status, run.next, run.question) == (status, "end", None)


async def test_runs_are_listed_newest_first_with_their_parents(store: Store) -> None:
    first = await World().run(store, {"prompt": "First."})
    await asyncio.sleep(0.002)
    second = await World().branch(store, first.row, 2, Edit(code=RIGHT))
    rows = await list_runs(store)
    assert [row.id for row in rows] == [second.row.id, first.row.id]
    assert [(row.parent, row.parent_turn) for row in rows] == [(first.row.id, 2), (None, None)]
    assert {row.status for row in rows} == {"solved"}


async def test_a_run_is_found_by_a_prefix_of_its_id(store: Store) -> None:
    row = (await World().run(store)).row
    assert await find_run(store, row.short) == row
    assert await find_run(store, row.id) == row
    assert await find_run(store, row.id[:6].upper()) == row


async def test_an_ambiguous_prefix_names_the_candidates(store: Store) -> None:
    ids = [f"aaaa{number}000-0000-4000-8000-000000000000" for number in (1, 2)]
    for number, run in enumerate(ids, 1):
        seed = task_seed({"prompt": f"Task {number}"}, World().settings())
        await create_run(store, seed, Origin(run=run))
    assert (await find_run(store, "aaaa1")).id == ids[0]
    with pytest.raises(InputError) as refused:
        await find_run(store, "aaaa")
    assert str(refused.value).startswith("'aaaa' names 2 runs: ")
    assert "aaaa1000 (Task 1)" in str(refused.value)


async def test_an_unknown_run_names_the_nearest(store: Store) -> None:
    with pytest.raises(InputError, match="no run 'aaaa'; the store holds none yet"):
        await find_run(store, "aaaa")
    for run in ("aaaaaaaa", "bbbbbbbb"):
        seed = task_seed({"prompt": f"Task {run[0]}"}, World().settings())
        await create_run(store, seed, Origin(run=f"{run}-0000-4000-8000-000000000000"))
    with pytest.raises(InputError) as refused:
        await find_run(store, "aaaabaaa")
    assert str(refused.value) == "no run 'aaaabaaa'; nearest: aaaaaaaa (Task a)"
    with pytest.raises(InputError, match="the name of the run is empty"):
        await find_run(store, "")


async def test_the_table_of_runs_is_rebuilt_from_the_checkpoints(store: Store) -> None:
    first = await World().run(store)
    await World().branch(store, first.row, 1, Edit(feedback="Look at it."))
    await World().run(store, critic="human")
    await create_run(store, task_seed(TASK, World().settings()))
    rows = {row.id: row for row in await list_runs(store)}
    await store.execute("DELETE FROM opencodeinterpreter_runs")
    assert (await rebuild(store)).added == 4
    again = {row.id: row for row in await list_runs(store)}
    assert {run: (row.status, row.turns, row.parent_turn) for run, row in again.items()} == {
        run: (row.status, row.turns, row.parent_turn) for run, row in rows.items()
    }
    assert {(row.created, row.title, row.tokens) for row in again.values()} == {
        (row.created, row.title, row.tokens) for row in rows.values()
    }
    assert (await rebuild(store)).added == 0


class HostState(TypedDict):
    messages: list[str]
    turns: int


async def test_a_host_applications_own_threads_are_left_alone(store: Store) -> None:
    host = StateGraph(HostState)
    host.add_node("only", lambda state: {"turns": 7})
    host.add_edge(START, "only")
    host.add_edge("only", END)
    graph = host.compile(checkpointer=store.saver)
    state: Any = {"messages": ["hello"]}
    await graph.ainvoke(state, {"configurable": {"thread_id": "the host's"}})
    run = await World().run(store)
    await store.execute("DELETE FROM opencodeinterpreter_runs")
    assert (await rebuild(store)).added == 1
    assert [row.id for row in await list_runs(store)] == [run.row.id]


async def test_the_same_id_twice_is_refused_and_leaves_the_first_run_alone(store: Store) -> None:
    run = await World().run(store)
    with pytest.raises((InputError, StoreError)):
        seed = task_seed({"prompt": "Another task."}, World().settings())
        await create_run(store, seed, Origin(run=run.row.id))
    assert (await open_run(store, run.row.id)).record == run.record


async def test_many_runs_of_one_store_go_on_at_once(store: Store) -> None:
    worlds = [World(coder=ScriptedModel(THREE_TURNS)) for _ in range(10)]
    runs = await asyncio.gather(*(world.run(store) for world in worlds))
    assert [summary(run.record) for run in runs] == [THREE] * 10


async def test_a_run_that_is_worked_on_is_refused_to_others(store: Store) -> None:
    world = World()
    row = await create_run(store, task_seed(TASK, world.settings()))
    async with store.claim(row.id):
        with pytest.raises(InputError, match=f"run {row.id} is being worked on"):
            await advance(store, world.graph(store), row)
    assert (await advance(store, world.graph(store), row)).row.status == "solved"


async def test_whole_numbers_of_any_size_may_stand_in_a_tests_cases(store: Store) -> None:
    case = {"args": [30], "expected": 265252859812191058636308480000000}
    task = {**TASK, "entry_point": "f", "tests": {"kind": "cases", "cases": [case]}}
    run = await World().run(store, task)
    assert run.record.task.tests is not None
    assert run.record.task.tests.model_dump()["cases"] == ({**case, "args": (30,)},)


async def test_invalid_unicode_is_replaced_before_it_is_recorded(
    store: Store,
) -> None:
    odd = draft(BETTER, words="half a pair: \ud83d!")
    run = await World(coder=ScriptedModel([odd, draft(RIGHT)])).run(store)
    assert (await open_run(store, run.row.id)).record == run.record
    for at in run.record.texts:
        assert message_ids(run.record.conversation(at))[-1] == at


async def test_nothing_blocks_the_event_loop(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "runs.sqlite")) as store:
        world = World(critic=ScriptedModel(["Look at it."]))
        await world.run(store)  # The first run imports what it needs.
        with blockbuster_ctx(scanned_modules=["opencodeinterpreter"]):
            run = await world.run(store, critic="simulated")
            await list_runs(store)
    assert run.row.status == "solved"
