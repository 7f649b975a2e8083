"""`evaluate`: protocols, second starts, kills, failures and bad input."""

import signal
import threading
from pathlib import Path

import pytest

from tests.answering_server import Body, answering
from tests.command import Command, warm
from tests.evaluating import (
    RIGHT,
    World,
    arm,
    coder_or_critic,
    line,
    program,
    task_of,
    values,
    words_line,
    world,
    write_lines,
)


@pytest.mark.slow
def test_a_second_start_asks_nothing_and_more_arms_share_the_first_drafts(tmp_path: Path) -> None:
    with answering(coder_or_critic) as server:
        made = world(tmp_path, server.url)
        names = tmp_path / "ids.txt"
        names.write_text("HumanEval/3\nHumanEval/14\n")
        one = made.evaluate("out", "--tasks", str(names))
        assert (one.status, len(server.asked)) == (0, 3), one.stderr
        before = made.results("out")
        assert made.evaluate("out", "--tasks", str(names)).status == 0
        assert len(server.asked) == 3
        assert made.results("out") == before
        more = made.evaluate("out", "--tasks", str(names), "--settings", "none,oracle")
        assert (more.status, len(server.asked)) == (0, 5), more.stderr
    assert [each["name"] for each in made.results("out")["arms"]] == ["none", "execution", "oracle"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("benchmark", "right", "share"),
    [("humaneval+", True, 1.0), ("mbpp+", True, 1.0), ("mbpp+", False, 0.0)],
)
def test_the_references_score_all_and_an_empty_model_nothing(
    tmp_path: Path, benchmark: str, right: bool, share: float
) -> None:
    def answer(body: Body) -> str:
        return program(task_of(body), RIGHT) if right else ""

    rows = [line(0), line(1)]
    if benchmark == "mbpp+":  # one of whose tasks has no plus input
        rows = [words_line(0), {**words_line(1), "plus_input": {}}]
    data = write_lines(tmp_path / "data.jsonl", rows)
    with answering(answer) as server:
        command = Command(tmp_path, warm, {"XDG_CACHE_HOME": str(tmp_path / "cache")})
        made = World(command, data, server.url, benchmark)
        done = made.evaluate("out")
        assert done.status == 0, done.stderr
        prompts = [body["messages"][0]["content"] for body in server.asked]
    for name in ("none", "execution"):
        scores = arm(made.results("out"), name)["pass_at_1"]
        assert {scores[tests][-1]["value"] for tests in scores} == {share}
    samples = (tmp_path / "out" / "samples" / "none.jsonl").read_text("utf-8")
    assert samples.count("\n") == 2  # EvalPlus wants a sample of every task
    assert made.results("out")["tasks_chosen"] == (1 if benchmark == "mbpp+" else 2)
    if benchmark == "mbpp+":
        # The loop sees the assertion of the prompt, and no other input.
        shown = "\n".join(prompts)
        assert "assert f0(1) == 1" in shown
        assert "f0(2)" not in shown


@pytest.mark.slow
def test_the_paper_s_protocol_gives_feedback_by_the_tests_that_score(tmp_path: Path) -> None:
    with answering(coder_or_critic) as server:
        made = world(tmp_path, server.url)
        names = tmp_path / "ids.txt"
        names.write_text("HumanEval/0\nHumanEval/10\n")
        done = made.evaluate("out", "--tasks", str(names), "--protocol", "paper")
        assert done.status == 0, done.stderr
        feedback = [body["messages"][-1]["content"] for body in server.asked]
    # Task 10 passes its base tests and was told of the plus input that it fails.
    assert any("f10(-5)" in text for text in feedback)
    assert list(arm(made.results("out"), "none")["pass_at_1"]) == ["base", "plus"]


def test_a_killed_evaluation_goes_on_and_asks_nothing_twice(tmp_path: Path) -> None:
    reached, gate = threading.Event(), threading.Event()
    count = 0

    def slow(body: Body) -> str:
        nonlocal count
        count += 1
        if count == 4:
            reached.set()
            gate.wait(60)
        return coder_or_critic(body)

    with answering(slow) as server:
        made = world(tmp_path, server.url)
        names = tmp_path / "ids.txt"
        names.write_text("".join(f"HumanEval/{n}\n" for n in (0, 10, 14, 15)))
        options = ("--tasks", str(names), "--concurrency", "1", "--settings", "none,execution")
        with made.command.start(*made.arguments("out", *options)) as running:
            assert reached.wait(60)
            running.signal(signal.SIGKILL)
            running.wait()
        answered = [body["messages"] for body in server.asked[:3]]
        gate.set()
        done = made.evaluate("out", *options)
        assert done.status == 0, done.stderr
        again = [body["messages"] for body in server.asked[4:]]
    assert not [messages for messages in again if messages in answered]
    # Four drafts and two repairs, and the one that was under way is asked again.
    assert len(again) == 3
    assert values(arm(made.results("out"), "execution")["pass_at_1"]["held-out"]) == [0.25, 0.75]


@pytest.mark.slow
def test_a_dead_endpoint_ends_with_one_line_and_keeps_what_there_is(tmp_path: Path) -> None:
    with answering(coder_or_critic) as server:
        made = world(tmp_path, server.url, 12)
        assert made.evaluate("out", "--limit", "2").status == 0
    dead = ("--set", "client.retries=0", "--set", "client.attempt_seconds=1")
    options = ("--limit", "12", "--concurrency", "1")
    refused = made.evaluate("out", *options, *dead)
    assert refused.status == 2  # other settings, so another folder
    assert "another folder" in refused.stderr
    done = made.evaluate("other", *options, *dead)
    assert done.status == 3, done.stderr
    assert done.stderr.splitlines()[-1].startswith("opencodeinterpreter: model: ")
    assert "Traceback" not in done.stderr
    assert made.results("out")["arms"][0]["tasks"] == 2


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--settings", "none,magic"], "unknown setting 'magic'; use some of none, execution"),
        (["--tasks", "nowhere.txt"], "cannot read tasks file nowhere.txt"),
        (["--benchmark", "humaneval"], "no task of humaneval"),
    ],
)
def test_bad_input_is_one_line_before_a_model_is_asked(
    tmp_path: Path, options: list[str], problem: str
) -> None:
    with answering(coder_or_critic) as server:
        done = world(tmp_path, server.url, 2).evaluate("out", *options)
        assert server.asked == []
    assert done.status == 2
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
