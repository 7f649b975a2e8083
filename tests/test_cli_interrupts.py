"""Ctrl-C and deadlines: the command prints how to resume, and the resumed run ends as usual."""

import os
import shlex
import signal
from pathlib import Path

import pytest

from tests.command import Command, Done, installed, warm
from tests.doubling import RIGHT, arguments, draft, shown, write_script

LONG = 60.0
"""Seconds that a scripted reply takes, so that a test has all the time to cut it short."""


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path, warm)


def slow(command: Command, *options: str) -> list[str]:
    """Return the arguments of a solve whose second draft takes long."""
    write_script(command.home / "script.toml", delays=(0.0, LONG))
    return arguments(command, *options)


def printed_command(done: Done) -> list[str]:
    """Return the arguments of the command with which stderr says to resume."""
    (line,) = [line for line in done.stderr.splitlines() if "resume with: " in line]
    words = shlex.split(line.partition("resume with: ")[2])
    assert (Path(words[0]).name, words[1]) == ("opencodeinterpreter", "resume")
    return words[1:]


def resumed(command: Command, done: Done) -> Done:
    """Go on as the cut run's output says, with quick replies."""
    write_script(command.home / "script.toml")
    return command(*printed_command(done))


def test_ctrl_c_prints_the_command_that_resumes(tmp_path: Path) -> None:
    command = Command(tmp_path, installed)
    with command.start(*slow(command)) as running:
        running.wait_for("turn 1  critic")
        running.signal(signal.SIGINT)
        done = running.wait()
    assert done.status == 130
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "Aborted" not in done.stderr
    run = printed_command(done)[1]
    (first,) = shown(command, run)["turns"]
    end = resumed(command, done)
    assert (end.status, end.stdout) == (0, RIGHT)
    turns = shown(command, run)["turns"]
    assert (turns[0], len(turns)) == (first, 3)


def test_a_signal_to_the_process_alone_does_the_same(command: Command) -> None:
    with command.start(*slow(command)) as running:
        running.wait_for("turn 1  critic")
        os.kill(running.process.pid, signal.SIGINT)
        done = running.wait()
    assert done.status == 130
    assert resumed(command, done).status == 0


def test_sigterm_finishes_the_node_and_nothing_is_asked_twice(command: Command) -> None:
    write_script(command.home / "script.toml", delays=(0.0, 3.0))
    with command.start(*arguments(command)) as running:
        running.wait_for("turn 1  critic")
        os.kill(running.process.pid, signal.SIGTERM)
        done = running.wait()
    assert (done.status, done.stdout) == (143, "")
    assert "Traceback" not in done.stderr
    run = printed_command(done)[1]
    first, second = shown(command, run)["turns"]
    assert second["drafts"] and not second["executions"]
    write_script(command.home / "script.toml", [draft("print('asked again')\n"), draft(RIGHT)])
    assert command(*printed_command(done)).status in (0, 1)
    assert shown(command, run)["turns"][0] == first
    assert shown(command, run)["turns"][1]["drafts"] == second["drafts"]


def test_ctrl_c_ends_code_that_is_being_run(command: Command) -> None:
    endless = draft("while True:\n    pass\n")
    write_script(command.home / "script.toml", [endless])
    lines = arguments(
        command, "--set", "sandbox.wall_seconds=60", "--set", "sandbox.cpu_seconds=60"
    )
    with command.start(*lines) as running:
        running.wait_for("turn 1  coder")
        running.signal(signal.SIGINT)
        done = running.wait(timeout=20)
    assert done.status == 130
    assert shown(command, printed_command(done)[1])["turns"][0]["executions"] is None


def test_a_deadline_leaves_a_run_that_resumes(command: Command) -> None:
    done = command(*slow(command, "--deadline", "4"))
    assert done.status == 5
    assert "deadline reached; resume with: " in done.stderr
    run = printed_command(done)[1]
    assert command("runs").stdout.split("\t")[:2] == [run, "interrupted"]
    end = resumed(command, done)
    assert (end.status, end.stdout) == (0, RIGHT)


def test_resume_may_meet_a_deadline_too(command: Command) -> None:
    first = command(*slow(command, "--deadline", "3"))
    again = command(*printed_command(first), "--deadline", "1")
    assert again.status == 5
    assert printed_command(again) == printed_command(first)
    assert resumed(command, again).status == 0


def test_the_printed_command_names_the_store_where_one_was_named(command: Command) -> None:
    named = str(command.home / "another place" / "own.sqlite")
    done = command(*slow(command, "--deadline", "3", "--store", named))
    end = resumed(command, done)
    assert end.status == 0, end.stderr


def test_a_run_that_is_being_worked_on_is_not_resumed_by_another(command: Command) -> None:
    with command.start(*slow(command)) as running:
        run = running.wait_for("turn 1  critic").split()[1].rstrip(":")
        other = command("resume", run)
        assert other.status == 2
        assert "being worked on by another process" in other.stderr.splitlines()[-1]
        assert command("runs").stdout.split("\t")[1] == "running"
