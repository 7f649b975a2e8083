"""`kill -9` again and again with a batch in flight: every run ends right, and none twice."""

import asyncio
import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from opencodeinterpreter.graph.runs import Run, open_run
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import list_runs
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import trace_of
from tests.command import Command, warm
from tests.doubling import PLUS_TWO, RIGHT, TESTS, TRIPLE, draft, write_script

KILLS = 100
SECONDS = 300.0
"""After so long no further kill comes, however slow the machine is; at least LEAST have come."""
LEAST = 20
TASKS = 40
LONGEST = 2.0
"""The longest that a batch is left alone."""


async def stored(url: str) -> list[Run]:
    async with open_store(url) as store:
        return [await open_run(store, row.id) for row in await list_runs(store)]


def kill_a_batch(home: Path, kills: int) -> int:
    """Kill a batch of tasks so often, then let it end; return how often it was killed."""
    command = Command(home, warm)
    replies = [draft(PLUS_TWO), draft(TRIPLE), draft(RIGHT)]
    spec = write_script(home / "script.toml", replies, delays=(0.1,))
    lines = [
        {"id": f"{n}", "prompt": f"Write double(n), way {n}.", "tests": TESTS} for n in range(TASKS)
    ]
    tasks = home / "tasks.jsonl"
    tasks.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    arguments = ("batch", str(tasks), "--out", "out", "--model", spec, "--concurrency", "4")
    killed, until = 0, time.monotonic() + SECONDS
    while killed < kills and (killed < LEAST or time.monotonic() < until):
        with command.start(*arguments) as running:
            try:
                running.wait(random.uniform(0.1, LONGEST))
                break  # All of it is done.
            except subprocess.TimeoutExpired:
                running.signal(signal.SIGKILL)
                assert running.wait().status == -signal.SIGKILL
                killed += 1
    done = command(*arguments, timeout=600.0)
    assert done.status == 0, done.stderr
    return killed


def check(url: str) -> None:
    """Check that each task has one run, which is solved in three turns and replays."""
    runs = asyncio.run(stored(url))
    assert sorted(run.record.task.prompt for run in runs) == sorted(
        f"Write double(n), way {n}." for n in range(TASKS)
    )
    for run in runs:
        assert (run.row.status, len(run.record.turns)) == ("solved", 3)
        assert asyncio.run(replay(trace_of(run))).identical


@pytest.mark.slow
def test_a_batch_survives_a_hundred_kills(tmp_path: Path) -> None:
    print(f"{kill_a_batch(tmp_path, KILLS)} kills")
    check(str(tmp_path / "out" / "runs.sqlite"))
