"""`resume`: every answer to a question, finished runs, and answers without a question."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.command import Command, installed, warm
from tests.doubling import PLUS_TWO, RIGHT, TRIPLE, said, shown, solved, waiting, write


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path, warm)


@pytest.fixture(name="waiting")
def waiting_run(command: Command) -> str:
    """Return the id of a run that waits for a person after its first draft."""
    return waiting(command)


def test_approve_solves_what_tests_did_not(command: Command, waiting: str) -> None:
    done = Command(command.home, installed)("resume", waiting, "--approve")
    assert (done.status, done.stdout) == (0, PLUS_TWO)
    assert "solved in turn 1, solved by human" in done.stderr


def test_words_go_to_the_coder_and_the_next_draft_is_asked_about_again(
    command: Command, waiting: str
) -> None:
    first = command("resume", waiting, "--feedback", "Use a product.")
    assert (first.status, first.stdout) == (4, TRIPLE)
    assert "it waits for a person" in first.stderr
    last = command("resume", waiting, "--feedback", "By two.")
    assert (last.status, last.stdout) == (0, RIGHT)
    found = shown(command, waiting)
    assert said(found, "user")[1:] == ["Use a product.", "By two."]


def test_edited_code_is_the_next_turn(command: Command, waiting: str) -> None:
    path = write(command.home / "mine.py", RIGHT)
    target = command.home / "out.py"
    done = command("resume", waiting, "--code", path, "-o", str(target))
    assert (done.status, done.stdout) == (0, "")
    assert target.read_text() == RIGHT
    first, second = shown(command, waiting)["turns"]
    assert first["feedback"]["action"] == "edit"
    assert second["given"] == {"drafts": "a person"}
    assert second["verdict"]["decision"] == "solved"


def test_stop_gives_the_run_up(command: Command, waiting: str) -> None:
    done = command("resume", waiting, "--stop", "--json")
    assert done.status == 1
    found = json.loads(done.stdout)
    assert found["run"]["status"] == "unsolved"
    assert (found["verdict"]["decision"], found["verdict"]["decided_by"]) == ("stopped", "human")


def test_without_an_answer_the_run_keeps_waiting(command: Command, waiting: str) -> None:
    done = command("resume", waiting[:6])
    assert (done.status, done.stdout) == (4, PLUS_TWO)
    assert "it waits for a person" in done.stderr


@pytest.mark.parametrize("blank", ["", "  \n"])
def test_empty_words_are_refused_and_the_question_stays(
    command: Command, waiting: str, blank: str
) -> None:
    done = command("resume", waiting, "--feedback", blank)
    assert (done.status, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "empty" in done.stderr
    assert command("resume", waiting, "--approve").status == 0


def test_empty_code_is_refused_and_the_question_stays(command: Command, waiting: str) -> None:
    done = command("resume", waiting, "--code", write(command.home / "empty.py", " \n"))
    assert (done.status, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "empty" in done.stderr
    assert command("resume", waiting, "--approve").status == 0


def test_two_answers_at_once_are_refused(command: Command, waiting: str) -> None:
    done = command("resume", waiting, "--approve", "--stop")
    assert (done.status, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "--approve" in done.stderr
    assert shown(command, waiting)["turns"][0]["feedback"] is None


def test_a_run_that_has_ended_stays_as_it_is(command: Command) -> None:
    run = solved(command)
    before = command("export", run).stdout
    done = command("resume", run)
    assert (done.status, done.stdout) == (0, RIGHT)
    assert "solved in turn 3" in done.stderr
    assert command("export", run).stdout == before


def test_a_run_that_was_killed_after_its_end_was_stored_is_told_as_ended(command: Command) -> None:
    run = solved(command)
    with closing(sqlite3.connect(command.store)) as store, store:
        store.execute("UPDATE opencodeinterpreter_runs SET status = 'running'")
    done = command("resume", run)
    assert (done.status, done.stdout) == (0, RIGHT)
    assert "solved" in done.stderr and "running" not in done.stderr
    assert "solved" in command("runs").stdout


@pytest.mark.parametrize("answer", [["--approve"], ["--feedback", "More."], ["--stop"]])
def test_an_answer_without_a_question_is_refused(command: Command, answer: list[str]) -> None:
    run = solved(command)
    done = command("resume", run, *answer)
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith(f"opencodeinterpreter: run {run[:8]} has no question to answer")
    assert "branch" in done.stderr
