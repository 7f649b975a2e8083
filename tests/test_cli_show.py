"""`show`: a run or a trace file turn by turn."""

import json
from pathlib import Path

import pytest

from tests.command import Command, installed, warm
from tests.doubling import PLUS_TWO, RIGHT, TASK, TRIPLE, draft, shown, solved, write_script


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Return a command with one solved run; tests only read it."""
    made = Command(tmp_path_factory.mktemp("show"), warm)
    solved(made)
    return made


@pytest.fixture(scope="module")
def run(command: Command) -> str:
    (row,) = json.loads(command("runs", "--json").stdout)
    return str(row["id"])


def test_a_run_is_told_turn_by_turn(command: Command, run: str) -> None:
    done = Command(command.home, installed)("show", run[:8])
    assert (done.status, done.stderr) == (0, "")
    text = done.stdout
    places = [
        text.index(piece)
        for piece in (f"run {run}", TASK, "turn 1", PLUS_TWO, "turn 2", TRIPLE, "turn 3", RIGHT)
    ]
    assert places == sorted(places)
    assert "verdict: solved by tests" in text
    assert text.count("critic: execution feedback") == 2
    assert "Expected: 10" in text


def test_a_file_is_told_like_the_run_it_came_from(command: Command, run: str) -> None:
    path = str(command.home / "run.jsonl")
    assert command("export", run, "-o", path).status == 0
    assert command("show", path).stdout == command("show", run).stdout


def test_one_turn_can_be_asked_for(command: Command, run: str) -> None:
    done = command("show", run, "--turn", "2")
    assert TRIPLE in done.stdout
    assert PLUS_TWO not in done.stdout
    assert RIGHT not in done.stdout
    assert [turn["number"] for turn in shown(command, run)["turns"]] == [1, 2, 3]


def test_a_turn_that_is_not_there_is_refused(command: Command, run: str) -> None:
    done = command("show", run, "--turn", "4")
    assert (done.status, done.stdout) == (2, "")
    assert "has no turn 4; it has 3" in done.stderr


def test_json_holds_header_and_record(command: Command, run: str) -> None:
    found = shown(command, run)
    assert found["header"]["run"] == run
    assert {"tasks", "settings", "messages", "turns"} <= found.keys()


def test_a_run_that_failed_says_where_whose_and_why(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    spec = write_script(tmp_path / "mute.toml", [draft(PLUS_TWO)])  # it has no critic's replies
    done = command("solve", TASK, "-m", spec, "-m", f"judge={spec}", "--json")
    assert done.status == 3
    ended = json.loads(done.stdout)
    assert (ended["run"]["status"], ended["failure"]["node"]) == ("failed", "judge")
    last = done.stderr.splitlines()[-1]
    assert last == f"opencodeinterpreter: model: {ended['failure']['message']}"
    (row,) = json.loads(command("runs", "--json").stdout)
    assert row["status"] == "failed"
    text = command("show", row["id"]).stdout
    assert "failed at judge: model: " in text
    assert "the file has no [[judge]] entries" in text
    failure = shown(command, row["id"])["header"]["failure"]
    assert (failure["node"], failure["owner"]) == ("judge", "model")


def test_several_drafts_show_which_one_goes_on(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    spec = write_script(tmp_path / "s.toml", [[draft(TRIPLE), draft(RIGHT)]])
    text = command("show", solved(command, "--drafts", "2", "--model", spec)).stdout
    assert "draft 1:" in text
    assert "draft 2 (goes on):" in text
