"""`solve`: a task becomes a stored run, and its final code is printed."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.command import Command, installed, warm
from tests.doubling import (
    PLUS_TWO,
    RIGHT,
    TASK,
    TESTS,
    TRIPLE,
    arguments,
    draft,
    run_id,
    said,
    shown,
    solve,
    write,
    write_script,
)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path, warm)


def test_stdout_is_the_code_and_stderr_tells_every_step(tmp_path: Path) -> None:
    done = solve(Command(tmp_path, installed))
    assert (done.status, done.stdout) == (0, RIGHT)
    lines = done.stderr.splitlines()
    assert [line.split()[:3] for line in lines[1:-2]] == [
        ["turn", str(turn), node]
        for turn in (1, 2, 3)
        for node in ("coder", "executor", "judge", "critic")
    ][:-1]
    assert TASK in lines[0]
    assert "solved in turn 3" in lines[-2]
    assert "2 of 2 tests passed" in lines[-2]
    assert lines[-1].startswith("3 turns, 0 tokens, ")


def test_a_file_gets_the_code_and_stdout_stays_empty(command: Command) -> None:
    target = command.home / "out.py"
    target.write_text("what was there before")
    done = solve(command, "-o", str(target))
    assert (done.status, done.stdout) == (0, "")
    assert target.read_text() == RIGHT


def test_json_tells_of_the_run(command: Command) -> None:
    done = solve(command, "--json")
    found = json.loads(done.stdout)
    assert found["code"] == RIGHT
    assert found["verdict"]["decision"] == "solved"
    assert found["verdict"]["decided_by"] == "tests"
    assert (found["run"]["status"], found["run"]["turns"]) == ("solved", 3)
    assert found["question"] is None
    assert found["failure"] is None


def test_what_is_not_solved_exits_1_and_still_gives_the_newest_code(command: Command) -> None:
    done = solve(command, "--turns", "2")
    assert (done.status, done.stdout) == (1, TRIPLE)
    assert "unsolved in turn 2, stopped by limits" in done.stderr
    assert "turns: 2 of 2 used" in done.stderr


def test_a_response_without_code_prints_no_code(command: Command) -> None:
    spec = write_script(command.home / "words.toml", ["I would double it."])
    done = solve(command, "--model", spec, "--turns", "1", "-o", str(command.home / "out.py"))
    assert (done.status, done.stdout) == (1, "")
    assert "no code" in done.stderr
    assert not (command.home / "out.py").exists()


def test_the_task_may_come_from_stdin(command: Command) -> None:
    stub = 'def double(n: int) -> int:\n    """Return twice n."""\n'
    done = command("solve", "-", *arguments(command, "--json")[2:], stdin=stub)
    assert done.status == 0
    found = shown(command, run_id(done))
    assert found["tasks"][0]["prompt"] == stub
    assert found["turns"][2]["verdict"]["decision"] == "solved"


def test_a_given_draft_is_the_first_turn(command: Command) -> None:
    spec = write_script(command.home / "right.toml", [draft(PLUS_TWO), draft(RIGHT)])
    own = write(command.home / "own.py", TRIPLE)
    done = solve(command, "--draft", own, "--model", spec, "--json")
    assert done.status == 0
    first, second = shown(command, run_id(done))["turns"]
    assert first["drafts"][0]["code"] == TRIPLE
    assert first["given"] == {"drafts": "a file"}
    assert first["verdict"]["decision"] == "revise"
    assert second["drafts"][0]["code"].strip() == RIGHT.strip()
    assert second["given"] == {}


@pytest.mark.parametrize(
    ("cases", "right"),
    [
        ('{"args": [2], "expected": 4}\n{"args": [5], "expected": 10}\n', RIGHT),
        ('{"stdin": "5\\n", "stdout": "10\\n"}\n', "print(int(input()) * 2)\n"),
    ],
    ids=["args", "stdin"],
)
def test_tests_may_be_input_and_output_cases(command: Command, cases: str, right: str) -> None:
    wrong = right.replace("* 2", "* 3")
    spec = write_script(command.home / "s.toml", [draft(wrong), draft(right)])
    tests = write(command.home / "cases.jsonl", cases)
    done = command("solve", TASK, "--tests", tests, "--model", spec)
    assert (done.status, done.stdout) == (0, right)
    assert "solved in turn 2" in done.stderr


def test_the_best_of_several_drafts_is_chosen_and_all_are_kept(command: Command) -> None:
    replies = [draft(TRIPLE), draft(RIGHT), draft(PLUS_TWO)]
    spec = write_script(command.home / "s.toml", [replies])
    done = solve(command, "--drafts", "3", "--model", spec, "--json")
    assert done.status == 0
    (turn,) = shown(command, run_id(done))["turns"]
    assert turn["chosen"] == 1
    assert [one["code"].strip() for one in turn["drafts"]] == [
        code.strip() for code in (TRIPLE, RIGHT, PLUS_TWO)
    ]
    assert len(turn["executions"]) == 3


def test_without_tests_a_clean_run_is_solved_and_says_that_nothing_was_checked(
    command: Command,
) -> None:
    spec = write_script(command.home / "s.toml", [draft(TRIPLE)])
    done = command("solve", TASK, "--model", spec)
    assert (done.status, done.stdout) == (0, TRIPLE)
    assert "ran without error; nothing was checked" in done.stderr


def test_without_a_critic_there_is_one_turn(command: Command) -> None:
    done = solve(command, "--critic", "none")
    assert (done.status, done.stdout) == (1, PLUS_TWO)
    assert "there is no critic" in done.stderr
    assert "turn 2" not in done.stderr


def test_a_simulated_critic_gives_its_own_feedback(command: Command) -> None:
    words = "I doubled 5 and got 7, but I expected 10."
    spec = write_script(command.home / "s.toml", critic=[words])
    done = solve(command, "--critic", "simulated", "--model", spec, "--json")
    assert done.status == 0
    found = shown(command, run_id(done))
    assert any(text.startswith(f"{words}\n\nWhat happened") for text in said(found, "user"))
    assert [turn["feedback"] and turn["feedback"]["kind"] for turn in found["turns"]] == [
        "simulated",
        "simulated",
        None,
    ]


def test_an_oracle_that_gives_the_reference_away_is_not_passed_on(command: Command) -> None:
    reference = "def double(n):\n    return sum((n, n), start=0)\n"
    leak = "Just return sum((n, n), start=0) and all is well."
    spec = write_script(command.home / "s.toml", critic=[leak])
    path = write(command.home / "reference.py", reference)
    options = ("--critic", "oracle", "--reference", path, "--model", spec)
    done = solve(command, *options, "--json")
    assert done.status == 0
    found = shown(command, run_id(done))
    assert leak not in said(found, "user")
    assert found["turns"][0]["feedback"]["kind"] == "execution"
    assert "dropped" in found["turns"][0]["feedback"]["notes"][-1]


def test_a_human_critic_in_a_pipe_waits_and_says_how_to_answer(command: Command) -> None:
    done = solve(command, "--critic", "human")
    assert (done.status, done.stdout) == (4, PLUS_TWO)
    assert "waiting" in done.stderr
    (advice,) = [line for line in done.stderr.splitlines() if "opencodeinterpreter resume" in line]
    assert all(way in advice for way in ("--approve", "--feedback", "--code", "--stop"))


def test_a_prompt_and_any_setting_can_be_replaced(command: Command) -> None:
    words = write(command.home / "words.txt", "Task of today: $prompt")
    done = solve(
        command, "--prompt", f"task_words={words}", "--set", "sandbox.wall_seconds=7", "--json"
    )
    assert done.status == 0
    found = shown(command, run_id(done))
    assert said(found, "user")[0].startswith(f"Task of today: {TASK}")
    (settings,) = found["settings"].values()
    assert settings["sandbox"]["wall_seconds"] == 7


def test_a_role_may_have_its_own_model(command: Command) -> None:
    coder = write_script(command.home / "coder.toml", [draft(RIGHT)])
    yes = '{"solved": true, "reason": "It doubles."}'
    judge = write_script(command.home / "judge.toml", [], judge=[yes])
    done = command("solve", TASK, "-m", coder, "-m", f"judge={judge}")
    assert done.status == 0
    assert "solved by model: It doubles." in done.stderr


def test_the_model_may_come_from_the_environment(command: Command) -> None:
    spec = write_script(command.home / "s.toml", [draft(RIGHT)])
    tests = write(command.home / "tests.py", TESTS)
    named = command.with_environment(OPENCODEINTERPRETER_MODEL=spec)
    done = named("solve", TASK, "--tests", tests)
    assert (done.status, done.stdout) == (0, RIGHT)


def test_a_link_is_written_through_and_a_pipe_stays_a_pipe(command: Command) -> None:
    real, link, pipe = (command.home / name for name in ("real.py", "link.py", "pipe"))
    link.symlink_to(real)
    dangling = solve(command, "-o", str(link))
    assert dangling.status == 2
    assert dangling.stderr.startswith("opencodeinterpreter: cannot write"), "nothing may be run"
    assert "it is a link to a file that does not exist" in dangling.stderr
    real.touch()
    assert solve(command, "-o", str(link)).status == 0
    assert (link.is_symlink(), real.read_text()) == (True, RIGHT)
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as reader:
        found = reader.submit(pipe.read_text)
        assert solve(command, "-o", str(pipe)).status == 0
        assert found.result() == RIGHT
    assert pipe.is_fifo()


def test_a_variable_names_the_model_of_solve_and_of_no_branch(command: Command) -> None:
    spec = write_script(command.home / "a b.toml", [draft(RIGHT)])
    named = command.with_environment(OPENCODEINTERPRETER_MODEL=spec)
    tests = write(command.home / "tests.py", TESTS)
    run = run_id(named("solve", TASK, "--tests", tests, "--json"))
    other = command.with_environment(OPENCODEINTERPRETER_MODEL="scripted:nothing.toml")
    done = other("branch", run)
    assert done.status == 2
    assert "nothing is changed" in done.stderr


def test_models_are_named_in_any_order(command: Command) -> None:
    spec = write_script(command.home / "script.toml", [draft(RIGHT)])
    other = write_script(command.home / "other.toml", critic=["Why?"])
    for options in (("-m", spec, "-m", f"critic={other}"), ("-m", f"critic={other}", "-m", spec)):
        run = run_id(command("solve", TASK, *options, "--json"))
        (settings,) = shown(command, run)["settings"].values()
        assert settings["models"] == {"coder": spec, "critic": other}
