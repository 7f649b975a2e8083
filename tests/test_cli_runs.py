"""`runs`: the table of runs for people, pipes and programs, and how it is rebuilt."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.command import Command, installed, warm
from tests.doubling import PLUS_TWO, TASK, draft, run_id, solve, solved, write, write_script
from tests.scripts import HOLDER
from tests.terminal import Terminal


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Return a command whose store holds three runs, one of them a branch; tests only read it."""
    made = Command(tmp_path_factory.mktemp("runs"), warm)
    parent = solved(made)
    solve(made, "--critic", "human")
    made("branch", parent, "--turn", "1", "--feedback", "By two.")
    return made


def test_a_pipe_gets_a_line_a_run_with_tabs_between(command: Command) -> None:
    done = Command(command.home, installed)("runs")
    assert (done.status, done.stderr) == (0, "")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert {len(row) for row in rows} == {9}
    assert [row[1] for row in rows] == ["solved", "waiting", "solved"]  # newest first
    assert [row[5] for row in rows] == [f"{rows[2][0]} turn 1", "", ""]
    assert {row[6] for row in rows} == {TASK}


def test_a_terminal_gets_a_table_with_headings(command: Command) -> None:
    with Terminal(command.with_environment(TERM="xterm-256color"), "runs") as terminal:
        assert terminal.wait() == 0
        heading, *lines = [line for line in terminal.shown.splitlines() if line]
    assert " ".join(heading.split()) == "run status turns tokens changed task"
    branch, waiting, parent = lines
    starts = {line.index(TASK) for line in (waiting, parent)}
    assert starts == {heading.index("task")}
    assert f"({parent[:8]} at 1) {TASK}" in branch


def test_a_tree_draws_each_branch_below_its_parent(command: Command) -> None:
    with Terminal(
        command.with_environment(TERM="xterm-256color"), "runs", "--tree", columns=80
    ) as terminal:
        assert terminal.wait() == 0
        _, *lines = [line for line in terminal.shown.splitlines() if line]
    parent, branch, waiting = lines
    assert branch.endswith("└─ at turn 1")
    assert parent.endswith("…")
    assert "waiting" in waiting
    assert {len(line) for line in (parent, waiting)} == {80}


def test_a_tree_in_json_has_the_order_of_the_drawing(command: Command) -> None:
    parent, branch, _ = json.loads(command("runs", "--tree", "--json", "-n", "3").stdout)
    assert branch["parent"] == parent["id"]
    found = json.loads(command("runs", "--tree", "--json", "-n", "1").stdout)
    assert [row["id"] for row in found] == [parent["id"], branch["id"]]


def test_json_is_a_list_of_objects(command: Command) -> None:
    done = command("runs", "--json")
    newest, _, oldest = json.loads(done.stdout)
    assert newest["parent"] == oldest["id"]
    assert newest["parent_turn"] == 1
    assert oldest["status"] == "solved"
    assert newest["created"] > oldest["created"]


