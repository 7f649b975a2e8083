"""`view`: runs, trace files and folders as pages."""

import json
from pathlib import Path

import pytest

from tests.command import Command, warm
from tests.doubling import solved, write
from tests.pages import events_of, outside

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "traces" / "examples"


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Return a command with a solved run and two branches of it."""
    command = Command(tmp_path_factory.mktemp("home"), warm)
    run = solved(command)
    for words in ("Try again.", "No loops, please."):
        assert command("branch", run, "--turn", "1", "--feedback", words).status == 0
    return command


def page(command: Command, *targets: str) -> str:
    done = command("view", *targets, "-o", "page.html")
    assert (done.status, done.stdout) == (0, "page.html\n"), done.stderr
    return (command.home / "page.html").read_text("utf-8")


def test_a_stored_run_comes_with_its_family_and_each_pair_is_compared(command: Command) -> None:
    found = page(command, "latest")
    events = events_of(found)
    assert outside(found) == []
    assert len(events["contents"]["runs"]) == 3
    assert sum(name.startswith("pair:") for name in events) == 3
    assert {run["parent_turn"] for run in events["contents"]["runs"]} == {None, 1}


def test_a_trace_file_needs_no_store_and_the_page_is_named_after_its_run(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    person = EXAMPLES / "person.jsonl"
    run = json.loads(person.read_text("utf-8").partition("\n")[0])["run"]
    done = command("view", str(person))
    assert (done.status, done.stdout) == (0, f"{run[:8]}.html\n"), done.stderr
    assert not command.store.exists()


def test_two_runs_stand_side_by_side(command: Command) -> None:
    files = [str(EXAMPLES / f"{name}.jsonl") for name in ("never_solved", "branch_by_code")]
    assert events_of(page(command, *files))["contents"]["view"] == "compare"


def test_a_folder_of_traces_is_an_index(command: Command) -> None:
    rows = events_of(page(command, str(EXAMPLES)))["contents"]["index"]["rows"]
    assert {row["name"] for row in rows} == {path.stem for path in EXAMPLES.glob("*.jsonl")}


def test_a_batch_is_an_index_by_the_names_of_its_tasks(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    write(tmp_path / "tasks.jsonl", '{"id": "first", "prompt": "Print 1."}\n')
    script = write(tmp_path / "s.toml", "[[coder]]\nreply = '''```python\nprint(1)\n```'''\n")
    done = command("batch", "tasks.jsonl", "--model", f"scripted:{script}", "--out", "b")
    assert done.status == 0, done.stderr
    (row,) = events_of(page(command, "b"))["contents"]["index"]["rows"]
    assert (row["name"], row["status"]) == ("first", "solved")


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (["nothing-like-it"], "no run 'nothing-like-it'"),
        (["empty"], "empty: no runs here"),
        (["empty", "latest"], "empty is a folder; view one folder, or several runs"),
        (["latest", "latest"], "the same run is named twice"),
        (["missing.jsonl"], "cannot read trace file missing.jsonl"),
        (["torn"], "torn/a.jsonl line 1: not JSON"),
    ],
)
def test_a_wrong_target_is_told_in_one_line(
    command: Command, targets: list[str], said: str
) -> None:
    (command.home / "empty").mkdir(exist_ok=True)
    (command.home / "torn").mkdir(exist_ok=True)
    write(command.home / "torn" / "a.jsonl", '{"line": "hea')
    done = command("view", *targets, "-o", "wrong.html")
    assert done.status == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (command.home / "wrong.html").exists()


def test_a_page_that_cannot_be_written_is_refused_before_the_run_is_read(command: Command) -> None:
    done = command("view", "latest", "-o", "nowhere/page.html")
    assert done.status == 2
    assert "there is no folder nowhere" in done.stderr


@pytest.mark.parametrize("verb", [("show",), ("view", "-o", "page.html"), ("rejudge", "--trust")])
def test_a_trace_that_was_changed_is_said_to_be(tmp_path: Path, verb: tuple[str, ...]) -> None:
    text = (ROOT / "traces" / "examples" / "never_solved.jsonl").read_text("utf-8")
    (tmp_path / "changed.jsonl").write_text(text.replace("leap_birthdays", "leap_years"), "utf-8")
    done = Command(tmp_path, warm)(*verb, "changed.jsonl")
    assert "changed.jsonl: a line of settings, task or texts was changed after" in done.stderr
