"""`branch`: a new run from a turn of another run, which does not change."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command import Command, installed, warm
from tests.doubling import (
    PLUS_TWO,
    RIGHT,
    TRIPLE,
    run_id,
    said,
    shown,
    solve,
    solved,
    write,
    write_script,
)


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Return a command with one solved run, the parent of all; its turns stay what they are."""
    made = Command(tmp_path_factory.mktemp("branch"), warm)
    solved(made)
    return made


@pytest.fixture(scope="module")
def parent(command: Command) -> str:
    (*_, oldest) = json.loads(command("runs", "--json").stdout)
    return str(oldest["id"])


def branched(command: Command, parent: str, *options: str, status: int = 0) -> dict[str, Any]:
    """Branch; check what holds for every branch, and return what `shown` tells of the new run."""
    before = command("export", parent).stdout
    done = command("branch", parent, *options, "--json")
    assert done.status == status, done.stderr
    assert command("export", parent).stdout == before
    found = shown(command, run_id(done))
    assert found["header"]["parent"] == parent
    assert command("replay", run_id(done)).stdout.startswith("identical")
    listed = {row["id"] for row in json.loads(command("runs", "--json").stdout)}
    assert {parent, run_id(done)} <= listed
    return found


def parts(turn: dict[str, Any]) -> dict[str, Any]:
    """Return what was made in a turn, wherever it came from."""
    return {key: value for key, value in turn.items() if key != "given"}


def codes(found: dict[str, Any]) -> list[str]:
    return [turn["drafts"][turn["chosen"]]["code"].strip() + "\n" for turn in found["turns"]]


def test_other_words_lead_on_from_that_turn(command: Command, parent: str) -> None:
    found = branched(command, parent, "--turn", "2", "--feedback", "By two.")
    old = shown(command, parent)["turns"]
    first, second, third = found["turns"]
    assert parts(first) == parts(old[0])
    assert set(first["given"]) == {"drafts", "executions", "verdict", "feedback"}
    assert {**parts(second), "feedback": None} == {**parts(old[1]), "feedback": None}
    assert second["given"]["feedback"] == "an edit"
    assert said(found, "user")[-1] == "By two."
    assert third["given"] == {}
    assert codes(found) == [PLUS_TWO, TRIPLE, RIGHT]


def test_other_code_replaces_the_draft_of_that_turn(command: Command, parent: str) -> None:
    path = write(command.home / "mine.py", RIGHT)
    found = branched(command, parent, "--turn", "2", "--code", path)
    assert parts(found["turns"][0]) == parts(shown(command, parent)["turns"][0])
    assert codes(found) == [PLUS_TWO, RIGHT]
    assert found["turns"][1]["given"] == {"drafts": "an edit"}
    assert found["turns"][1]["verdict"]["decision"] == "solved"


@pytest.mark.parametrize(
    ("decision", "status", "turns"), [("solved", 0, 1), ("stopped", 1, 1), ("revise", 0, 3)]
)
def test_another_verdict_takes_the_route_after_the_judge(
    command: Command, parent: str, decision: str, status: int, turns: int
) -> None:
    options = ("--turn", "1", "--verdict", decision)
    found = branched(command, parent, *options, status=status)
    assert len(found["turns"]) == turns
    assert found["turns"][0]["verdict"]["decided_by"] == "human"
    assert found["turns"][0]["given"]["verdict"] == "an edit"


def test_other_settings_enter_at_the_judge_of_that_turn(command: Command, parent: str) -> None:
    options = ("--turn", "1", "--critic", "none", "--set", "sandbox.wall_seconds=9")
    found = branched(command, parent, *options, status=1)
    (turn,) = found["turns"]
    assert set(turn["given"]) == {"drafts", "executions"}
    assert "there is no critic" in turn["verdict"]["reason"]
    assert found["settings"][turn["settings"]]["sandbox"]["wall_seconds"] == 9