def test_an_empty_store_has_no_runs(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    assert command("runs").stdout == ""
    assert json.loads(command("runs", "--json").stdout) == []


def test_the_table_is_rebuilt_from_the_checkpoints(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    parent = solved(command)
    branch = run_id(command("branch", parent, "--verdict", "stopped", "--json"))
    before = json.loads(command("runs", "--json").stdout)
    with sqlite3.connect(command.store) as database:
        database.execute("DELETE FROM opencodeinterpreter_runs")
    database.close()
    assert command("runs").stdout == ""
    assert command("runs", "--rebuild").status == 0
    after = json.loads(command("runs", "--json").stdout)
    for row in (*before, *after):
        del row["updated"]
    assert after == before
    assert {row["id"] for row in after} == {parent, branch}


def test_rebuilding_makes_a_table_that_was_dropped(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    run = solved(command)
    with sqlite3.connect(command.store) as database:
        database.execute("DROP TABLE opencodeinterpreter_runs")
    database.close()
    done = command("runs", "--rebuild", "--json")
    assert [row["id"] for row in json.loads(done.stdout)] == [run]


def test_a_task_with_brackets_is_shown_as_it_is(tmp_path: Path) -> None:
    command = Command(tmp_path, warm, {"TERM": "xterm-256color"})
    task = "Return a[i] plus b[j], see [/docs] :x:"
    command("solve", task, "--draft", write(tmp_path / "one.py", "print(1)"))
    with Terminal(command, "runs") as terminal:
        assert terminal.wait() == 0
        assert task in terminal.shown


def listed(command: Command, *options: str) -> list[str]:
    """Return the statuses of the runs that are listed, newest first."""
    return [row["status"] for row in json.loads(command("runs", "--json", *options).stdout)]


@pytest.mark.parametrize(
    ("options", "statuses"),
    [
        ([], ["solved", "waiting", "solved"]),
        (["-n", "2"], ["solved", "waiting"]),
        (["--status", "waiting"], ["waiting"]),
        (["--status", "failed"], []),
        (["--query", "TWICE"], ["solved", "waiting", "solved"]),
        (["--query", "thrice"], []),
        (["--since", "2020-01-01", "--status", "solved", "-n", "1"], ["solved"]),
        (["--since", "2999-12-31T23:59"], []),
        (["--model", "SCRIPT.toml"], ["solved", "waiting", "solved"]),
        (["--model", "qwen"], []),
    ],
)
def test_the_list_can_be_narrowed(
    command: Command, options: list[str], statuses: list[str]
) -> None:
    assert listed(command, *options) == statuses


@pytest.mark.parametrize("options", [["-n", "0"], ["--status", "done"], ["--since", "yesterday"]])
def test_a_condition_that_cannot_be_read_is_one_usage_error(
    command: Command, options: list[str]
) -> None:
    done = command("runs", *options)
    assert (done.status, done.stdout) == (2, "")
    assert options[0].lstrip("-") in done.stderr


def test_latest_names_the_newest_run(command: Command) -> None:
    newest = json.loads(command("runs", "--json").stdout)[0]["id"]
    assert command("show", "latest").stdout.startswith(f"run {newest}")


def test_latest_of_an_empty_store_is_told(tmp_path: Path) -> None:
    done = Command(tmp_path, warm)("show", "latest")
    assert done.status == 2
    assert "no run 'latest'; the store holds none yet" in done.stderr


def test_why_a_run_failed_or_was_not_solved_stands_below_it(tmp_path: Path) -> None:
    command = Command(tmp_path, warm, {"TERM": "xterm-256color"})
    spec = write_script(tmp_path / "mute.toml", [draft(PLUS_TWO)])
    assert command("solve", TASK, "-m", spec, "-m", f"judge={spec}").status == 3
    assert solve(command, "--turns", "2").status == 1
    rows = json.loads(command("runs", "--json").stdout)
    assert [row["reason"][:7] for row in rows] == ["0 of 2 ", "model: "]
    with Terminal(command, "runs", columns=80) as terminal:
        assert terminal.wait() == 0
        lines = [line for line in terminal.shown.splitlines() if line]
    assert [line.split()[0] for line in lines if not line.startswith(" ")][1:] == [
        row["id"][:8] for row in rows
    ]
    told = [line.strip() for line in lines if line.startswith(" ")]
    for row, line in zip(rows, told, strict=True):
        assert row["reason"].startswith(line.rstrip("…"))
    assert max(map(len, lines)) <= 80


def test_no_colour_is_shown_where_it_is_not_wanted(command: Command) -> None:
    for wanted, variables in ((True, {}), (False, {"NO_COLOR": "1"})):
        seen = command.with_environment(TERM="xterm-256color", **variables)
        with Terminal(seen, "runs") as terminal:
            assert terminal.wait() == 0
            assert ("\x1b[32m" in terminal.raw) == wanted


def stored(command: Command) -> set[str]:
    """Return the ids of all runs."""
    return {row["id"] for row in json.loads(command("runs", "--json").stdout)}


@pytest.fixture
def family(tmp_path: Path) -> tuple[Command, str, str]:
    """Return a command whose store holds a run and a branch of it, and both ids."""
    command = Command(tmp_path, warm)
    parent = solved(command)
    return command, parent, run_id(command("branch", parent, "--verdict", "stopped", "--json"))


def checkpoints(command: Command) -> set[str]:
    """Return the ids of runs of which something is stored."""
    with closing(sqlite3.connect(command.store)) as database:
        found = database.execute(
            "SELECT thread_id FROM checkpoints UNION SELECT thread_id FROM writes"
        )
        return {thread for (thread,) in found}


def test_a_run_is_removed_with_all_that_is_stored_of_it(
    family: tuple[Command, str, str],
) -> None:
    command, parent, branch = family
    done = command("runs", "rm", "latest", "--yes")
    assert (done.status, done.stdout, done.stderr) == (0, "", "removed 1 run\n")
    assert stored(command) == checkpoints(command) == {parent}
    assert command("show", branch).status == 2


def test_a_parent_goes_only_with_its_branches(family: tuple[Command, str, str]) -> None:
    command, parent, branch = family
    refused = command("runs", "rm", parent, "--yes")
    assert refused.status == 2
    assert f"has branches that are kept: {branch[:8]}" in refused.stderr
    assert stored(command) == {parent, branch}
    assert command("runs", "rm", parent, branch, "--yes").status == 0
    assert stored(command) == checkpoints(command) == set()


def test_the_parent_of_a_kept_branch_is_not_pruned(family: tuple[Command, str, str]) -> None:
    command, _, branch = family
    other = solved(command)
    assert command("runs", "prune", "--keep", "1", "--yes").status == 0
    assert stored(command) == {other}
    branch = run_id(command("branch", other, "--verdict", "stopped", "--json"))
    assert command("runs", "prune", "--keep", "1", "--yes").stderr == "nothing to remove\n"
    assert command("runs", "prune", "--older-than", "1h", "--yes").status == 0
    assert stored(command) == {other, branch}
    assert command("runs", "prune", "--older-than", "0h", "--yes").status == 0
    assert stored(command) == set()


def test_a_run_that_is_worked_on_is_not_removed(family: tuple[Command, str, str]) -> None:
    command, _, branch = family
    arguments = [sys.executable, "-c", HOLDER, str(command.store), branch]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        done = command("runs", "rm", branch, "--yes")
        holder.communicate()
    assert done.status == 2
    assert f"run {branch} is being worked on by another process" in done.stderr
    assert branch in stored(command)


def test_nothing_is_removed_without_a_yes(family: tuple[Command, str, str]) -> None:
    command, parent, branch = family
    done = command("runs", "rm", branch)
    assert (done.status, done.stdout) == (2, "")
    assert "add --yes" in done.stderr
    for answer, left in (("n\n", {parent, branch}), ("y\n", {parent})):
        with Terminal(command, "runs", "rm", branch) as terminal:
            terminal.wait_for("Remove 1 run? [y/N]")
            terminal.type(answer)
            terminal.wait()
        assert stored(command) == left


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prune"], "--older-than 30d"),
        (["prune", "--older-than", "soon"], "--older-than soon: write 12h"),
        (["prune", "--older-than", "d"], "--older-than d: write 12h"),
        (["prune", "--older-than", f"{10**30}w"], "write 12h"),
        (["rm", "nothing", "--yes"], "no run 'nothing'"),
        (["--store", "other.sqlite", "rm", "latest"], "write the options of rm after its name"),
    ],
)
def test_a_removal_that_is_not_clear_is_one_line(
    command: Command, arguments: list[str], words: str
) -> None:
    before = stored(command)
    done = command("runs", *arguments)
    assert (done.status, done.stdout) == (2, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert stored(command) == before


def test_rebuilding_completes_the_rows_of_an_older_release(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    assert solve(command, "--turns", "1").status == 1
    before = json.loads(command("runs", "--json").stdout)
    with closing(sqlite3.connect(command.store)) as database:
        for column in ("model", "reason"):
            database.execute(f"ALTER TABLE opencodeinterpreter_runs DROP COLUMN {column}")
    (old,) = json.loads(command("runs", "--json").stdout)
    assert (old["model"], old["reason"]) == ("", "")
    assert json.loads(command("runs", "--rebuild", "--json").stdout) == before
