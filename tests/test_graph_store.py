"""A store that cannot be used says why in one line; what it holds is never executed."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import ormsgpack
import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from opencodeinterpreter.graph.runs import advance, create_run, open_run, rebuild
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import STORE_VERSION
from opencodeinterpreter.graph.store.rows import find_run, list_runs
from opencodeinterpreter.graph.store.serializer import StrictSerializer
from opencodeinterpreter.tools.errors import BusyError, InputError
from tests.scripts import HOLDER, TASK, Gathering, World, cancelled_for_good


async def refusal(path: Path | str) -> str:
    """Return the line with which opening a store is refused."""
    with pytest.raises(InputError) as refused:
        async with open_store(str(path)):
            pass
    line = str(refused.value)
    assert "\n" not in line
    assert str(path) in line
    return line


async def test_a_missing_store_is_created(tmp_path: Path) -> None:
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
def test_a_lax_serializer_would_make_the_planted_call(tmp_path: Path) -> None:
    lax = JsonPlusSerializer(allowed_msgpack_modules=True)
    lax.loads_typed(("msgpack", planted(tmp_path / "marker")))
    assert (tmp_path / "marker").exists()


def test_the_stores_serializer_revives_no_calls(tmp_path: Path) -> None:
    StrictSerializer().loads_typed(("msgpack", planted(tmp_path / "marker")))
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
            except (InputError, ValueError, TypeError, AttributeError, KeyError):
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


async def test_the_files_of_a_store_are_for_their_owner_alone(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "runs.sqlite")) as store:
        row = await create_run(store, task_seed(TASK, World().settings()))
        async with store.claim(row.id):
            files = [path for path in tmp_path.rglob("*") if path.is_file()]
            assert len(files) == 4  # The database, its log, the log's index, a lock.
            assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
            (locks,) = (path for path in tmp_path.iterdir() if path.is_dir())
            assert locks.stat().st_mode & 0o777 == 0o700


async def test_a_store_that_a_link_names_is_for_its_owner_alone(tmp_path: Path) -> None:
    link = tmp_path / "link.sqlite"
    link.symlink_to("runs.sqlite")
    async with open_store(str(link)):
        pass
    assert (tmp_path / "runs.sqlite").stat().st_mode & 0o777 == 0o600


async def test_a_run_is_claimed_under_all_names_of_its_store(tmp_path: Path) -> None:
    (tmp_path / "link.sqlite").symlink_to("runs.sqlite")
    async with (
        open_store(str(tmp_path / "runs.sqlite")) as store,
        open_store(str(tmp_path / "link.sqlite")) as linked,
    ):
        async with store.claim("one"):
            assert await linked.claimed("one")
            with pytest.raises(BusyError):
                async with linked.claim("one"):
                    raise AssertionError("claimed twice")
        assert not await linked.claimed("one")


@pytest.mark.parametrize("value", [{"v": 4, "channel_values": {"turns": 3}}, [1, 2, 3], "text"])
async def test_a_checkpoint_that_is_no_runs_gives_one_line(tmp_path: Path, value: Any) -> None:
    async with open_store(str(tmp_path / "runs.sqlite")) as store:
        saver: Any = store.saver
        row = (await World().run(store)).row
        other = await create_run(store, task_seed(TASK, World().settings()))
        await store.execute(
            "UPDATE checkpoints SET type = ?, checkpoint = ? WHERE thread_id = ?",
            [*saver.serde.dumps_typed(value), row.id],
        )
        with pytest.raises(InputError, match=f"run {row.id} cannot be read") as refused:
            await open_run(store, row.id)
        assert "\n" not in str(refused.value)
        await store.execute("DELETE FROM opencodeinterpreter_runs WHERE id = ?", [row.id])
        rebuilt = await rebuild(store)
        assert (rebuilt.added, len(rebuilt.problems)) == (0, 1)
        assert (await advance(store, World().graph(store), other)).row.status == "solved"


READER = """
import asyncio, sys
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import list_runs

async def main(url):
    async with open_store(url) as store:
        print(len(await list_runs(store)))

asyncio.run(main(sys.argv[1]))
"""


async def test_two_stores_of_one_process_lose_nothing_to_another_process(tmp_path: Path) -> None:
    """To open the file a second time must not end the locks that the first holds on it."""
    path = str(tmp_path / "runs.sqlite")
    seed = task_seed(TASK, World().settings())
    async with open_store(path) as ours, open_store(path):
        for count in (1, 2, 3):
            await create_run(ours, seed)
            told = await asyncio.to_thread(
                subprocess.run, [sys.executable, "-c", READER, path], capture_output=True, text=True
            )
            assert told.stdout == f"{count}\n", told.stderr


async def test_processes_that_open_a_new_store_at_once_all_succeed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.herd", str(tmp_path / "runs.sqlite"), "8"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    async with open_store(str(tmp_path / "runs.sqlite")) as herd:
        assert len(await herd.execute("SELECT * FROM opencodeinterpreter_store")) == 1


def held_locks() -> list[str]:
    """Return the files of this process that lock a run."""
    links: list[str] = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # It was closed meanwhile.
            links.append(str(each.readlink()))
    return [link for link in links if "-locks/" in link]


async def test_a_run_whose_caller_is_cancelled_for_good_is_free_again(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "runs.sqlite")) as store:
        for _ in range(3):
            row = await create_run(store, task_seed(TASK, World().settings()))
            await cancelled_for_good(World(runner=Gathering(1)), store, row)
            for _ in range(600):
                if not held_locks():
                    break
                await asyncio.sleep(0.1)
            assert (await advance(store, World().graph(store), row)).row.status == "solved"


async def test_a_write_that_is_cancelled_leaves_no_transaction_open(tmp_path: Path) -> None:
    """Else this process's own next write, and those of all others, would wait in vain."""
    async with open_store(str(tmp_path / "runs.sqlite")) as store:
        saver: Any = store.saver
        for _ in range(10):
            seed = task_seed(TASK, World().settings())
            writing = asyncio.ensure_future(create_run(store, seed))
            for _ in range(100_000):
                if saver.inner.conn.in_transaction or writing.done():
                    break
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.wait([writing])
            assert not saver.inner.conn.in_transaction
