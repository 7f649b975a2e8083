"""Traps of the command line: each is told in one line, or closed."""

from pathlib import Path

import pytest

from tests.command import Command, warm
from tests.doubling import RIGHT, TASK, TRIPLE, draft, run_id, said, shown, solve, write_script
from tests.terminal import Terminal


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path, warm)


def test_a_limit_of_the_cost_needs_the_price_of_each_model(command: Command) -> None:
    done = solve(command, "--set", "limits.cost=1")
    assert (done.status, done.stdout) == (2, "")
    assert "limits.cost needs the price of scripted:" in done.stderr
    assert "client.prices=" in done.stderr


def test_a_task_that_is_the_name_of_a_file_is_refused(command: Command) -> None:
    (command.home / "my task.md").write_text(TASK)
    done = command("solve", "my task.md", "--model", write_script(command.home / "s.toml"))
    assert (done.status, done.stdout) == (2, "")
    assert "the task is the name of a file, my task.md" in done.stderr
    assert "solve - <'my task.md'" in done.stderr


@pytest.mark.parametrize(
    ("setting", "nearest"),
    [
        ("limits.turn=3", "limits.turns"),
        ("turns=3", "limits.turns"),
        ("limit.turns=3", "limits.turns"),
        ("sandbox.wall_second=3", "sandbox.wall_seconds"),
        ("wall_seconds=3", "sandbox.wall_seconds"),
        ("client.timeout=3", "client.timeout_seconds"),
        ("retries=3", "client.retries"),
        ("Drafts=3", "drafts"),
    ],
)
def test_a_wrong_setting_is_answered_with_the_nearest_one(
    command: Command, setting: str, nearest: str
) -> None:
    done = solve(command, "--set", setting)
    assert (done.status, done.stdout) == (2, "")
    wrong = setting.partition("=")[0]
    assert f"there is no setting {wrong}; did you mean {nearest}?" in done.stderr


def test_words_typed_at_the_prompt_are_words_for_the_coder(command: Command) -> None:
    """A sentence that begins with the letter of a choice approves, edits and stops nothing."""
    spec = write_script(command.home / "s.toml", [draft(TRIPLE), draft(RIGHT)])
    with Terminal(command, "solve", TASK, "--critic", "human", "-m", spec) as terminal:
        terminal.wait_for("[s]top")
        terminal.type("and what about 2?\n")
        terminal.wait_for("[s]top", times=2)
        terminal.type("z\n")
        terminal.wait_for("there is no choice 'z'")
        terminal.type("approve\n")
        assert terminal.wait() == 0
    run = command("runs").stdout.split()[0]
    assert "and what about 2?" in said(shown(command, run), "user")


def test_a_person_is_asked_on_the_last_turn_and_words_end_the_run(command: Command) -> None:
    done = solve(command, "--critic", "human", "--turns", "1", "--json")
    assert done.status == 4
    run = run_id(done)
    assert "turns: 1 of 1 used" in shown(command, run)["turns"][0]["verdict"]["reason"]
    done = command("resume", run, "--feedback", "Twice, not plus two.")
    assert done.status == 1
    assert "stopped by limits" in done.stderr and "turns: 1 of 1 used" in done.stderr
    found = shown(command, run)
    assert "Twice, not plus two." in said(found, "user")
    assert len(found["turns"]) == 1
    assert "identical" in command("replay", run).stdout


def test_a_person_may_still_approve_the_last_turn(command: Command) -> None:
    run = run_id(solve(command, "--critic", "human", "--turns", "1", "--json"))
    assert command("resume", run, "--approve").status == 0


def test_the_same_draft_twice_does_not_end_a_persons_run(command: Command) -> None:
    spec = write_script(command.home / "s.toml", [draft(TRIPLE)])
    run = run_id(solve(command, "--critic", "human", "--model", spec, "--json"))
    for _ in range(2):
        assert command("resume", run, "--feedback", "Look again.").status == 4
    assert len(shown(command, run)["turns"]) == 3
