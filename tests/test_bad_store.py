"""Unusable stores: one clear line, exit status 2, and the file does not change."""

import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import Command, Done, installed, warm
from tests.doubling import TASK, arguments, run_id, solve, solved, write, write_script

NOBODY = 65534


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path, warm)


def refused(done: Done, *says: str) -> None:
    """Check that a command was refused in one line that holds `says`."""
    assert (done.status, done.stdout) == (2, ""), done
    (line,) = done.stderr.splitlines()
    assert line.startswith("opencodeinterpreter: ")
    for text in says:
        assert text in line


def verbs(command: Command) -> list[list[str]]:
    return [["runs"], ["show", "abc"], arguments(command)]


@pytest.mark.parametrize("kind", ["random bytes", "text", "cut off", "overwritten"])
def test_a_corrupt_store_is_named_and_left_alone(command: Command, kind: str) -> None:
    solved(command)
    whole = command.store.read_bytes()
    noise = random.Random(1).randbytes(len(whole))
    content = {
        "random bytes": noise,
        "text": b"no database at all\n" * 1000,
        "cut off": whole[: len(whole) // 2 + 100],
        "overwritten": whole[:200] + noise[200:],
    }[kind]
    command.store.write_bytes(content)
    for line in verbs(command):
        refused(command(*line), str(command.store), "corrupt")
    assert command.store.read_bytes() == content


def test_a_store_that_another_process_holds_is_named(command: Command) -> None:
    run = solved(command)
    holder = sqlite3.connect(command.store)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    try:
        done = Command(command.home, installed)("runs")
        refused(done, str(command.store), "another program holds it")
    finally:
        holder.rollback()
        holder.close()
    assert command("show", run).status == 0


def test_a_store_of_another_version_is_named(command: Command) -> None:
    run = solved(command)
    with sqlite3.connect(command.store) as database:
        database.execute("UPDATE opencodeinterpreter_store SET version = 99")
    database.close()
    for line in verbs(command):
        refused(command(*line), str(command.store), "version 99", "version 2")
    with sqlite3.connect(command.store) as database:
        database.execute("UPDATE opencodeinterpreter_store SET version = 2")
    database.close()
    assert command("show", run).status == 0


def test_a_store_whose_folder_is_a_file_is_named(command: Command) -> None:
    path = write(command.home / "file", "no folder")
    refused(command("runs", "--store", f"{path}/runs.sqlite"), f"{path}/runs.sqlite")


def test_a_store_that_is_a_folder_is_named(command: Command) -> None:
    refused(command("runs", "--store", str(command.home)), str(command.home))


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """Return a folder that everybody may read; those of pytest are closed to other users."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)  # A test may have closed it to its owner.
    shutil.rmtree(folder)


def powerless(home: Path) -> Command:
    """Return a command of a user who may write nothing in `home`."""
    if os.geteuid() == 0:
        return Command(home, warm, user=NOBODY)
    home.chmod(0o555)
    return Command(home, warm)


def test_a_folder_that_may_not_be_written_is_named(own_folder: Path, tmp_path: Path) -> None:
    (own_folder / "output").mkdir()
    command = powerless(own_folder)
    refused(command("runs"), str(command.store), "Permission denied")
    assert not command.store.exists()
    store = str(own_folder / "runs.sqlite")
    refused(command("runs", "--store", store), store, "writable")


def test_a_store_that_may_only_be_read_is_named(own_folder: Path) -> None:
    owner = Command(own_folder, warm)
    solved(owner)
    content = owner.store.read_bytes()
    owner.store.parent.chmod(0o555)
    owner.store.chmod(0o444)
    refused(powerless(own_folder)("runs"), str(owner.store), "may not be written")
    assert owner.store.read_bytes() == content
    owner.store.parent.chmod(0o755)


def test_an_output_that_may_not_be_written_is_named_before_anything_is_run(
    own_folder: Path, tmp_path: Path
) -> None:
    owner = Command(own_folder, warm)
    lines = arguments(owner)
    (own_folder / "data").mkdir(mode=0o777)
    (own_folder / "data").chmod(0o777)
    (own_folder / "output").mkdir()
    target = own_folder / "out.py"
    command = powerless(own_folder)
    refused(command(*lines, "-o", str(target)), str(target), "Permission denied")
    assert not target.exists()
    assert command("runs").stdout == ""


def test_a_run_that_does_not_exist_is_told_with_the_nearest(command: Command) -> None:
    run = solved(command)
    short = run[:8]
    wrong = ("0" if short[0] != "0" else "1") + short[1:]
    for verb in ("show", "resume", "replay", "export"):
        refused(command(verb, wrong), f"no run '{wrong}'", f"nearest: {short}")
    refused(command("branch", wrong, "--verdict", "solved"), f"nearest: {short}")


def test_an_empty_store_says_so(command: Command) -> None:
    refused(command("show", "abcdef"), "no run 'abcdef'", "none yet")


def test_a_prefix_of_several_runs_names_them(command: Command) -> None:
    trace = command("export", solved(command)).stdout
    fresh = Command(command.home / "fresh", warm)
    fresh.home.mkdir()
    ids = [f"abc{digit}0000-1111-4111-8111-111111111111" for digit in "12"]
    old = trace.partition('"run":"')[2][:36]
    for one in ids:
        path = write(fresh.home / "run.jsonl", trace.replace(old, one))
        assert fresh("import", path).status == 0
    refused(fresh("show", "abc"), "'abc' names 2 runs", "abc10000", "abc20000")
    assert fresh("show", "abc1").status == 0


def test_an_empty_prefix_names_no_run(command: Command) -> None:
    solve(command)
    refused(command("show", ""), "the name of the run is empty")


@pytest.mark.parametrize("store", ["mysql://me:secret@host/db", "postgresql://me:secret@[x/db"])
def test_an_unsupported_url_is_refused_without_showing_its_password(
    command: Command, store: str
) -> None:
    done = command("runs", "--store", store)
    refused(done, "store")
    assert "secret" not in done.stderr
    assert not (command.home / "mysql:").exists()


def test_an_unknown_users_home_in_a_path_is_taken_literally(command: Command) -> None:
    assert command("runs", "--store", "~nosuch/runs.sqlite").status == 0
    assert (command.home / "~nosuch" / "runs.sqlite").is_file()


def test_pages_that_are_corrupt_show_when_they_are_read(command: Command) -> None:
    runs = [solved(command) for _ in range(3)]
    assert sqlite3.connect(command.store).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    whole = command.store.read_bytes()
    command.store.write_bytes(whole[: 8 * 4096] + random.Random(1).randbytes(len(whole) - 8 * 4096))
    for verb in ("show", "replay", "export", "branch", "resume"):
        refused(command(verb, runs[0]), str(command.store), "corrupt")


_NEWEST = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = "
_SWAPS = {
    "the content of the newest checkpoint": (
        "UPDATE checkpoints SET checkpoint = (SELECT checkpoint FROM checkpoints "
        f"WHERE checkpoint_id = ({_NEWEST} :other)) WHERE checkpoint_id = ({_NEWEST} :run)",
    ),
    "the newest checkpoint": (
        "INSERT INTO checkpoints SELECT :run, checkpoint_ns, checkpoint_id, parent_checkpoint_id, "
        f"type, checkpoint, metadata FROM checkpoints WHERE checkpoint_id = ({_NEWEST} :other)",
    ),
    "all checkpoints and writes": tuple(
        line
        for table in ("checkpoints", "writes")
        for line in (
            f"UPDATE {table} SET thread_id = 'aside' WHERE thread_id = :run",
            f"UPDATE {table} SET thread_id = :run WHERE thread_id = :other",
        )
    ),
    "the row": (
        "UPDATE opencodeinterpreter_runs SET id = 'aside' WHERE id = :run",
        "UPDATE opencodeinterpreter_runs SET id = :run WHERE id = :other",
    ),
    "the first checkpoint": (
        "UPDATE checkpoints SET checkpoint = (SELECT checkpoint FROM checkpoints "
        "WHERE thread_id = :other AND parent_checkpoint_id IS NULL) "
        "WHERE thread_id = :run AND parent_checkpoint_id IS NULL",
    ),
}
_OTHER_TASK = "Triple n."


@pytest.fixture(scope="module")
def three_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Command, str, dict[str, str]]:
    """Return a store with a run, and the ids of others by task; tests copy it."""
    made = Command(tmp_path_factory.mktemp("runs"), warm)
    write_script(made.home / "script.toml")  # one script, so that the runs have equal settings
    run, twin = solved(made), solved(made)
    words = [_OTHER_TASK if word == TASK else word for word in arguments(made)]
    return made, run, {TASK: twin, _OTHER_TASK: run_id(made(*words, "--json"))}


@pytest.mark.parametrize(
    ("swap", "task"),
    [(name, _OTHER_TASK) for name in _SWAPS] + [(name, TASK) for name in list(_SWAPS)[:3]],
)
def test_what_is_another_runs_is_told_in_one_line(
    command: Command, three_runs: tuple[Command, str, dict[str, str]], swap: str, task: str
) -> None:
    """The row and the input of another run of the same task are the same, but for its times."""
    made, run, others = three_runs
    _copy_swapped(made, command, _SWAPS[swap], {"run": run, "other": others[task]})
    for verb in ("show", "resume"):
        refused(command(verb, run), f"run {run} cannot be read", "restore a backup")


def test_what_nodes_of_another_run_wrote_is_shown_by_a_replay(
    command: Command, three_runs: tuple[Command, str, dict[str, str]]
) -> None:
    made, run, others = three_runs
    ranked = "row_number() OVER (ORDER BY checkpoint_id, idx) AS n"
    lines = (
        f"CREATE TEMP TABLE a AS SELECT {ranked}, rowid AS at FROM writes WHERE thread_id = :run",
        f"CREATE TEMP TABLE b AS SELECT {ranked}, value FROM writes WHERE thread_id = :other",
        "UPDATE writes SET value = (SELECT value FROM a JOIN b USING (n) WHERE at = writes.rowid) "
        "WHERE thread_id = :run",
    )
    _copy_swapped(made, command, lines, {"run": run, "other": others[_OTHER_TASK]})
    done = command("replay", run)
    assert (done.status, "the request differs from the recorded one" in done.stdout) == (1, True)


def _copy_swapped(
    made: Command, command: Command, lines: tuple[str, ...], names: dict[str, str]
) -> None:
    """Copy a store and execute `lines` in the copy."""
    command.store.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(made.store) as source, sqlite3.connect(command.store) as copy:
        source.backup(copy)
        for line in lines:
            copy.execute(line, names)
    for database in (source, copy):
        database.close()
