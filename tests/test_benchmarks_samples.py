"""Samples that cannot be read: each fails by itself, and the others are graded."""

import json
from pathlib import Path

from tests.command import Command, warm
from tests.test_cli_grade import MBPP, RIGHT, benchmark, lines, sample

GOOD = json.dumps(RIGHT).encode()
FAULTY = {
    "a lone surrogate": (b'{"task_id": "HumanEval/0", "solution": "x = \'\\ud800\'"}', "Unicode"),
    "a surrogate the wrong way round": (
        b'{"task_id": "HumanEval/0", "completion": "\\ude00\\ud83d"}',
        "not valid Unicode",
    ),
    "a huge integer as its solution": (
        b'{"task_id": "HumanEval/0", "solution": %s}' % (b"7" * 5000),
        "`solution` is a string, not float",
    ),
    "a line that was cut": (b'{"task_id": "HumanEval/0", "solution": "def dou', "not JSON"),
    "two lines in one": (GOOD + GOOD, "not JSON"),
    "deep nesting": (
        b'{"task_id": "HumanEval/0", "solution": %s}' % (b"[" * 100_000),
        "not JSON",
    ),
    "bytes that are no text": (b'{"task_id": "HumanEval/0", "solution": "\xff"}', "not UTF-8"),
    "no solution": (b'{"task_id": "HumanEval/0"}', "has neither"),
    "nothing as its solution": (b'{"task_id": "HumanEval/0", "solution": null}', "not NoneType"),
    "a list as its solution": (b'{"task_id": "HumanEval/0", "solution": ["x"]}', "not list"),
}


def test_samples_that_cannot_be_read_fail_and_the_others_are_graded(tmp_path: Path) -> None:
    samples = tmp_path / "samples.jsonl"
    rows = [GOOD, *(line for line, _ in FAULTY.values()), GOOD]
    samples.write_bytes(b"\xef\xbb\xbf" + b"\n".join(rows))
    options = ("--benchmark", "humaneval+", "--data", str(benchmark(tmp_path)))
    command = Command(tmp_path, warm)
    done = command("grade", str(samples), *options, "--json")
    assert done.status == 0, done.stderr
    assert done.stderr.startswith(f"{len(FAULTY)} samples cannot be read and failed: ")
    told = json.loads(done.stdout)
    assert (told["samples"], round(told["plus"]["pass@1"], 3)) == (12, round(2 / 12, 3))
    results = json.loads((tmp_path / "samples_eval_results.json").read_text("utf-8"))
    first, *faulty, last = results["eval"]["HumanEval/0"]
    assert (first["plus_status"], last["plus_status"]) == ("pass", "pass")
    for number, (row, (kind, (_, problem))) in enumerate(
        zip(faulty, FAULTY.items(), strict=True), start=2
    ):
        assert (row["base_status"], row["plus_status"]) == ("fail", "fail"), kind
        assert f"line {number}: " in row["reason"], kind
        assert problem in row["reason"], kind
    # The results are known for those of these samples.
    assert command("grade", str(samples), *options).status == 0


def test_a_huge_integer_beside_the_solution_does_no_harm(tmp_path: Path) -> None:
    row = GOOD[:-1] + b', "seed": %s}' % (b"7" * 5000)
    samples = tmp_path / "samples.jsonl"
    samples.write_bytes(row)
    options = ("--benchmark", "humaneval+", "--data", str(benchmark(tmp_path)))
    done = Command(tmp_path, warm)("grade", str(samples), *options, "--json")
    assert json.loads(done.stdout)["plus"] == {"pass@1": 1.0}


def test_a_program_of_a_folder_that_is_no_text_fails_by_itself(tmp_path: Path) -> None:
    folder = tmp_path / "samples" / "HumanEval_0"
    folder.mkdir(parents=True)
    (folder / "0.py").write_bytes(b"def double(x):\n    return x + x  # \xff\n")
    (folder / "1.py").write_bytes(b"def double(x):\n    return x + x\n")
    options = ("--benchmark", "humaneval+", "--data", str(benchmark(tmp_path)))
    done = Command(tmp_path, warm)("grade", str(folder.parent), *options, "--json")
    assert json.loads(done.stdout)["plus"] == {"pass@1": 0.5}


def test_tasks_may_be_named_by_their_number_and_assertions_have_their_samples_faults(
    tmp_path: Path,
) -> None:
    data = str(lines(tmp_path / "mbpp.jsonl", [MBPP]))
    right = {"task_id": 7, "solution": "double = lambda x: x + x"}
    samples = lines(tmp_path / "samples.jsonl", [right, sample("Mbpp/7", solution="x = '\ud800'")])
    options = ("--benchmark", "mbpp", "--data", data, "--json")
    done = Command(tmp_path, warm)("grade", str(samples), *options)
    assert done.status == 0, done.stderr
    assert json.loads(done.stdout)["base"] == {"pass@1": 0.5}
