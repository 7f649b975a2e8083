"""Trace files that are invalid, broken or of another release: one line with the line's number."""

import json
import re
from pathlib import Path

import pytest

from tests.command import Command, warm
from tests.doubling import solved

VERBS = ("show", "replay", "import")


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> str:
    command = Command(tmp_path_factory.mktemp("traces"), warm)
    return command("export", solved(command)).stdout


def refused(
    folder: Path, content: str | bytes, *says: str, verbs: tuple[str, ...] = ("import",)
) -> None:
    """Check that verbs refuse a file in one line that names it and holds `says`."""
    path = folder / "given.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    command = Command(folder, warm)
    for verb in verbs:
        done = command(verb, str(path))
        assert (done.status, done.stdout) == (2, ""), done
        (line,) = done.stderr.splitlines()
        assert line.startswith("opencodeinterpreter: ")
        assert str(path) in line
        for text in says:
            assert text in line
    assert command("runs").stdout == ""


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", ["no header"]),
        ("\n \n", ["no header"]),
        ("hello\n", ["line 1", "JSON"]),
        ("[1]\n", ["line 1", "object"]),
        ('{"line": "turn"}\n', ["line 1", "header"]),
        ("[" * 100_000 + "\n", ["line 1", "JSON"]),
        (bytes(range(256)) * 20, ["UTF-8"]),
        (b"\x00" * 4096, ["line 1"]),
    ],
    ids=["empty", "blank", "words", "list", "no header", "deep", "binary", "zeros"],
)
def test_a_file_that_is_not_a_trace_is_refused(
    tmp_path: Path, content: str | bytes, says: list[str]
) -> None:
    refused(tmp_path, content, *says)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"version":2', '"version":3', ["line 1", "version 3", "reads up to 2", "newer"]),
        ('"version":2', '"version":"one"', ["line 1", "version"]),
        ('"version":2', '"version":0', ["line 1", "version"]),
        ("opencodeinterpreter trace", "another format", ["line 1", "format"]),
        ('"run":"', '"run":"../', ["line 1", "run"]),
        ('"drafts":1', '"drafts":-1', ["line 2", "drafts"]),
        ('"limits":', '"limitz":', ["line 2", "limitz"]),
        ('"kind":"execution"', '"kind":"chorus"', ["line 10", "kind", "newer release"]),
        ('"critic":"execution"', '"critic":"chorus"', ["line 2", "critic", "newer release"]),
        ('"line":"task"', '"line":"tusk"', ["line 3", "'tusk'"]),
        ('"prompt":"Write a', '"promt":"Write a', ["line 3", "prom"]),
        ('"line":"text"', '"line":"text","colour":"red"', ["line 4", "colour"]),
        ('"number":2,"task"', '"number":7,"task"', ["line 11", "turn 2 is missing"]),
        ('"number":1,"task":1', '"number":1,"task":4', ["line 10", "task 4"]),
        ('"status":"ok"', '"status":"fine"', ["line 10", "executions.0.status"]),
        ('"chosen":0', '"chosen":3', ["line 10", "draft number 4"]),
    ],
)
def test_a_broken_line_is_named(
    tmp_path: Path, trace: str, old: str, new: str, says: list[str]
) -> None:
    assert old in trace
    refused(tmp_path, trace.replace(old, new, 1), *says)


def test_all_verbs_that_read_traces_refuse_alike(tmp_path: Path, trace: str) -> None:
    refused(tmp_path, trace.replace('"drafts":1', '"drafts":-1', 1), "line 2", verbs=VERBS)
    refused(tmp_path, trace[:-100], "JSON", verbs=VERBS)


def test_a_trace_that_was_cut_off_is_refused(tmp_path: Path, trace: str) -> None:
    lines = len(trace.splitlines())
    refused(tmp_path, trace[:-100], f"line {lines}", "JSON")
    refused(tmp_path, trace.splitlines()[0] + "\n", "no task")


def test_a_line_that_names_what_is_not_there_is_refused(tmp_path: Path, trace: str) -> None:
    lines = [json.loads(line) for line in trace.splitlines()]
    for kind, says in (("settings", "settings that are not in the trace"), ("task", "task")):
        left = [line for line in lines if line["line"] != kind]
        refused(tmp_path, "".join(json.dumps(line) + "\n" for line in left), says)
    first_text = next(line for line in lines if line["line"] == "text")
    left = [line for line in lines if line is not first_text]
    refused(tmp_path, "".join(json.dumps(line) + "\n" for line in left), "before it")


@pytest.mark.parametrize("verb", VERBS)
def test_a_missing_file_is_named(tmp_path: Path, verb: str) -> None:
    done = Command(tmp_path, warm)(verb, "no.jsonl")
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith("opencodeinterpreter: cannot read trace file no.jsonl: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (r'"seconds":[\d.e-]+', '"seconds":1e999', "too large for a float"),
        ('"reason":"', '"reason":"\\ud800', "unpaired surrogate"),
        (r'"models":\{"coder"', '"models":{"cook"', "cook"),
        ('"critic":"execution"', '"critics":"execution"', "critic"),
    ],
)
def test_values_that_a_run_cannot_store_are_refused(
    tmp_path: Path, trace: str, old: str, new: str, says: str
) -> None:
    changed, count = re.subn(old, lambda _: new, trace, count=1)
    assert count == 1
    refused(tmp_path, changed, "line ", says)
