"""Measure what a task costs workers and PostgreSQL, and check the simulation of `bench/scaling.py`.

python bench/workers.py [ROUNDS]      needs the development set; starts a PostgreSQL of its own

Real processes: one `batch` with a file as its store, then 1, 2 and 4 `worker`s of a PostgreSQL
store, in turns. A task takes two turns, its drafts are tested in the sandbox, and the model answers
after MODEL_SECONDS. Throughput is that of all lanes between the end of the first task of each and
the last end. Processor times come from /proc; a busy machine stretches them less than the clock's.
"""

import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from scaling import Cluster, Costs, Fleet

from opencodeinterpreter.graph.batch import Job
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.shared import stored_jobs
from opencodeinterpreter.graph.store.jobs import StoredBatch, add_batch, jobs_left
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import list_runs
from opencodeinterpreter.nodes.settings import Settings
from tests.command import Command, Running
from tests.doubling import RIGHT, TESTS, TRIPLE, draft, write_script
from tests.postgres_server import Server, new_database, restartable_server

WORKERS = (1, 2, 4)
LANES, TASKS_A_LANE, TURNS, MODEL_SECONDS = 4, 6, 2, 2.0
SPIN_SECONDS = 2.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    """What some workers did."""

    tasks_a_second: float
    python: float = 0.0
    """Processor seconds a task in the workers themselves; then below them, and in the server."""
    sandbox: float = 0.0
    server: float = 0.0
    transactions: float = 0.0
    """A task, as all that follows."""
    log_bytes: float = 0.0
    stored_bytes: float = 0.0
    connections: int = 0
    """The most of all workers together."""


def used(pid: int) -> tuple[float, float]:
    """Return the processor seconds of a process, and of all below it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, reaped = (sum(map(int, fields[at : at + 2])) / TICKS for at in (11, 13))
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for thread in threads for child in thread.read_text().split()]
    return own, reaped + sum(sum(used(child)) for child in children)


def task_lines(count: int) -> list[dict[str, str]]:
    """Return the tasks of a batch."""
    return [
        {"id": f"{n}", "prompt": f"Write double(n), way {n}.", "tests": TESTS} for n in range(count)
    ]


def share_of_a_core() -> float:
    """Return the part of a core that a process gets beside all else that the machine does."""
    began, used_before = time.perf_counter(), time.process_time()
    while time.perf_counter() - began < SPIN_SECONDS:
        pass
    return (time.process_time() - used_before) / SPIN_SECONDS


def rate(ends: Iterable[str], lanes: int) -> float:
    """Return the tasks a second from the last end of the first `lanes` tasks to the last end."""
    times = sorted(datetime.fromisoformat(end).timestamp() for end in ends)
    return (len(times) - lanes) / (times[-1] - times[lanes - 1])


def one_process(home: Path, spec: str) -> float:
    """Return the tasks a second of a batch without other workers."""
    tasks = home / "tasks.jsonl"
    lines = task_lines(LANES * TASKS_A_LANE)
    tasks.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    with tempfile.TemporaryDirectory(dir=home) as out:
        options = ("--out", out, "--model", spec, "--concurrency", f"{LANES}")
        done = Command(home)("batch", str(tasks), *options, timeout=600)
        assert done.status == 0, done.stderr
        return rate(asyncio.run(ends(f"{out}/runs.sqlite")), LANES)


async def ends(url: str) -> list[str]:
    """Return when each run of a store ended."""
    async with open_store(url) as store:
        return [row.updated for row in await list_runs(store)]


async def workers(home: Path, spec: str, server: Server, count: int) -> Measured:
    """Let so many workers work through a batch; return what it cost."""
    url = await new_database(server.url, f"w{time.monotonic_ns()}")
    settings = Settings(models={"coder": spec})
    lanes = LANES * count
    jobs = [
        Job(line["id"], task_seed({"prompt": line["prompt"], "tests": line["tests"]}, settings))
        for line in task_lines(lanes * TASKS_A_LANE)
    ]
    batch = StoredBatch("b", settings.model_dump_json())
    options = ("--store", url, "--concurrency", f"{LANES}", "--idle", "1000")
    async with open_store(url) as store:
        await add_batch(store, batch, stored_jobs("b", jobs))
        with ExitStack() as stack:
            started = [
                stack.enter_context(Command(home).start("worker", *options)) for _ in range(count)
            ]
            first = await snapshot(store, server, started, len(jobs) - lanes)
            last = await snapshot(store, server, started, 0)
            for each in started:
                each.signal(signal.SIGTERM)
                assert each.wait(60).status == 128 + signal.SIGTERM
        rows = await list_runs(store)
    assert all(row.status == "solved" for row in rows)
    done = first.left - last.left
    python, sandbox, at_server, transactions, log, stored = (
        (after - before) / done for before, after in zip(first.counts, last.counts, strict=True)
    )
    return Measured(
        rate((row.updated for row in rows), lanes),
        python,
        sandbox,
        at_server,
        transactions,
        log,
        stored,
        max(first.connections, last.connections),
    )


@dataclass(frozen=True)
class Snapshot:
    """The counters at a moment, and the tasks that were left."""

    left: int
    counts: Sequence[float]
    connections: int


async def snapshot(store: Store, server: Server, started: Sequence[Running], left: int) -> Snapshot:
    """Return the counters as soon as no more than so many tasks are left."""
    connections = 0
    while (now := await jobs_left(store, "b")) > left:
        ((there,),) = await store.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND starts_with(application_name, 'opencodeinterpreter') "
            "AND application_name <> current_setting('application_name')"
        )
        connections = max(connections, there)
        await asyncio.sleep(0.5)
    times = [used(each.process.pid) for each in started]
    ((transactions, log, stored),) = await store.execute(
        "SELECT xact_commit, pg_current_wal_insert_lsn() - '0/0', "
        "pg_database_size(datname) FROM pg_stat_database WHERE datname = current_database()"
    )
    own, below = (sum(side) for side in zip(*times, strict=True))
    counts = (own, below, sum(used(server.pid)), float(transactions), float(log), float(stored))
    return Snapshot(now, counts, connections)


def main() -> None:
    """Measure all in turns and print the costs, the throughputs and the simulation's."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    alone: list[float] = []
    shares: list[float] = []
    found: dict[int, list[Measured]] = {count: [] for count in WORKERS}
    with tempfile.TemporaryDirectory() as folder, restartable_server() as server:
        home = Path(folder)
        drafts = [draft(TRIPLE), draft(RIGHT)]
        spec = write_script(home / "script.toml", drafts, delays=(MODEL_SECONDS,))
        for _ in range(rounds):
            alone.append(one_process(home, spec))
            for count in WORKERS:
                shares.append(share_of_a_core())
                found[count].append(asyncio.run(workers(home, spec, server, count)))
    report(alone, found, statistics.mean(shares))