def test_another_model_writes_the_next_draft(command: Command, parent: str) -> None:
    spec = write_script(command.home / "abs.toml", ["```python\ndouble = abs\n```"])
    options = ("--turn", "1", "--model", spec, "--turns", "2")
    found = branched(command, parent, *options, status=1)
    assert codes(found) == [PLUS_TWO, "double = abs\n"]
    assert found["turns"][1]["drafts"][0]["call"]["model"] == "scripted:abs"


def test_the_last_turn_is_left_where_none_is_named(command: Command, parent: str) -> None:
    found = branched(command, parent, "--feedback", "Name it twice.", "--turns", "4")
    assert codes(found)[:3] == [PLUS_TWO, TRIPLE, RIGHT]
    assert found["header"]["parent_turn"] == 3
    assert found["turns"][2]["verdict"]["decision"] == "revise"


def test_stdout_is_the_code_and_both_are_listed(command: Command, parent: str) -> None:
    own = Command(command.home, installed)
    done = own("branch", parent, "--turn", "1", "--feedback", "By two.")
    assert (done.status, done.stdout) == (0, RIGHT)
    newest = command("runs").stdout.splitlines()[0].split("\t")
    assert newest[5] == f"{parent[:8]} turn 1"


def test_a_branch_of_a_branch_and_of_a_persons_run(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    waiting = run_id(solve(command, "--critic", "human", "--json"))
    command("resume", waiting, "--feedback", "Use a product.")
    command("resume", waiting, "--stop")
    first = branched(command, waiting, "--turn", "1", "--feedback", "Add it.", status=4)
    run = first["header"]["run"]
    assert command("runs").stdout.splitlines()[0].split("\t")[1] == "waiting"
    assert command("resume", run, "--feedback", "By two.").status == 0
    second = branched(command, run, "--turn", "2", "--critic", "execution")
    assert codes(second) == [PLUS_TWO, TRIPLE, RIGHT]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "nothing is changed"),
        (("--turn", "9", "--feedback", "By two."), "has no turn 9"),
        (("--feedback", " "), "empty"),
        (("--feedback", "By two.", "--verdict", "solved"), "one of --feedback"),
        (("--at", "judge", "--verdict", "solved"), "one of --feedback"),
        (("--at", "critic"), "did not go to the critic"),
        (("--code", "missing.py"), "missing.py"),
        (("--model", "scripted:missing.toml"), "missing.toml"),
        (("--set", "limits.turns=nine"), "limits.turns"),
        (("--turn", "1", "--critic", "oracle"), "reference"),
    ],
)
def test_a_wrong_branch_is_refused_and_nothing_is_stored(
    command: Command, parent: str, options: tuple[str, ...], says: str
) -> None:
    before = command("runs").stdout
    done = command("branch", parent, *options)
    assert (done.status, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert says in done.stderr
    assert command("runs").stdout == before


def test_a_node_can_run_again_without_another_change(command: Command, parent: str) -> None:
    found = branched(command, parent, "--turn", "2", "--at", "executor", "--turns", "2", status=1)
    assert codes(found) == [PLUS_TWO, TRIPLE]
    assert found["turns"][1]["given"] == {"drafts": f"{parent[:8]} turn 2"}


def test_a_trace_file_can_be_branched_if_its_settings_are_trusted(
    command: Command, parent: str, tmp_path: Path
) -> None:
    path = str(tmp_path / "run.jsonl")
    assert command("export", parent, "-o", path).status == 0
    other = Command(tmp_path, warm)
    refused = other("branch", path, "--turn", "1", "--feedback", "By two.")
    assert (refused.status, refused.stdout) == (2, "")
    assert "if you trust them, add --trust" in refused.stderr
    done = other("branch", path, "--turn", "1", "--feedback", "By two.", "--trust", "--json")
    found = shown(other, run_id(done))
    assert codes(found)[0] == PLUS_TWO
    assert found["header"]["parent"] == parent
    (row,) = json.loads(other("runs", "--json").stdout)
    assert row["parent"] == parent
    again = other("branch", "latest", "--turn", "1", "--feedback", "Two.")
    assert "add --trust" in again.stderr
