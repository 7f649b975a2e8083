"""`batch`: files of tasks, faults in them, kills, and what is left behind."""

import json
import re
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.answering_server import Body, answering
from tests.command import Command, warm
from tests.sampling import every

HUMANEVAL = {
    "task_id": "HumanEval/0",
    "prompt": 'def f0(x):\n    """Return x plus 0."""\n',
    "entry_point": "f0",
    "canonical_solution": "    return x\n",
    "base_input": [[1]],
    "plus_input": [[2]],
    "atol": 0,
}


def task(n: int, **fields: Any) -> dict[str, Any]:
    """A task whose right program is `f{n}(x) = x + n`."""
    tests = f"from solution import f{n}\n\nassert f{n}(1) == {1 + n}\n"
    return {"id": f"t/{n}", "prompt": f"Write f{n}(x): x plus {n}.", "tests": tests, **fields}


def right(body: Body) -> str:
    n = re.findall(r"f(\d+)\(", body["messages"][0]["content"])[0]
    return f"```python\ndef f{n}(x):\n    return x + {n}\n```"


def write(path: Path, rows: list[Any]) -> str:
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return str(path)


def command(home: Path) -> Command:
    return Command(home, warm, {"XDG_CACHE_HOME": str(home / "cache")})


def samples(home: Path) -> dict[str, str]:
    lines = (home / "out" / "samples.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return {row["task_id"]: row["solution"] for row in rows}


def test_each_task_of_a_file_becomes_a_stored_run_and_a_sample(tmp_path: Path) -> None:
    wrong = "```python\ndef f9(x):\n    return x\n```"
    rows = [
        task(1),
        "",
        task(2, tests=[{"args": [1], "expected": 3}], reference="f2 = lambda x: x + 2"),
        {"id": "free", "prompt": "Write f3(x): x plus 3."},
        task(9),
    ]

    def answer(body: Body) -> str:
        return wrong if "f9(" in body["messages"][0]["content"] else right(body)

    with answering(answer) as server:
        model = f"openai:tiny@{server.url}"
        tasks = write(tmp_path / "tasks.jsonl", rows)
        options = ("--out", "out", "--model", model, "--turns", "2", "--json")
        done = command(tmp_path)("batch", tasks, *options, timeout=300)
        asked = len(server.asked)
        again = command(tmp_path)("batch", tasks, *options, timeout=300)
        assert len(server.asked) == asked == 5
        other = command(tmp_path)("batch", tasks, *options, "--drafts", "2")
    assert done.status == 1, done.stderr
    told = json.loads(done.stdout)
    assert (told["tasks"], told["solved"], told["problems"]) == (4, 3, {})
    assert json.loads(again.stdout) == told
    assert list(samples(tmp_path)) == ["t/1", "t/2", "free", "t/9"]
    assert samples(tmp_path)["t/2"] == "def f2(x):\n    return x + 2"
    assert other.status == 2
    assert "was started with drafts 1, not 2" in other.stderr
    runs = command(tmp_path)("runs", "--store", str(tmp_path / "out" / "runs.sqlite"), "--json")
    assert sorted(run["status"] for run in json.loads(runs.stdout)) == ["solved"] * 3 + ["unsolved"]


@pytest.mark.slow
def test_a_benchmarks_name_gives_samples_that_grade_takes(tmp_path: Path) -> None:
    data = write(tmp_path / "data.jsonl", [HUMANEVAL])
    with answering(right) as server:
        about = ("--data", data, "--out", "out", "--model", f"openai:tiny@{server.url}")
        done = command(tmp_path)("batch", "humaneval+", *about, timeout=300)
    assert done.status == 0, done.stderr
    assert done.stdout == "1 of 1 tasks solved; samples: out/samples.jsonl\n"
    options = ("--benchmark", "humaneval+", "--data", data, "--json")
    graded = command(tmp_path)("grade", str(tmp_path / "out" / "samples.jsonl"), *options)
    assert json.loads(graded.stdout)["plus"] == {"pass@1": 1.0}


@pytest.mark.parametrize("number", every(2, (signal.SIGKILL, signal.SIGINT)))
def test_a_batch_that_was_stopped_goes_on_and_asks_nothing_twice(
    tmp_path: Path, number: signal.Signals
) -> None:
    reached, gate = threading.Event(), threading.Event()
    count = 0

    def slow(body: Body) -> str:
        nonlocal count
        count += 1
        if count == 3:
            reached.set()
            gate.wait(60)
        return right(body)

    with answering(slow) as server:
        tasks = write(tmp_path / "tasks.jsonl", [task(n) for n in range(1, 5)])
        model = f"openai:tiny@{server.url}"
        arguments = ("batch", tasks, "--out", "out", "--model", model, "--concurrency", "1")
        with command(tmp_path).start(*arguments) as running:
            assert reached.wait(60)
            running.signal(number)
            stopped = running.wait()
        if number == signal.SIGINT:
            assert stopped.status == 130
            assert "Traceback" not in stopped.stderr
            assert list(samples(tmp_path)) == ["t/1", "t/2"]
        gate.set()
        done = command(tmp_path)(*arguments, timeout=300)
    assert done.status == 0, done.stderr
    asked = [right(body) for body in server.asked]
    assert len(asked) == 5
    assert asked[2] == asked[3]  # only what was under way is asked again
    assert len(set(asked)) == 4
    assert list(samples(tmp_path)) == ["t/1", "t/2", "t/3", "t/4"]


def test_a_task_that_fails_outside_is_said_and_the_others_are_kept(tmp_path: Path) -> None:
    def answer(body: Body) -> str | None:
        return None if "f2(" in body["messages"][0]["content"] else right(body)

    with answering(answer) as server:
        tasks = write(tmp_path / "tasks.jsonl", [task(n) for n in (1, 2, 3)])
        about = ("--out", "out", "--model", f"openai:tiny@{server.url}")
        done = command(tmp_path)("batch", tasks, *about, timeout=300)
    assert done.status == 3
    assert "t/2: model openai:tiny@" in done.stderr
    assert list(samples(tmp_path)) == ["t/1", "t/3"]


WRONG = {"tests": "from solution import f1\n\nassert f1(1) == 3\n", "reference": "f1 = lambda x: 2"}


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (["{"], "line 1: not JSON"),
        ([task(1), [1]], "line 2: a task is a JSON object, not a list"),
        ([task(1), task(1)], "line 2: the id 't/1' is that of line 1 too"),
        ([{"prompt": "x"}], "line 1: a task needs an `id`"),
        ([{"id": "a", "prompt": ""}], "line 1: prompt: String should have at least 1 character"),
        ([{"id": "a", "prompt": "x", "test": ""}], "line 1: unknown field test; a task has id,"),
        (
            [{"id": "a", "prompt": "x", "tests": 5}],
            "line 1: `tests` is Python or a list of cases, not a number",
        ),
        ([], "no task in it"),
        ([task(1, **WRONG)], "task t/1: the reference solution fails its own tests"),
        ([task(1, tests="assert undefined_name\n")], "task t/1: tests.py: undefined_name is used"),
    ],
)
def test_a_fault_of_the_file_is_one_line_before_a_model_is_asked(
    tmp_path: Path, rows: list[Any], problem: str
) -> None:
    with answering(right) as server:
        tasks = write(tmp_path / "tasks.jsonl", rows)
        about = ("--out", "out", "--model", f"openai:tiny@{server.url}")
        done = command(tmp_path)("batch", tasks, *about, timeout=300)
        assert server.asked == []
    assert done.status == 2
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
