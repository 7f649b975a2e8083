"""`make learn` in its small form: the paper's shape appears in a model made from nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a small lesson and what was printed."""
    out = tmp_path_factory.mktemp("learned")
    return out / "small" / "0", learn(out)


def learn(out: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "learn", "small", "--seeds", "0", "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def reports(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(folder.glob("*/report.json"))]


def share(report: dict[str, Any], arm: str) -> float:
    """Return the share of failed drafts that were repaired."""
    found = report["measured"]
    return float(found["repaired"][arm] / (found["tasks"] - found["single"]))


def test_both_stages_learn(lesson: tuple[Path, str]) -> None:
    for report in reports(lesson[0]):
        first, last = report["losses"]
        assert last < 0.25 * first


def test_only_the_dialogues_teach_to_use_feedback(lesson: tuple[Path, str]) -> None:
    before, after = reports(lesson[0])
    assert share(after, "oracle") >= share(before, "oracle") + 0.4
    assert share(after, "execution") >= share(after, "notice") + 0.1


def test_the_dialogues_are_runs_whose_repair_passed_its_tests(lesson: tuple[Path, str]) -> None:
    lines = (lesson[0] / "1" / "dialogues.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert {row["provenance"]["decided_by"] for row in rows} == {"tests"}
    repaired = [row for row in rows if len(row["messages"]) == 4]
    assert {row["provenance"]["critic"] for row in repaired} == {"execution", "simulated", "oracle"}
    shown = [row["messages"][2]["content"] for row in repaired]
    assert sum(text.startswith("Execution result: 1 of 1 tests did not pass.") for text in shown)


def test_a_second_start_repeats_nothing(lesson: tuple[Path, str]) -> None:
    folder, printed = lesson
    models = sorted(folder.glob("*/model/model.safetensors"))
    times = [path.stat().st_mtime_ns for path in models]
    assert len(times) == 2
    assert learn(folder.parent.parent) == printed
    assert [path.stat().st_mtime_ns for path in models] == times
