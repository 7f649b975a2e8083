"""Traces and runs named on the command line: what is no run and no trace is told in one line."""

import json
import sqlite3
from pathlib import Path

import pytest

from tests.command import Command, warm
from tests.doubling import solved, write
from tests.pages import events_of

EXAMPLES = Path(__file__).parent.parent / "traces" / "examples"
VERBS = {
    "show": ("show",),
    "view": ("view", "-o", "made"),
    "export": ("export", "-o", "made"),
    "export atif": ("export", "--format", "atif", "-o", "made"),
    "rejudge": ("rejudge", "-o", "made"),
    "replay": ("replay",),
    "rerun": ("rerun", "--live", "executor"),
    "branch": ("branch", "--feedback", "words"),
    "diff": ("diff", "person.jsonl"),
}
BAD_FILES = {
    "torn.jsonl": ('{"line": "hea', "line 1: not JSON: the line breaks off"),
    "broken.jsonl": ('{"line": header}', "line 1: not JSON: Expecting value at character 10"),
    "digits.jsonl": ('{"line": ' + "9" * 5000 + "}", "line 1: it holds a whole number of more"),
    "other.jsonl": ('{"prompt": "Print 1."}', "line 1: the first line must be the header"),
    "empty.jsonl": ("", "empty.jsonl has no header"),
}


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Return a command with a run in its store, an example, bad files, and a folder of all."""
    command = Command(tmp_path_factory.mktemp("home"), warm)
    solved(command)
    folder = command.home / "folder"
    folder.mkdir()
    person = (EXAMPLES / "person.jsonl").read_text("utf-8")
    for name, text in {"person.jsonl": person, **{n: t for n, (t, _) in BAD_FILES.items()}}.items():
        write(command.home / name, text)
        write(folder / name, text)
    return command


def refused(command: Command, *words: str) -> str:
    """Return the one line with which a command refuses its use."""
    done = command(*words)
    assert (done.status, done.stdout) == (2, ""), (words, done.stderr)
    assert not (command.home / "made").exists()
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("", "the name of the run is empty"),
        ("missing.jsonl", "cannot read trace file missing.jsonl: No such file"),
        ("./missing", "cannot read trace file missing: No such file"),
        ("folder", "folder is a folder; name one trace file in it"),
        ("./folder/", "folder is a folder; name one trace file in it"),
        ("x" * 300, f"no run '{'x' * 300}'"),
    ],
)
def test_what_is_no_run_and_no_trace_is_named_as_what_it_is(
    command: Command, verb: str, target: str, said: str
) -> None:
    if verb == "view" and "folder" in target:
        pytest.skip("view takes folders")
    assert said in refused(command, *VERBS[verb], target)


@pytest.mark.parametrize(("name", "said"), [(name, said) for name, (_, said) in BAD_FILES.items()])
def test_a_file_that_is_no_trace_is_told_by_its_line(
    command: Command, name: str, said: str
) -> None:
    assert said in refused(command, "show", name)


def test_a_byte_order_mark_before_a_trace_is_skipped(command: Command, tmp_path: Path) -> None:
    text = (EXAMPLES / "person.jsonl").read_text("utf-8")
    (tmp_path / "marked.jsonl").write_text(text, "utf-8-sig")
    done = command("replay", str(tmp_path / "marked.jsonl"))
    assert (done.status, done.stderr) == (0, "")
    assert command("view", str(tmp_path), "-o", str(tmp_path / "page.html")).status == 0


def test_a_folder_shows_its_traces_and_tells_what_it_leaves_out(command: Command) -> None:
    done = command("view", "folder", "-o", "folder.html")
    assert done.status == 0
    told = done.stderr.splitlines()
    assert len(told) == len(BAD_FILES)
    assert all(line.startswith("left out: folder/") for line in told)
    events = events_of((command.home / "folder.html").read_text("utf-8"))
    assert [row["name"] for row in events["contents"]["index"]["rows"]] == ["person"]


def test_a_trace_file_is_not_exported_as_one_again(command: Command) -> None:
    assert "person.jsonl is a trace file already" in refused(command, "export", "person.jsonl")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("view", "latest", "--port", "8080"), "--port is for --serve"),
        (("view", "latest", "--trust"), "--trust is for --serve"),
        (("view", "person.jsonl", "--serve"), "follows a run of the store, and person.jsonl is"),
        (("view", "folder", "--serve"), "follows a run of the store, and folder is none"),
        (("view", "latest", "--serve", "-o", "made"), "--serve takes one run"),
        (("view", "latest", ""), "the name of the run is empty"),
    ],
)
def test_options_of_a_served_page_that_do_not_fit_are_refused(
    command: Command, words: tuple[str, ...], said: str
) -> None:
    assert said in refused(command, *words)


def test_a_dash_as_output_is_standard_output(command: Command) -> None:
    done = command("view", "person.jsonl", "-o", "-")
    assert (done.status, done.stderr) == (0, "-\n")
    assert done.stdout.startswith("<!doctype html>")
    assert command("export", "latest", "-o", "-").stdout == command("export", "latest").stdout
    assert not (command.home / "-").exists()


def test_a_strangers_settings_are_named_as_the_trace_has_them(command: Command) -> None:
    line = refused(command, "rejudge", "person.jsonl")
    assert 'critic="human"' in line
    assert "limits.turns=1" not in line


@pytest.mark.parametrize(
    "address", ["nonsense", "ftp://host", "http://", "http://127.0.0.1:99999", "http://[::1"]
)
def test_a_collectors_address_that_is_none_is_told_in_one_line(
    command: Command, address: str
) -> None:
    sending = command.with_environment(OTEL_EXPORTER_OTLP_ENDPOINT=address)
    assert address in refused(sending, "export", "latest", "--format", "otel")


def test_a_killed_run_is_listed_with_the_turns_that_it_made(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    solved(command)
    with sqlite3.connect(command.store) as database:  # As a process leaves it that is killed.
        database.execute(
            "UPDATE opencodeinterpreter_runs SET status = 'running', turns = 0, tokens = 0"
        )
    (row,) = json.loads(command("runs", "--json").stdout)
    assert (row["status"], row["turns"]) == ("interrupted", 3)


def test_the_folder_of_a_shared_batch_says_where_its_runs_are(command: Command) -> None:
    (command.home / "july").mkdir()
    (command.home / "july" / "given.jsonl").write_text("{}\n", "utf-8")
    assert "in a shared store; view one with --store URL" in refused(command, "view", "july")
