"""`runs`: the table of runs, for people, pipes and programs; and its rebuilding."""

import json
import sqlite3
from pathlib import Path

import pytest

from tests.command import Command, installed, warm
from tests.doubling import TASK, run_id, solve, solved, write
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
    assert {len(row) for row in rows} == {7}
    assert [row[1] for row in rows] == ["solved", "waiting", "solved"]  # newest first
    assert [row[5] for row in rows] == [f"{rows[2][0]} turn 1", "", ""]
    assert {row[6] for row in rows} == {TASK}


def test_a_terminal_gets_a_table_with_headings(command: Command) -> None:
    with Terminal(command.with_environment(TERM="xterm-256color"), "runs") as terminal:
        assert terminal.wait() == 0
        heading, *lines = [line for line in terminal.shown.splitlines() if line]
    assert " ".join(heading.split()) == "run status turns tokens updated (UTC) branch of task"
    assert len(lines) == 3
    starts = {line.index(TASK) for line in lines}
    assert starts == {heading.index("task")}


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
