"""Shared batches: what a death is, which jobs are done again, and under which deadline."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from opencodeinterpreter.graph.batch import Plan
from opencodeinterpreter.graph.shared import Worker, Working
from opencodeinterpreter.graph.store.jobs import (
    MOST_DEATHS,
    ask_again,
    end_job,
    results,
    take_job,
)
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import StoreError
from tests.shared_batches import add, deaths

OUTAGES = 2


@pytest.fixture
def url(tmp_path: Path) -> str:
    return str(tmp_path / "runs.sqlite")


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with open_store(url) as opened:
        yield opened


async def problem(store: Store) -> str:
    return (await results(store, "b"))["double"][1]


def ignore(line: str) -> None:
    """Say nothing."""


async def ready(settings: Settings) -> None:
    """Prepare nothing."""


async def test_an_outage_of_the_store_is_no_death_of_the_jobs_in_work(
    store: Store, url: str, tmp_path: Path
) -> None:
    batch = await add(store, tmp_path, delay=600)
    worker = Worker(url, Working(Plan()), ignore)
    counted: list[int] = []

    async def fail_while_working(opened: Store) -> None:
        counted.append(await deaths(opened))
        if len(counted) > OUTAGES:
            return
        working = asyncio.create_task(worker.work_on(opened, batch, ignore))
        while not await deaths(opened):  # noqa: ASYNC110 - a row tells of no event
            await asyncio.sleep(0.01)
        await opened.execute("ALTER TABLE opencodeinterpreter_jobs RENAME TO gone")
        working.cancel()
        await asyncio.wait([working])
        await opened.execute("ALTER TABLE gone RENAME TO opencodeinterpreter_jobs")
        raise StoreError("the database is gone")

    await worker.keep_open(fail_while_working)
    assert counted == [0] * (OUTAGES + 1)
    assert await problem(store) == ""


class Overtaken:
    """A store in which another process ends the job once it was seen to be free."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def claimed(self, *runs: str) -> set[str]:
        await end_job(self.store, "b", "double", "")
        return set()

    async def execute(self, sql: str, values: Any = (), run: str | None = None) -> Any:
        return await self.store.execute(sql, values, run)


async def test_a_job_that_another_process_ends_in_the_meantime_is_not_taken(
    store: Store, tmp_path: Path
) -> None:
    await add(store, tmp_path)
    mine: set[str] = set()
    assert await take_job(cast(Store, Overtaken(store)), "b", mine) is None
    assert (mine, await deaths(store)) == (set(), 0)


async def test_a_job_whose_processes_died_is_given_up(store: Store, tmp_path: Path) -> None:
    await add(store, tmp_path)
    for _ in range(MOST_DEATHS):
        assert await take_job(store, "b", set()) is not None
    assert await take_job(store, "b", set()) is None
    assert await problem(store) == f"given up: {MOST_DEATHS} processes died working on it"


async def test_a_batch_that_is_added_again_leaves_its_jobs_alone(
    store: Store, tmp_path: Path
) -> None:
    await add(store, tmp_path)
    await end_job(store, "b", "double", "the model is down")
    await add(store, tmp_path)
    assert await problem(store) == "the model is down"
    assert await take_job(store, "b", set()) is None
    await ask_again(store, "b", {"other"})
    assert await take_job(store, "b", set()) is None
    await ask_again(store, "b", {"double"})
    assert await take_job(store, "b", set()) is not None


async def test_a_store_of_an_older_release_gets_the_columns_of_branches(
    store: Store, url: str, tmp_path: Path
) -> None:
    await add(store, tmp_path)
    for column in ("parent", "parent_turn"):
        await store.execute(f"ALTER TABLE opencodeinterpreter_jobs DROP COLUMN {column}")
    async with open_store(url) as opened:
        taken = await take_job(opened, "b", set())
    assert taken is not None
    assert (taken.key, taken.parent, taken.parent_turn) == ("double", None, None)


async def test_a_job_whose_run_was_removed_is_done_again_and_one_that_is_solved_is_not(
    store: Store, url: str, tmp_path: Path
) -> None:
    await add(store, tmp_path)
    await Worker(url, Working(Plan()), ignore).work(ready)
    await ask_again(store, "b", {"double"})
    assert await take_job(store, "b", set()) is None
    await store.execute("DELETE FROM opencodeinterpreter_runs")
    await ask_again(store, "b", {"double"})
    assert await take_job(store, "b", set()) is not None


@pytest.mark.parametrize(
    ("own", "told"),
    [(None, "deadline of 0.2 s reached"), (0.3, "deadline of 0.3 s reached")],
)
async def test_a_worker_keeps_the_deadline_of_the_batch_unless_it_has_its_own(
    store: Store, url: str, tmp_path: Path, own: float | None, told: str
) -> None:
    await add(store, tmp_path, delay=600, deadline=0.2)
    await Worker(url, Working(Plan(deadline=own)), ignore).work(ready)
    assert await problem(store) == told


async def test_a_worker_prepares_for_a_batch_before_it_works_on_it(
    store: Store, url: str, tmp_path: Path
) -> None:
    batch = await add(store, tmp_path)
    prepared: list[tuple[str, int]] = []

    async def prepare(settings: Settings) -> None:
        prepared.append((settings.model_dump_json(), await deaths(store)))

    await Worker(url, Working(Plan()), ignore).work(prepare)
    assert prepared == [(batch.settings, 0)]
