"""`evaluate --benchmark FILE.jsonl`: a user's own tasks, with tests that only score."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.traces.evaluation.results import Results
from tests.answering_server import Body, answering
from tests.command import Command, Done, warm

DOUBLE: dict[str, Any] = {
    "id": "double",
    "prompt": "Write double(x).",
    "tests": "from solution import double\nassert double(2) == 4",
    "scoring": "from solution import double\nassert double(-3) == -6",
    "reference": "def double(x):\n    return 2 * x\n",
}
HALF: dict[str, Any] = {
    "id": "half",
    "prompt": "Write half(x).",
    "entry_point": "half",
    "tests": [{"args": [4], "expected": 2}],
    "scoring": [{"args": [0], "expected": 0}, {"args": [-2], "expected": -1}],
}
ECHO: dict[str, Any] = {
    "id": "echo",
    "prompt": "Print the input.",
    "tests": [{"stdin": "a", "stdout": "a"}],
}
ANSWERS = {
    # Right for the feedback tests alone.
    "double": "def double(x):\n    return x + 2",
    "half": "def half(x):\n    return x / 2",
    "input": "print(input())",
}


def answer(body: Body) -> str:
    words = body["messages"][0]["content"]
    code = next(code for name, code in ANSWERS.items() if name in words)
    return f"```python\n{code}\n```"


def evaluate(home: Path, url: str, tasks: list[Mapping[str, Any]], *options: str) -> Done:
    path = home / "tasks.jsonl"
    path.write_text("".join(f"{json.dumps(task)}\n" for task in tasks), "utf-8")
    about = ["--benchmark", str(path), "--model", f"openai:tiny@{url}", "--out", str(home / "out")]
    return Command(home, warm)("evaluate", *about, *options, timeout=300)


def passed(home: Path) -> dict[str, tuple[bool, bool | None]]:
    found = json.loads((home / "out" / "results.json").read_text())["tasks"]["none"]
    attempts = {task: result["attempts"][-1] for task, result in found.items()}
    return {task: (last["base"], last["further"]) for task, last in attempts.items()}


def test_tests_that_only_score_are_kept_from_the_loop_and_decide(tmp_path: Path) -> None:
    with answering(answer) as server:
        done = evaluate(tmp_path, server.url, [DOUBLE, HALF, ECHO], "--canary")
    assert done.status == 0, done
    assert passed(tmp_path) == {"double": (True, False), "half": (True, True)}
    assert "-3" not in (tmp_path / "out" / "tasks.jsonl").read_text()
    assert "canary" not in json.dumps(server.asked)
    assert len((tmp_path / "out" / "samples" / "none.jsonl").read_text().splitlines()) == 3


def test_in_the_paper_s_protocol_the_feedback_tests_score(tmp_path: Path) -> None:
    with answering(answer) as server:
        done = evaluate(tmp_path, server.url, [DOUBLE, ECHO], "--protocol", "paper")
    assert done.status == 0, done
    assert passed(tmp_path) == {"double": (True, None), "echo": (True, None)}


@pytest.mark.parametrize(
    ("task", "told"),
    [
        (ECHO, "give some lines a field `scoring`"),
        ({"id": "free", "prompt": "Print 1."}, "task free has no tests"),
        ({**DOUBLE, "scoring": "assert double(1) == 3"}, "task double"),
        ({**DOUBLE, "scoring": 5}, "line 1"),
        ({**HALF, "scoring": [{"args": [0]}]}, "line 1"),
    ],
)
def test_a_file_that_cannot_be_scored_is_one_line_before_a_model_is_asked(
    tmp_path: Path, task: dict[str, Any], told: str
) -> None:
    with answering(answer) as server:
        done = evaluate(tmp_path, server.url, [task])
    assert (done.status, server.asked) == (2, [])
    assert told in done.stderr and done.stderr.count("\n") == 1


def test_the_published_schema_is_that_of_the_results() -> None:
    published = Path(__file__).parents[1] / "docs" / "schemas" / "results.schema.json"
    schema = Results.model_json_schema(mode="serialization")
    assert json.loads(published.read_text("utf-8")) == schema, "run: make docs"
