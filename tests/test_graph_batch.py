"""Batches: each task is a stored run, a failure affects only its task, a second start continues."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from langgraph.graph import StateGraph

from opencodeinterpreter.graph.batch import PATIENCE, Finished, Job, Plan, batch
from opencodeinterpreter.graph.build import Graph, build_graph
from opencodeinterpreter.graph.seeds import Edit, branch_seed, task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import list_runs
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.testing import ScriptedRunner, draft
from opencodeinterpreter.tools.errors import InputError, ModelError
from opencodeinterpreter.tools.models.protocol import Request, Response

SETTINGS = Settings(models={"coder": "scripted:numbers"})


class NumberModel:
    """Answers with the number in the task; fails for those named, as long as they are named."""

    spec = "scripted:numbers"

    def __init__(self, fails: set[str] | None = None, pause: float = 0.0) -> None:
        self.fails = fails or set()
        self.pause = pause
        self.asked: list[str] = []
        self.now = 0
        self.most = 0

    async def complete(self, request: Request) -> Response:
        number = request.messages[-1].content.split()[-1].rstrip(".")
        self.asked.append(number)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.pause)
        finally:
            self.now -= 1
        if number in self.fails:
            raise ModelError(f"the server is down at {number}")
        return Response(text=draft(f"print({number})"), model=self.spec)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(str(tmp_path / "runs.sqlite")) as opened:
        yield opened


def jobs(count: int) -> Iterator[Job]:
    return (job(f"t/{number}", number) for number in range(count))


def job(key: str, number: int) -> Job:
    return Job(key, task_seed({"prompt": f"Print {number}."}, SETTINGS))


def graph_of(store: Store, model: NumberModel) -> Graph:
    return build_graph({"coder": model}, ScriptedRunner(), checkpointer=store.saver)


async def all_of(
    store: Store, model: NumberModel, count: int, plan: Plan | None = None
) -> list[Finished]:
    work = batch(store, graph_of(store, model), jobs(count), plan or Plan())
    return [finished async for finished in work]


async def test_every_task_becomes_a_stored_run(store: Store) -> None:
    found = await all_of(store, NumberModel(), 20)
    assert sorted(each.key for each in found) == sorted(each.key for each in jobs(20))
    assert {each.run.row.status for each in found} == {"solved"}
    codes = {each.key: each.run.record.code for each in found}
    assert codes["t/7"] == "print(7)"
    assert len(await list_runs(store)) == 20


async def test_a_second_start_asks_nothing_again(store: Store) -> None:
    model = NumberModel()
    first = await all_of(store, model, 10)
    again = await all_of(store, model, 10)
    assert len(model.asked) == 10
    assert not any(each.kept for each in first)
    assert all(each.kept for each in again)
    assert len(await list_runs(store)) == 10


async def test_a_batch_with_another_name_or_other_settings_has_other_runs(store: Store) -> None:
    model = NumberModel()
    await all_of(store, model, 3)
    await all_of(store, model, 3, Plan(name="second"))
    assert len(model.asked) == 6


async def test_no_more_run_at_once_than_asked_for(store: Store) -> None:
    model = NumberModel(pause=0.2)
    await all_of(store, model, 9, Plan(concurrency=3))
    assert model.most == 3


async def test_a_failure_affects_its_own_task_only_and_can_be_resumed(store: Store) -> None:
    model = NumberModel(fails={"4"})
    found = {each.key: each for each in await all_of(store, model, 8)}
    assert found["t/4"].problem == "the server is down at 4"
    assert found["t/4"].run.row.status == "failed"
    assert sum(not each.problem for each in found.values()) == 7
    model.fails.clear()
    again = {each.key: each for each in await all_of(store, model, 8)}
    assert [key for key, each in again.items() if not each.kept] == ["t/4"]
    assert again["t/4"].problem == ""


async def test_a_dead_server_stops_the_batch(store: Store) -> None:
    model = NumberModel(fails={str(number) for number in range(100)})
    with pytest.raises(ModelError, match="the server is down"):
        await all_of(store, model, 100, Plan(concurrency=2))
    assert len(model.asked) <= PATIENCE + 2


async def test_a_deadline_stops_one_task_alone(store: Store) -> None:
    model = NumberModel(pause=5)
    (found,) = await all_of(store, model, 1, Plan(deadline=0.05))
    assert found.problem == "deadline of 0.05 s reached"
    assert found.run.next == "coder"


async def test_two_tasks_of_one_key_are_refused(store: Store) -> None:
    given = [job("same", number) for number in (1, 2)]
    work = batch(store, graph_of(store, NumberModel()), given, Plan(concurrency=1))
    with pytest.raises(InputError, match="two jobs of the batch have the key 'same'"):
        _ = [each async for each in work]


async def test_tasks_are_taken_only_as_fast_as_results_are_read(store: Store) -> None:
    taken: list[str] = []

    def counted() -> Iterator[Job]:
        for each in jobs(100):
            taken.append(each.key)
            yield each

    work = batch(store, graph_of(store, NumberModel()), counted(), Plan(concurrency=2))
    async with aclosing(work) as results:
        await anext(results)
        await asyncio.sleep(0.3)
        assert len(taken) <= 2 + 2 + 1 + 2


async def test_a_batch_that_is_left_early_can_be_taken_up_again(store: Store) -> None:
    model = NumberModel(pause=0.01)
    work = batch(store, graph_of(store, model), jobs(10), Plan(concurrency=2))
    async with aclosing(work) as results:
        async for _ in results:
            break
    again = await all_of(store, model, 10)
    assert len(again) == 10
    assert [each.problem for each in again] == [""] * 10
    assert {each.run.row.status for each in again} == {"solved"}


class StubbornModel(NumberModel):
    """Turns a cancellation into a failure, as a call that is cut off may."""

    async def complete(self, request: Request) -> Response:
        try:
            return await super().complete(request)
        except asyncio.CancelledError:
            raise ModelError("the connection was cut") from None


async def test_a_batch_that_is_left_early_ends_though_calls_swallow_their_cancellation(
    store: Store,
) -> None:
    model = StubbornModel(pause=0.05)
    work = batch(store, graph_of(store, model), jobs(20), Plan(concurrency=2))
    async with asyncio.timeout(60), aclosing(work) as results:
        await anext(results)
        await asyncio.sleep(0.02)  # the next ones are asked
    asked = len(model.asked)
    await asyncio.sleep(0.2)
    assert len(model.asked) == asked < 20


async def test_tasks_may_come_from_an_async_iterable(store: Store) -> None:
    async def coming() -> AsyncIterator[Job]:
        for each in jobs(3):
            await asyncio.sleep(0)
            yield each

    work = batch(store, graph_of(store, NumberModel()), coming(), Plan())
    assert len([each async for each in work]) == 3


async def test_each_node_is_told_with_its_tasks_key(store: Store) -> None:
    told: list[tuple[str, str]] = []
    work = batch(
        store,
        graph_of(store, NumberModel()),
        jobs(2),
        Plan(),
        lambda key, node, turn: told.append((key, node)),
    )
    _ = [each async for each in work]
    nodes = ["coder", "executor", "judge"]
    assert sorted(told) == sorted((f"t/{number}", node) for number in (0, 1) for node in nodes)


async def test_a_branch_is_a_job_too(store: Store) -> None:
    (parent,) = await all_of(store, NumberModel(), 1)
    seed = branch_seed(parent.run.record, "t/0", 1, Edit(feedback="Print 8."))
    given = [Job("t/0 words", seed, parent.run.row.id, 1)]
    work = batch(store, graph_of(store, NumberModel()), given, Plan())
    (branch,) = [each async for each in work]
    assert (branch.run.row.parent, branch.run.row.parent_turn) == (parent.run.row.id, 1)
    assert branch.run.record.code == "print(8)"


async def test_a_batch_compiles_no_graph_for_reading_and_writing_its_runs(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiling takes milliseconds, and a run's state is read and written several times."""
    compiled: list[str] = []
    whole = StateGraph.compile

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        compiled.append(options["name"])
        return whole(self, *args, **options)

    monkeypatch.setattr(StateGraph, "compile", counted)
    await all_of(store, NumberModel(), 8)
    # The batch's own graph, and at most one to read with.
    assert len(compiled) <= 2
