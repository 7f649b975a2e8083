"""`evaluate`: 20 tasks whose every number is computed by hand; samples and reports."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.answering_server import IN, OUT, answering
from tests.evaluating import (
    ALL,
    World,
    arm,
    coder_or_critic,
    values,
    world,
)
from tests.pages import events_of, outside


@pytest.mark.slow
def test_every_number_of_20_tasks_is_the_one_computed_by_hand(tmp_path: Path) -> None:
    # One test, since it takes some 60 runs in the sandbox to get there.
    with answering(coder_or_critic) as server:
        made = world(tmp_path, server.url)
        done = made.evaluate("out", "--settings", ALL, "--canary")
    assert done.status == 0, done.stderr
    results = made.results("out")
    for name, expected in BY_HAND.items():
        check_scores(arm(results, name), expected)
        check_costs(arm(results, name), expected.calls)
    for name, expected_sampling in SAMPLING.items():
        check_sampling(arm(results, name), expected_sampling)
    assert (results["audit"]["canary"], results["audit"]["coincidences"]) == (True, [])
    assert results["audit"]["prompts"] > 20
    check_samples(made, tmp_path)
    check_report(made, results)
    assert "60.0 [" in done.stdout
    assert "20 of 20 tasks" in done.stdout
    assert "OpenCodeInterpreter-DS-1.3B" in done.stdout


@dataclass(frozen=True)
class ByHand:
    """What one arm must come to."""

    base: list[float]
    """Pass@1 by turn; so the next."""
    held_out: list[float]
    gained: list[int]
    p_value: float
    calls: int
    only_by_critic: list[int]


@dataclass(frozen=True)
class Sampled:
    """What plain sampling must come to for the budget of an arm."""

    budget: int
    """Calls; so the next."""
    spent: int
    solved: int
    gained: list[int]
    """Tasks that the arm solves and sampling does not."""
    broken: list[int]
    p_value: float


BY_HAND = {
    "none": ByHand([0.7], [0.5], [], 1.0, 20, []),
    "execution": ByHand([0.7, 0.85], [0.5, 0.6], [14, 15], 2 * 0.5**2, 26, []),
    "simulated": ByHand([0.7, 0.85], [0.5, 0.65], [14, 15, 17], 2 * 0.5**3, 32, [17]),
    "oracle": ByHand([0.7, 0.95], [0.5, 0.75], [14, 15, 16, 17, 18], 2 * 0.5**5, 32, [16, 17, 18]),
    "resample": ByHand([0.7, 0.8], [0.5, 0.6], [14, 18], 2 * 0.5**2, 44, []),
}
SAMPLING = {
    # One sample more for each of six tasks: that of task 14 is right.
    "execution": Sampled(26, 26, 11, [15], [], 1.0),
    # Two: task 14 stops after one, task 18 is right at its second.
    "simulated": Sampled(32, 31, 12, [15, 17], [18], 1.0),
    "oracle": Sampled(32, 31, 12, [15, 16, 17], [], 2 * 0.5**3),
}


def ids(numbers: list[int]) -> list[str]:
    return [f"HumanEval/{n}" for n in numbers]


def check_scores(found: dict[str, Any], expected: ByHand) -> None:
    scores = found["pass_at_1"]
    assert values(scores["base"]) == expected.base
    assert values(scores["held-out"]) == values(scores["plus"]) == expected.held_out
    assert (found["tasks"], found["went_on"], found["failed"]) == (20, 6, {})
    assert found["repaired"] == len(expected.gained) / 6
    assert found["only_by_critic"] == ids(expected.only_by_critic)
    if found["name"] != "none":
        gain = found["gain"]["held-out"]
        assert (gain["gained"], gain["broken"]) == (ids(expected.gained), [])
        assert gain["difference"]["value"] == pytest.approx(len(expected.gained) / 20)
        assert gain["p_value"] == pytest.approx(expected.p_value)
        assert gain["repaired"] == len(expected.gained) / 10


def check_costs(found: dict[str, Any], calls: int) -> None:
    """The first draft counts, and every call after it."""
    assert found["calls"] == calls
    assert (found["input_tokens"], found["output_tokens"]) == (calls * IN, calls * OUT)
    solved = 20 * found["pass_at_1"]["held-out"][-1]["value"]
    assert found["tokens_per_solved"] == pytest.approx(calls * (IN + OUT) / solved)
    assert found["cost"] is None


def check_sampling(found: dict[str, Any], expected: Sampled) -> None:
    for each, unit in zip(found["matched"], (1, OUT), strict=True):
        assert (each["budget"], each["spent"]) == (expected.budget * unit, expected.spent * unit)
        assert each["pass_at_1"]["value"] == expected.solved / 20
        gain = each["gain"]
        assert (gain["gained"], gain["broken"]) == (ids(expected.gained), ids(expected.broken))
        assert gain["p_value"] == pytest.approx(expected.p_value)


def check_samples(made: World, home: Path) -> None:
    """They are EvalPlus's, and `grade` counts the same."""
    folder = home / "out" / "samples"
    turns = ("execution.turn1", "simulated.turn1", "oracle.turn1")
    names = [f"{name}.jsonl" for name in (*ALL.split(","), *turns)]
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    first_drafts = (folder / "none.jsonl").read_bytes()
    assert (folder / "oracle.turn1.jsonl").read_bytes() == first_drafts
    options = ("--benchmark", "humaneval+", "--data", made.data, "--json")
    graded = json.loads(made.command("grade", str(folder / "oracle.jsonl"), *options).stdout)
    assert graded["tasks"] == 20
    assert (graded["base"], graded["plus"]) == ({"pass@1": 0.95}, {"pass@1": 0.75})


def check_report(made: World, results: dict[str, Any]) -> None:
    """It is made anew from runs and verdicts alone, and its page needs nothing else."""
    folder = made.command.home / "out"
    for name in ("results.json", "report.md", "report.html"):
        (folder / name).unlink()
    done = made.command("report", str(folder))
    assert done.status == 0, done.stderr
    assert made.results("out") == results
    assert "60.0 [" in (folder / "report.md").read_text("utf-8")
    page = (folder / "report.html").read_text("utf-8")
    assert page.count("<svg") == 3
    assert outside(page) == []
    rows = events_of(page)["contents"]["index"]["rows"]
    assert len(rows) == sum(arm["tasks"] for arm in results["arms"])
    shutil.copytree(folder, folder.parent / "copy")
    both = made.command(
        "report", str(folder), str(folder.parent / "copy"), "-o", str(folder / "both.html")
    )
    assert [line.split()[0] for line in both.stdout.splitlines()[2:7]] == [str(folder)] * 5
    assert (folder / "both.html").read_text("utf-8").count("<svg") == 6
    since = made.command("report", str(folder), "--baseline", str(folder.parent / "copy"))
    assert since.status == 0, since.stderr
    assert "newly failing" not in since.stdout
