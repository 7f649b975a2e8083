"""EvalPlus's own command counts the same on the samples that `evaluate` writes."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.answering_server import Body, answering
from tests.evaluating import RIGHT, SHALLOW, WRONG, World, program, task_of, world

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-formats" / "bin" / "python"
TASKS = 164
"""EvalPlus refuses a file with fewer."""

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="`make test-formats` has not been run")


def coder(body: Body) -> str:
    """Answer a third each right, right for the base inputs, and wrong; repair every other one."""
    n, again = task_of(body), len(body["messages"]) > 1
    if again and n % 2:
        return program(n, RIGHT)
    return program(n, (RIGHT, SHALLOW, WRONG)[n % 3])


def evalplus(made: World, samples: Path) -> dict[str, Any]:
    """Return what EvalPlus says of each task."""
    about = ["--dataset", "humaneval", "--samples", str(samples), "--parallel", "2"]
    done = subprocess.run(
        [PYTHON, "-m", "evalplus.evaluate", *about],
        env={
            **os.environ,
            "HUMANEVAL_OVERRIDE_PATH": made.data,
            "XDG_CACHE_HOME": str(made.command.home / "evalplus"),
            "HF_HUB_OFFLINE": "1",
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (written,) = samples.parent.glob(f"{samples.stem}*eval_results.json")
    found: dict[str, Any] = json.loads(written.read_text("utf-8"))["eval"]
    return found


def test_evalplus_counts_the_same(tmp_path: Path) -> None:
    with answering(coder) as server:
        made = world(tmp_path, server.url, TASKS)
        done = made.evaluate("out", "--protocol", "paper")
    assert done.status == 0, done.stderr
    for name in ("none", "execution"):
        theirs = evalplus(made, tmp_path / "out" / "samples" / f"{name}.jsonl")
        assert len(theirs) == TASKS
        ours = verdicts(made.results("out"), name)
        assert {task: passed(rows[0]) for task, rows in theirs.items()} == ours
        assert {True, False} == {both for _, both in ours.values()}


def verdicts(results: dict[str, Any], name: str) -> dict[str, tuple[bool, bool]]:
    """Return whether each task's last program passes the base inputs, and also the others."""
    last = {task: each["attempts"][-1] for task, each in results["tasks"][name].items()}
    return {task: (each["base"], each["base"] and each["further"]) for task, each in last.items()}


def passed(row: dict[str, str]) -> tuple[bool, bool]:
    base = row["base_status"] == "pass"
    return base, base and row["plus_status"] == "pass"
