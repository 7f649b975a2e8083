"""`replay`: a run again with its recorded answers: identical, or where it first differs."""

import json
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.command import Command, installed, warm
from tests.doubling import TRIPLE, run_id, solve, solved, write, write_script

Lines = list[dict[str, Any]]
Change = Callable[[Lines], None]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Return a command with one run whose critic is simulated; tests only read it."""
    made = Command(tmp_path_factory.mktemp("replay"), warm)
    write_script(made.home / "script.toml", critic=["I doubled 5 and expected 10."])
    solved(made, "--critic", "simulated")
    return made


@pytest.fixture(scope="module")
def run(command: Command) -> str:
    (row,) = json.loads(command("runs", "--json").stdout)
    return str(row["id"])


@pytest.fixture(scope="module")
def trace(command: Command, run: str) -> Lines:
    return [json.loads(line) for line in command("export", run).stdout.splitlines()]


def offline() -> list[str]:
    """Return a program that starts others without a network; skips where there is none."""
    prefix = ["unshare", "-rn"]
    if not shutil.which("unshare") or subprocess.run([*prefix, "true"]).returncode:
        pytest.skip("no network namespace can be made here")
    return prefix


def test_a_run_is_identical(command: Command, run: str) -> None:
    done = Command(command.home, installed)("replay", run[:8])
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout == "identical: 3 turns, 11 parts replayed\n"


def test_a_file_is_identical_without_network_store_script_or_key(
    tmp_path: Path, command: Command, run: str
) -> None:
    path = write(tmp_path / "run.jsonl", command("export", run).stdout)
    alone = Command(tmp_path / "empty home", partial(installed, prefix=offline()))
    alone.home.mkdir()
    done = alone("replay", path)
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.startswith("identical: 3 turns")
    assert not alone.store.exists()


def test_json_tells_what_was_found(command: Command, run: str) -> None:
    found = json.loads(command("replay", run, "--json").stdout)
    assert (found["run"], found["turns"], found["divergence"]) == (run, 3, None)


def one_changed(text: str) -> str:
    """Change the case of a text's first letter."""
    return text[0].swapcase() + text[1:]


def a_message(role: str, number: int) -> Change:
    """Change a character of the number-th message of a role."""

    def change(lines: Lines) -> None:
        found = [one for one in lines if one["line"] == "text" and one["role"] == role]
        found[number]["content"] = one_changed(found[number]["content"])

    return change


def a_prompt(name: str) -> Change:
    """Change a character of a prompt."""

    def change(lines: Lines) -> None:
        (settings,) = (one["settings"] for one in lines if one["line"] == "settings")
        settings["prompts"][name] = one_changed(settings["prompts"][name])

    return change


def a_placeholder(name: str, old: str, new: str) -> Change:
    """Change the name of a value in a prompt."""

    def change(lines: Lines) -> None:
        (settings,) = (one["settings"] for one in lines if one["line"] == "settings")
        settings["prompts"][name] = settings["prompts"][name].replace(old, new)

    return change


def a_turn(number: int, *path: str | int, value: Any) -> Change:
    """Change a field of a turn."""

    def change(lines: Lines) -> None:
        place: Any = next(one for one in lines if one["line"] == "turn" and one["number"] == number)
        for step in path[:-1]:
            place = place[step]
        assert place[path[-1]] != value
        place[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "where", "how"),
    [
        (a_message("assistant", 0), "turn 1, coder", "does not match its digest"),
        (a_message("assistant", 1), "turn 1, critic", "does not match its digest"),
        (a_message("assistant", 2), "turn 2, coder", "does not match its digest"),
        (a_prompt("task_words"), "turn 1, coder", "differs"),
        (a_prompt("critic_question"), "turn 1, critic", "the request differs"),
        (a_placeholder("task_words", "$prompt", "$promt"), "turn 1, coder", "$promt"),
        (a_prompt("judge"), "turn 1, coder", "the settings do not match their digest"),
        (a_turn(1, "route", value=["coder", "judge", "critic"]), "turn 1, executor", "'judge'"),
        (a_turn(2, "route", 3, value="criti"), "turn 2, critic", "'criti'"),
        (a_turn(3, "route", value=["coder", "executor"]), "turn 3, judge", "'end'"),
        (
            a_turn(3, "route", value=["coder", "executor", "judge", "critic"]),
            "turn 3, critic",
            "does not go there",
        ),
        (
            a_turn(2, "executions", 0, "tests", 0, "status", value="passed"),
            "turn 2, judge",
            "0 of 2",
        ),
        (a_turn(2, "drafts", 0, "code", value=TRIPLE + "#"), "turn 2, coder", "code"),
        (a_turn(3, "verdict", "reason", value="all is well"), "turn 3, judge", "all is well"),
    ],
    ids=[
        "first response",
        "critic's response",
        "second response",
        "coder's prompt",
        "critic's prompt",
        "value in a prompt",
        "unused prompt",
        "node left out",
        "character of a route",
        "route cut short",
        "route too long",
        "outcome of a test",
        "code of a draft",
        "reason of a verdict",
    ],
)
def test_a_changed_trace_says_where_it_diverges_first_and_how(
    command: Command, trace: Lines, tmp_path: Path, change: Change, where: str, how: str
) -> None:
    lines: Lines = json.loads(json.dumps(trace))
    change(lines)
    path = write(tmp_path / "changed.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    done = command("replay", path)
    assert done.status == 1 and "was changed after it was written" in done.stderr
    assert done.stdout.startswith(f"diverged at {where}: "), done.stdout
    assert how in done.stdout


def test_installed_prompts_are_compared_on_request(command: Command, tmp_path: Path) -> None:
    own = Command(tmp_path, warm)
    words = write(tmp_path / "words.txt", "Task of that day: $prompt")
    run = solved(own, "--prompt", f"task_words={words}")
    assert own("replay", run).status == 0
    done = own("replay", run, "--prompts", "installed")
    assert done.status == 1
    assert done.stdout.startswith("diverged at turn 1, coder: the request differs")
    assert "-Task of that day:" in done.stdout
    assert "+Write Python code for the task below." in done.stdout


def test_the_installed_prompts_are_those_of_a_new_run(command: Command, run: str) -> None:
    assert command("replay", run, "--prompts", "installed").status == 0


def test_a_persons_run_is_identical_edits_included(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    run = run_id(solve(command, "--critic", "human", "--json"))
    assert command("replay", run).status == 0  # while it waits
    command("resume", run, "--feedback", "Use a product.")
    command("resume", run, "--code", write(tmp_path / "mine.py", "double = abs\n"))
    command("resume", run, "--approve")
    done = command("replay", run)
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.startswith("identical: 3 turns")


def test_several_drafts_are_identical(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    run = run_id(solve(command, "--drafts", "3", "--turns", "2", "--json"))
    assert command("replay", run).status == 0
