"""`rejudge`: stored drafts are judged again by newer tests, another judge, or several times."""

import json
from pathlib import Path

import pytest

from tests.command import Command, warm
from tests.doubling import RIGHT, TASK, TESTS, draft, run_id, solved, write, write_script


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Return a command with a run that was solved in three turns."""
    command = Command(tmp_path_factory.mktemp("home"), warm)
    solved(command)
    return command


def test_the_same_tests_decide_alike(command: Command) -> None:
    done = command("rejudge", "latest", "--json")
    assert done.status == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["before"]["decision"] for row in rows] == ["revise", "revise", "solved"]
    assert [row["after"][0]["decision"] for row in rows] == ["revise", "revise", "solved"]
    assert all(row["tests"] and row["run"] and row["versions"] for row in rows)


def test_newer_tests_change_a_decision_and_the_stored_run_stays(
    command: Command, tmp_path: Path
) -> None:
    before = command("show", "latest", "--json").stdout
    newer = write(tmp_path / "newer.py", TESTS + "assert double(0) is None\n")
    done = command("rejudge", "latest", "--tests", newer, "-o", str(tmp_path / "out.jsonl"))
    assert done.status == 1, done.stderr
    assert "turn 3: solved -> revise (tests: 2 of 3 tests passed" in done.stdout
    assert "3 drafts: 2 decided as before, 1 not" in done.stdout
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 3
    assert command("show", "latest", "--json").stdout == before


def test_a_judge_that_disagrees_with_itself_is_counted(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    spec = write_script(
        tmp_path / "s.toml", [draft(RIGHT)], judge=['{"solved": true, "reason": "fine"}']
    )
    done = command("solve", TASK, "--model", spec, "--model", f"judge={spec}", "--json")
    assert done.status == 0, done.stderr
    other = write_script(tmp_path / "o.toml", judge=['{"solved": false, "reason": "no"}'])
    again = command("rejudge", run_id(done), "--judge", other, "--times", "3", "--json")
    assert again.status == 1, again.stderr
    (row,) = [json.loads(line) for line in again.stdout.splitlines()]
    assert [each["decision"] for each in row["after"]] == ["revise"] * 3
    assert (row["before"]["decided_by"], row["after"][0]["decided_by"]) == ("model", "model")
    assert row["judge"] == other


def test_faulty_tests_are_refused_before_a_draft_runs(command: Command, tmp_path: Path) -> None:
    done = command("rejudge", "latest", "--tests", write(tmp_path / "t.py", "x = 1\n"))
    assert done.status == 2
    assert "no assertion and no test_* function" in done.stderr
