"""A store that cannot be used says why in one line; what it holds is never executed."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import ormsgpack
import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from opencodeinterpreter.graph.runs import advance, create_run, open_run
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import STORE_VERSION, strict_serializer
from opencodeinterpreter.graph.store.rows import find_run, list_runs
from opencodeinterpreter.tools.errors import InputError
from tests.scripts import HOLDER, TASK, World


async def refusal(path: Path | str) -> str:
    """Return the line with which opening a store is refused."""
    with pytest.raises(InputError) as refused:
        async with open_store(str(path)):
            pass
    line = str(refused.value)
    assert "\n" not in line
    assert str(path) in line
    return line


async def test_a_store_is_made_where_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "runs.sqlite"
    async with open_store(f"sqlite:///{path}") as store:
        assert await list_runs(store) == []
    assert path.is_file()


async def test_a_store_keeps_its_runs_when_it_is_closed(tmp_path: Path) -> None:
    path = str(tmp_path / "runs.sqlite")
    async with open_store(path) as store:
        run = await World().run(store)
    async with open_store(path) as store:
        assert await list_runs(store) == [run.row]
        assert (await open_run(store, run.row.id)).record == run.record


async def test_a_corrupt_file_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    path.write_bytes(b"no database at all, but long enough to look like one" * 100)
    before = path.read_bytes()
    assert "it is corrupt or no store; name another file" in await refusal(path)
    assert path.read_bytes() == before


async def test_a_store_whose_inside_is_broken_is_named(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    async with open_store(str(path)) as store:
        await World().run(store)
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * 3996
    path.write_bytes(content)
    assert "corrupt" in await refusal(path)


async def test_a_store_of_another_version_says_which(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    async with open_store(str(path)) as store:
        await store.execute("UPDATE opencodeinterpreter_store SET version = ?", [99])
    assert await refusal(path) == (
        f"store {path} has version 99 and this release reads version {STORE_VERSION}; "
        "use the release that wrote it, or name another store"
    )


async def test_a_folder_is_no_store(tmp_path: Path) -> None:
    assert "cannot use store" in await refusal(tmp_path)


async def test_a_file_is_no_folder_to_put_a_store_in(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot use store" in await refusal(tmp_path / "file" / "runs.sqlite")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert "cannot use store" in await refusal(tmp_path / "runs.sqlite")
    finally:
        tmp_path.chmod(0o700)


async def test_a_store_that_another_program_has_locked_says_so(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("CREATE TABLE t (x)")
        other.execute("BEGIN EXCLUSIVE")
        assert "another program holds it; try again when that has ended" in await refusal(path)
    finally:
        other.close()


async def test_a_second_process_is_refused_a_run_that_is_worked_on(tmp_path: Path) -> None:
    path, world = str(tmp_path / "runs.sqlite"), World()
    async with open_store(path) as store:
        row = await create_run(store, task_seed(TASK, world.settings()))
        command = [sys.executable, "-c", HOLDER, path, row.id]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            assert await store.claimed(row.id)
            with pytest.raises(InputError, match="is being worked on by another process"):
                await advance(store, world.graph(store), row)
            holder.kill()
            holder.wait()
        assert not await store.claimed(row.id)
        assert (await advance(store, world.graph(store), row)).row.status == "solved"


async def test_no_locks_are_left_behind(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "runs.sqlite")) as store:
        await World().run(store)
        assert list((tmp_path / "runs.sqlite-locks").iterdir()) == []


def planted(marker: Path) -> bytes:
    """Return a checkpoint's value that names a call, as LangGraph's own encoder would write one."""
    call = ormsgpack.packb(["subprocess", "getoutput", f"touch '{marker}'"])
    return ormsgpack.packb(ormsgpack.Ext(0, call))


@pytest.mark.filterwarnings("ignore")
def test_a_planted_call_is_one_that_a_lax_serializer_would_make(tmp_path: Path) -> None:
    lax = JsonPlusSerializer(allowed_msgpack_modules=True)
    lax.loads_typed(("msgpack", planted(tmp_path / "marker")))
    assert (tmp_path / "marker").exists()


def test_the_stores_serializer_revives_no_calls(tmp_path: Path) -> None:
    strict_serializer().loads_typed(("msgpack", planted(tmp_path / "marker")))
    assert not (tmp_path / "marker").exists()


async def test_a_planted_write_is_inert(tmp_path: Path) -> None:
    path, marker = tmp_path / "runs.sqlite", tmp_path / "marker"
    async with open_store(str(path)) as store:
        row = (await World().run(store)).row
        await store.execute("UPDATE writes SET type = 'msgpack', value = ?", [planted(marker)])
    await load_whatever_comes(path, row.id)
    assert not marker.exists()


async def test_a_planted_checkpoint_is_inert(tmp_path: Path) -> None:
    path, marker = tmp_path / "runs.sqlite", tmp_path / "marker"
    async with open_store(str(path)) as store:
        row = (await World().run(store)).row
        saver: Any = store.saver
        for (found,) in await store.execute("SELECT checkpoint_id FROM checkpoints"):
            rows = await store.execute(
                "SELECT type, checkpoint FROM checkpoints WHERE checkpoint_id = ?", [found]
            )
            checkpoint = saver.serde.loads_typed(tuple(rows[0]))
            values = {**checkpoint["channel_values"], "tasks": "MARK", "turns": "MARK"}
            dumped = saver.serde.dumps_typed({**checkpoint, "channel_values": values})[1]
            mark = ormsgpack.packb("MARK")
            await store.execute(
                "UPDATE checkpoints SET checkpoint = ? WHERE checkpoint_id = ?",
                [dumped.replace(mark, planted(marker)), found],
            )
    await load_whatever_comes(path, row.id)
    assert not marker.exists()


async def load_whatever_comes(path: Path, run: str) -> None:
    """Open, list, find, read and advance a run; a planted value may make these fail."""
    async with open_store(str(path)) as store:
        row = await find_run(store, run)
        for attempt in (open_run(store, run), advance(store, World().graph(store), row)):
            try:
                await attempt
            except (ValueError, TypeError, AttributeError, KeyError):
                continue


async def test_reading_while_another_program_writes_never_makes_a_store_locked(
    tmp_path: Path,
) -> None:
    path, seed = str(tmp_path / "runs.sqlite"), task_seed(TASK, World().settings())
    touch = "UPDATE opencodeinterpreter_runs SET title = title || '.'"
    async with open_store(path) as ours, open_store(path) as theirs:
        for _ in range(3):
            await create_run(ours, seed)
        for _ in range(30):
            listing = [list_runs(ours) for _ in range(60)]
            changes = [ours.execute(touch), *(theirs.execute(touch) for _ in range(3))]
            await asyncio.gather(*listing, *changes)
        assert {row.title.count(".") for row in await list_runs(ours)} == {
            TASK["prompt"].count(".") + 120
        }


async def test_a_statement_that_fails_leaves_the_store_to_others(tmp_path: Path) -> None:
    seed = task_seed(TASK, World().settings())
    path = str(tmp_path / "runs.sqlite")
    async with open_store(path) as ours, open_store(path) as theirs:
        row = await create_run(ours, seed)
        with pytest.raises(sqlite3.IntegrityError):
            await ours.execute(
                "INSERT INTO opencodeinterpreter_runs SELECT * FROM opencodeinterpreter_runs"
            )
        await create_run(theirs, seed)
        assert row.id in {listed.id for listed in await list_runs(theirs)}
