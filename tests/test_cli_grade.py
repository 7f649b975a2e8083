"""`grade`: EvalPlus's result file and pass@k for samples; kills and bad input."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.command import Command, installed, warm

DOUBLE = {
    "task_id": "HumanEval/0",
    "prompt": "def double(x):\n",
    "entry_point": "double",
    "canonical_solution": "    return 2 * x\n",
    "base_input": [[1], [2]],
    "plus_input": [[0], [-3]],
    "atol": 0,
}
HALF = {
    "task_id": "HumanEval/1",
    "prompt": "def half(x):\n",
    "entry_point": "half",
    "canonical_solution": "    return x / 2\n",
    "base_input": [[1.0]],
    "plus_input": [],
    "atol": 0,
}
MBPP = {
    "task_id": 7,
    "text": "Write a function that doubles.",
    "code": "def double(x):\n    return 2 * x",
    "test_setup_code": "",
    "test_list": ["assert double(2) == 4"],
    "challenge_test_list": [],
}


def lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def benchmark(folder: Path) -> Path:
    return lines(folder / "benchmark.jsonl", [DOUBLE, HALF])


def sample(task_id: str | int, **text: Any) -> dict[str, Any]:
    return {"task_id": task_id, **text}


RIGHT = sample("HumanEval/0", completion="    return x + x\n")
NEARLY = sample("HumanEval/0", solution="def double(x):\n    return abs(2 * x)\n")
WRONG = sample("HumanEval/1", solution="def half(x):\n    return x\n")


def test_results_are_evalplus_s_and_pass_at_1_is_printed(tmp_path: Path) -> None:
    samples = lines(tmp_path / "samples.jsonl", [RIGHT, WRONG, NEARLY])
    data = str(benchmark(tmp_path))
    command = Command(tmp_path, installed)
    done = command("grade", str(samples), "--benchmark", "humaneval+", "--data", data)
    assert done.status == 0, done.stderr
    assert done.stdout.splitlines() == [
        "humaneval+: 3 samples of 2 tasks",
        "                pass@1",
        "base             0.500",
        "base + plus      0.250",
    ]
    results = json.loads((tmp_path / "samples_eval_results.json").read_text())
    assert list(results) == ["date", "hash", "eval"]
    first, second = results["eval"]["HumanEval/0"]
    assert first == {
        "task_id": "HumanEval/0",
        "solution": "def double(x):\n    return x + x\n",
        "base_status": "pass",
        "plus_status": "pass",
        "base_fail_tests": [],
        "plus_fail_tests": [],
    }
    assert (second["base_status"], second["plus_status"]) == ("pass", "fail")
    assert second["plus_fail_tests"] == [[-3]]
    assert results["eval"]["HumanEval/1"][0]["base_fail_tests"] == [[1.0]]
    # Existing results are read, not computed again.
    again = command("grade", str(samples), "--benchmark", "humaneval+", "--data", data, "--json")
    told = json.loads(again.stdout)
    assert (told["base"], told["plus"]) == ({"pass@1": 0.5}, {"pass@1": 0.25})
    assert (told["samples"], told["tasks"], told["all_tasks"]) == (3, 2, 2)


def test_a_folder_of_solutions_and_a_subset_of_tasks(tmp_path: Path) -> None:
    folder = tmp_path / "samples" / "HumanEval_0"
    folder.mkdir(parents=True)
    for number, row in enumerate([NEARLY, RIGHT]):
        code = row.get("solution", "def double(x):\n    return x + x\n")
        (folder / f"{number}.py").write_text(code)
    data = str(benchmark(tmp_path))
    options = ("--benchmark", "humaneval+", "--data", data, "--workers", "1", "--test-details")
    done = Command(tmp_path, warm)("grade", str(folder.parent), *options)
    assert done.status == 0, done.stderr
    assert done.stdout.startswith("humaneval+: 2 samples of 1 tasks of 2; pass@k")
    results = json.loads((folder.parent / "eval_results.json").read_text())
    assert [each["plus_status"] for each in results["eval"]["HumanEval/0"]] == ["fail", "pass"]


def test_results_without_details_are_refused_if_details_are_asked_for(tmp_path: Path) -> None:
    samples = str(lines(tmp_path / "samples.jsonl", [NEARLY]))
    target = tmp_path / "samples_eval_results.json"
    options = ("--benchmark", "humaneval+", "--data", str(benchmark(tmp_path)))
    command = Command(tmp_path, warm)
    assert command("grade", samples, *options).status == 0
    kept = target.read_bytes()
    refused = command("grade", samples, *options, "--test-details")
    assert refused.status == 2
    assert "stopped at the first wrong answer; remove it" in refused.stderr
    assert target.read_bytes() == kept
    target.unlink()
    assert command("grade", samples, *options, "--test-details").status == 0
    detailed = target.read_bytes()
    # What has the details serves without them too.
    assert command("grade", samples, *options).status == 0
    assert command("grade", samples, *options, "--test-details").status == 0
    assert target.read_bytes() == detailed


def test_assertions_are_graded_too(tmp_path: Path) -> None:
    data = str(lines(tmp_path / "mbpp.jsonl", [MBPP]))
    rows = [sample("Mbpp/7", solution=code) for code in ("double = lambda x: x + x", "double = 1")]
    samples = lines(tmp_path / "samples.jsonl", rows)
    target = tmp_path / "own.json"
    options = ("--benchmark", "mbpp", "--data", data, "-o", str(target), "--json")
    done = Command(tmp_path, warm)("grade", str(samples), *options)
    assert done.status == 0, done.stderr
    assert json.loads(done.stdout)["base"] == {"pass@1": 0.5}
    graded = json.loads(target.read_text())["eval"]["Mbpp/7"]
    assert [(each["base_status"], each["plus_status"]) for each in graded] == [
        ("pass", None),
        ("fail", None),
    ]


def test_a_run_that_was_killed_ends_with_the_same_file(tmp_path: Path) -> None:
    data = str(benchmark(tmp_path))
    slow = "import time\ndef double(x):\n    time.sleep(0.1)\n    return 2 * x\n"
    rows = [RIGHT, *[sample("HumanEval/0", solution=slow)] * 6, WRONG]
    options = ("--benchmark", "humaneval+", "--data", data, "--workers", "1")
    files = []
    for name, killed in (("whole", False), ("killed", True)):
        samples = lines(tmp_path / f"{name}.jsonl", rows)
        target = tmp_path / f"{name}_eval_results.json"
        command = Command(tmp_path, warm)
        if killed:
            part = target.with_name(f"{target.name}.part")
            with command.start("grade", str(samples), *options) as running:
                patience = time.monotonic() + 60
                while not part.exists() or part.read_text().count("\n") < 3:
                    assert time.monotonic() < patience
                    time.sleep(0.01)
                running.signal(signal.SIGKILL)
                running.wait()
            assert not target.exists()
            with part.open("a") as file:
                file.write('{"number": 6, "ba')
        done = command("grade", str(samples), *options)
        assert done.status == 0, done.stderr
        files.append({**json.loads(target.read_text()), "date": ""})
        assert sorted(path.name for path in tmp_path.glob(f"{name}*")) == [
            f"{name}.jsonl",
            target.name,
        ]
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (json.dumps(sample("Mbpp/2", solution="x")), "line 1: there is no task 'Mbpp/2' in"),
        (json.dumps(sample("HumanEval/0")), "line 1: HumanEval/0 has"),
        (json.dumps(RIGHT) + "\n{", "line 2: not JSON"),
        (json.dumps(sample("HumanEval/0", solution=["x"])), "line 1: `solution` is a string"),
        ("[]", "line 1: a sample is an object"),
        ("\n", "no samples in it"),
    ],
)
def test_bad_samples_are_one_line_and_leave_nothing(
    tmp_path: Path, content: str, problem: str
) -> None:
    (tmp_path / "s.jsonl").write_text(content)
    data = str(benchmark(tmp_path))
    path = str(tmp_path / "s.jsonl")
    done = Command(tmp_path, warm)("grade", path, "--benchmark", "humaneval+", "--data", data)
    assert done.status == 2
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.glob("s_eval*"))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("none.jsonl", "--benchmark", "humaneval+"), "no such file or folder of samples"),
        (("benchmark.jsonl", "--benchmark", "humanevil"), "unknown benchmark 'humanevil'"),
        (("benchmark.txt", "--benchmark", "humaneval+"), "a .jsonl file or a folder"),
    ],
)
def test_wrong_use_is_one_line(tmp_path: Path, arguments: tuple[str, ...], problem: str) -> None:
    data = str(benchmark(tmp_path))
    (tmp_path / "benchmark.txt").write_text("x")
    name, *rest = arguments
    done = Command(tmp_path, warm)("grade", str(tmp_path / name), *rest, "--data", data)
    assert (done.status, len(done.stderr.splitlines())) == (2, 1)
    assert problem in done.stderr


def test_a_sample_that_is_no_text_fails_alone_and_an_id_may_be_a_number(tmp_path: Path) -> None:
    broken = sample(0, solution="def double(x):\n    '\ud800'\n    return 2 * x\n")
    samples = str(lines(tmp_path / "s.jsonl", [broken, RIGHT, sample(1, solution="\0")]))
    options = ("--benchmark", "humaneval+", "--data", str(benchmark(tmp_path)), "--json")
    command = Command(tmp_path, warm)
    done = command("grade", samples, *options)
    assert done.status == 0, done.stderr
    results = json.loads((tmp_path / "s_eval_results.json").read_text())["eval"]
    found = [one["base_status"] for one in results["HumanEval/0"]]
    assert found == ["fail", "pass"]
    assert [one["base_status"] for one in results["HumanEval/1"]] == ["fail"]
    assert command("grade", samples, *options).stdout == done.stdout, "the results are its own"


def test_results_of_others_are_not_overwritten(tmp_path: Path) -> None:
    samples = lines(tmp_path / "s.jsonl", [RIGHT])
    target = tmp_path / "s_eval_results.json"
    target.write_text("{}")
    data = str(benchmark(tmp_path))
    done = Command(tmp_path, warm)(
        "grade", str(samples), "--benchmark", "humaneval+", "--data", data
    )
    assert done.status == 2
    assert "it does not hold the results of these samples" in done.stderr
    assert target.read_text() == "{}"
