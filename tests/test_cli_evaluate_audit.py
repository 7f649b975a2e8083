"""`evaluate` finds scoring tests that reach a task or a prompt."""

import json
import re
from pathlib import Path

import pytest

from tests.answering_server import Body, answering
from tests.command import Command, warm
from tests.evaluating import (
    WRONG,
    World,
    coder_or_critic,
    line,
    program,
    world,
    write_lines,
)


def test_a_scoring_test_in_a_task_fails_the_command(tmp_path: Path) -> None:
    with answering(coder_or_critic) as server:
        made = world(tmp_path, server.url, 2)
        done = made.evaluate("out", "--protocol", "paper", "--canary")
        assert server.asked == []
    assert done.status == 2
    assert "a text that was planted in the scoring tests" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_planted_text_in_a_prompt_fails_the_command(tmp_path: Path) -> None:
    with answering(coder_or_critic) as server:
        made = world(tmp_path, server.url, 2)
        assert made.evaluate("out", "--canary").status == 0
        path = tmp_path / "out" / "evaluation.json"
        header = json.loads(path.read_text())
        assert header["canary"].startswith("canary-")
        path.write_text(json.dumps({**header, "canary": "Return the sum of x and 1."}))
        (tmp_path / "out" / "results.json").unlink()
        done = made.evaluate("out", "--canary")
    assert done.status == 2
    assert re.search(r"a prompt of run \w{8} \(HumanEval/1\) contains Return", done.stderr)
    assert not (tmp_path / "out" / "results.json").exists()


@pytest.mark.slow
def test_long_texts_that_prompts_and_scoring_inputs_share_are_listed(tmp_path: Path) -> None:
    text = "a text that happens to be the same"
    row = {
        **line(0),
        "prompt": 'def f0(x):\n    """Return x."""\n',
        "canonical_solution": "    return x\n",
        "plus_input": [[text], ["short"], ["another text that stands nowhere else"]],
    }

    def answer(body: Body) -> str:
        return text if body["messages"][0]["role"] == "system" else program(0, WRONG)

    with answering(answer) as server:
        command = Command(tmp_path, warm, {"XDG_CACHE_HOME": str(tmp_path / "cache")})
        made = World(command, write_lines(tmp_path / "data.jsonl", [row]), server.url)
        done = made.evaluate("out", "--settings", "none,simulated")
        assert done.status == 0, done.stderr
    (found,) = made.results("out")["audit"]["coincidences"]
    assert (found["task"], found["text"]) == ("HumanEval/0", text)
