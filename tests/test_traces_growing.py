"""`solve --trace`: a file that grows node by node, and is read wherever its writing stopped."""

import json
import signal
from pathlib import Path

import pytest

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.traces.trace import read_trace
from tests.command import Command, warm
from tests.doubling import THREE_TURNS, arguments, solve, write_script


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Return a command that has solved the task in three turns, into run.jsonl."""
    command = Command(tmp_path_factory.mktemp("growing"), warm)
    done = solve(command, "--trace", "run.jsonl")
    assert done.status == 0, done.stderr
    return command


def test_a_whole_file_is_the_run_s_trace(made: Command) -> None:
    path = made.home / "run.jsonl"
    trace = read_trace(path.read_text("utf-8").split("\n"), "run")
    assert (trace.cut, trace.changed, len(trace.record.turns)) == ("", None, 3)
    stored = read_trace(made("export", "latest").stdout.split("\n"), "stored")
    assert trace.record == stored.record
    assert trace.routes == stored.routes
    done = made("replay", "run.jsonl")
    assert (done.status, done.stderr) == (0, "")


def test_a_node_only_adds_lines(made: Command) -> None:
    lines = (made.home / "run.jsonl").read_text("utf-8").splitlines()
    turns = [json.loads(line)["number"] for line in lines if '"line":"turn"' in line]
    assert turns == [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3]


def test_a_change_of_a_whole_file_is_seen(made: Command, tmp_path: Path) -> None:
    lines = (made.home / "run.jsonl").read_text("utf-8").splitlines()
    at = max(at for at, line in enumerate(lines) if '"line":"turn"' in line)
    lines[at] = lines[at].replace("tests passed", "tests PASSED")
    assert read_trace(lines, "changed").changed == 3


def test_a_file_that_was_cut_anywhere_after_its_task_is_read_up_to_there(made: Command) -> None:
    text = (made.home / "run.jsonl").read_text("utf-8")
    lines = text.splitlines(keepends=True)
    begun = len("".join(lines[:3]))
    seen = 0
    for cut in range(begun, len(text) - 1, 211):
        trace = read_trace(text[:cut].split("\n"), "cut")
        assert len(trace.record.turns) >= seen
        seen = len(trace.record.turns)
        torn = not text[:cut].endswith("\n") and text[cut] != "\n"
        assert ("is torn" in trace.cut) == torn
        assert "no end yet" in trace.cut
    assert seen == 3


def test_a_torn_line_in_the_middle_is_refused(made: Command) -> None:
    lines = (made.home / "run.jsonl").read_text("utf-8").splitlines()
    with pytest.raises(InputError, match="line 5: not JSON"):
        read_trace([*lines[:4], lines[4][:-5], *lines[5:]], "torn")


def test_the_file_of_a_killed_run_is_told_to_be_cut_and_is_shown_and_viewed(
    tmp_path: Path,
) -> None:
    command = Command(tmp_path, warm)
    write_script(tmp_path / "script.toml", THREE_TURNS, delays=(0.0, 60.0))
    with command.start(*arguments(command, "--trace", "run.jsonl")) as running:
        running.wait_for("critic")
        running.signal(signal.SIGKILL)
    with (tmp_path / "run.jsonl").open("ab") as file:
        file.write('{"line":"text","id":"é'.encode()[:-1])
    shown = command("show", "run.jsonl")
    assert shown.status == 0, shown.stderr
    assert "is torn and was left out" in shown.stderr
    assert "-- turn 1" in shown.stdout
    assert command("view", "run.jsonl", "-o", "page.html").status == 0


def test_an_old_file_is_not_appended_to(made: Command) -> None:
    before = (made.home / "run.jsonl").read_bytes()
    done = solve(made, "--trace", "run.jsonl")
    assert done.status == 2
    assert "cannot write run.jsonl: it exists; name a new file" in done.stderr
    assert (made.home / "run.jsonl").read_bytes() == before