def report(alone: Sequence[float], found: dict[int, list[Measured]], share: float) -> None:
    """Print what was measured; work takes longer by the share of a core that a process gets."""
    every = [each for several in found.values() for each in several]
    load = os.getloadavg()[0]
    print(f"load {load:.1f}; {os.cpu_count()} cores, a process gets {share:.2f} of one")
    print("medians and ranges of a task:")
    for name in ("python", "sandbox", "server"):
        print(f"  {name:<12} {_range([1000 * getattr(each, name) for each in every], 0)} ms")
    for name in ("transactions", "log_bytes", "stored_bytes"):
        print(f"  {name:<12} {_range([getattr(each, name) for each in every], 0)}")
    middle = {
        name: statistics.median(getattr(each, name) for each in every)
        for name in ("python", "sandbox", "server")
    }
    costs = Costs(TURNS, **{name: seconds / share for name, seconds in middle.items()})
    single = statistics.median(alone)
    print(f"one process: {_range(alone, 2)} tasks a second")
    for count, several in found.items():
        rates = [each.tasks_a_second for each in several]
        fleet = Fleet(count, LANES, MODEL_SECONDS)
        expected = Cluster(costs, fleet, shared_cores=os.cpu_count() or 1).tasks_a_second()
        print(
            f"{count} worker{'s' * (count > 1)}: {_range(rates, 2)} tasks a second, "
            f"{statistics.median(rates) / single:.2f} of one process, "
            f"{statistics.median(rates) / expected:.2f} of the simulation's {expected:.2f}; "
            f"{max(each.connections for each in several)} connections"
        )


def _range(values: Sequence[float], digits: int) -> str:
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f} to {most:.{digits}f})"


if __name__ == "__main__":
    main()
