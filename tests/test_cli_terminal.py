"""A person at a terminal: they see each draft and its result, answer, or leave."""

import stat
from pathlib import Path

import pytest

from tests.command import Command, installed, warm
from tests.doubling import PLUS_TWO, RIGHT, arguments, shown, waiting, write
from tests.sampling import every
from tests.terminal import Terminal
from tests.test_graph_growth import long_record, trace_of_record

CHOICES = "[s]top"


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path, warm, {"TERM": "xterm-256color"})


def solving(command: Command) -> Terminal:
    return Terminal(command, *arguments(command, "--critic", "human"))


def only_run(command: Command) -> str:
    done = command("runs")
    (line,) = done.stdout.splitlines()
    return line.split("\t")[0]


def test_a_person_sees_the_draft_and_its_result_and_words_lead_to_the_next_draft(
    command: Command,
) -> None:
    with solving(command) as terminal:
        terminal.wait_for(CHOICES)
        screen = terminal.shown
        assert PLUS_TWO.rstrip() in screen
        assert "1 of 2 tests did not pass." in screen
        assert "turn 1: 1 of 2 tests passed" in screen
        assert "working …" not in screen
        terminal.type("w\n")
        terminal.wait_for("words:")
        terminal.type("Use a product.\n")
        terminal.wait_for(CHOICES, 2)
        terminal.type("\n")  # words are the default
        terminal.wait_for("words:", 2)
        terminal.type("By two.\n")
        assert terminal.wait() == 0
        end = terminal.shown
    assert "after critic …" not in end
    assert "solved in turn 3" in end
    assert end.endswith(RIGHT)
    found = shown(command, only_run(command))
    assert [turn["feedback"] and turn["feedback"]["kind"] for turn in found["turns"]] == [
        "human",
        "human",
        None,
    ]
    assert {"Use a product.", "By two."} <= {one["content"] for one in found["texts"].values()}


def test_a_person_may_approve(command: Command) -> None:
    with solving(command) as terminal:
        terminal.wait_for(CHOICES)
        terminal.type("x\n")  # no choice: it is asked again
        terminal.wait_for(CHOICES, 2)
        terminal.type("a\n")
        assert terminal.wait() == 0
        assert "solved in turn 1" in terminal.shown
        assert "human" in terminal.shown.splitlines()[-4]


def test_a_person_may_stop(tmp_path: Path) -> None:
    with solving(Command(tmp_path, installed)) as terminal:
        terminal.wait_for(CHOICES)
        terminal.type("s\n")
        assert terminal.wait() == 1
        assert "unsolved in turn 1, stopped by human" in terminal.shown


def test_a_person_may_edit_the_code(command: Command) -> None:
    editor = Path(write(command.home / "editor", "#!/bin/sh\nsed -i 's/+ 2/* 2/' \"$1\"\n"))
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    with solving(command.with_environment(EDITOR=str(editor))) as terminal:
        terminal.wait_for(CHOICES)
        terminal.type("e\n")
        assert terminal.wait() == 0
        assert "solved in turn 2" in terminal.shown
    found = shown(command, only_run(command))
    assert found["turns"][1]["drafts"][0]["code"].strip() == RIGHT.strip()
    assert found["turns"][1]["given"] == {"drafts": "a person"}


def test_who_leaves_the_question_with_ctrl_c_is_told_how_to_come_back(command: Command) -> None:
    with solving(command) as terminal:
        terminal.wait_for(CHOICES)
        terminal.type("\x03")
        terminal.wait_for("opencodeinterpreter resume")
        assert terminal.wait() == 130
    run = only_run(command)
    assert command("runs").stdout.split("\t")[1] == "waiting"
    done = command("resume", run, "--approve")
    assert (done.status, done.stdout) == (0, PLUS_TWO)


@pytest.mark.parametrize("times", every(2, (3, 10)))
def test_ctrl_c_is_heard_at_whatever_moment_of_the_question_it_comes(
    command: Command, times: int
) -> None:
    run = waiting(Command(command.home, warm))
    for _ in range(times):
        with Terminal(command, "resume", run) as terminal:
            terminal.wait_for(CHOICES)
            terminal.type("\x03")
            assert terminal.wait() == 130


def test_resume_repeats_an_unanswered_question(command: Command) -> None:
    run = waiting(Command(command.home, warm))
    with Terminal(command, "resume", run) as terminal:
        terminal.wait_for(CHOICES)
        assert PLUS_TWO.rstrip() in terminal.shown
        terminal.type("a\n")
        assert terminal.wait() == 0


def test_an_editor_that_is_not_there_is_told_and_the_question_asked_again(command: Command) -> None:
    with solving(command.with_environment(EDITOR="/no/such/editor")) as terminal:
        terminal.wait_for(CHOICES)
        terminal.type("e\n")
        terminal.wait_for(CHOICES, 2)
        assert "EDITOR names another" in terminal.shown
        terminal.type("s\n")
        assert terminal.wait() == 1


def test_ctrl_c_in_an_editor_is_the_editors(command: Command) -> None:
    script = "#!/bin/sh\ntrap 'echo heard' INT\necho editing\nsleep 1\nsed -i 's/+ 2/* 2/' \"$1\"\n"
    editor = Path(write(command.home / "editor", script))
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    with solving(command.with_environment(EDITOR=str(editor))) as terminal:
        terminal.wait_for(CHOICES)
        terminal.type("e\n")
        terminal.wait_for("editing")
        terminal.type("\x03")
        assert terminal.wait() == 0
        assert "solved in turn 2" in terminal.shown


async def test_a_replay_tells_how_far_it_is(command: Command) -> None:
    trace = trace_of_record(await long_record(100))
    path = write(command.home / "long.jsonl", "\n".join(trace.lines()) + "\n")
    with Terminal(command, "replay", path) as terminal:
        terminal.wait_for(" of 399 parts")
        assert terminal.wait() == 0
        assert "identical: 100 turns" in terminal.shown
