"""Batches on a cluster of Ray of several nodes on this machine, whose processes are killed."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import trace_of
from tests.answering_server import answering
from tests.command import Command, Running
from tests.doubled_batch import begun_again, lay_out, stored, told
from tests.evaluating import coder_or_critic, world
from tests.postgres_server import new_database

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(
        find_spec("ray") is None, reason="Ray is not installed here; run: make test-ray"
    ),
]

TASKS = 18
SAMPLES = 80
"""Of each task."""
SECONDS = 300.0
ACTORS = (b"ray::Member", b"ray::Grader")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables for every process of a cluster: Ray writes to no home, and tells nobody."""
    variables = {
        "HOME": str(tmp_path_factory.mktemp("home")),
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield variables


@pytest.fixture(scope="module")
def cluster(environment: dict[str, str]) -> Iterator[Any]:
    """A cluster with one node, the head."""
    from ray.cluster_utils import Cluster  # pyright: ignore[reportMissingImports]

    made = Cluster()
    made.add_node(node_ip_address="127.0.0.2", include_dashboard=False)
    yield made
    made.shutdown()


@contextmanager
def node(cluster: Any, address: str) -> Iterator[int]:
    """Add a node to a cluster for a while; yield the process id of its raylet."""
    added = cluster.add_node(node_ip_address=address)
    try:
        yield raylet(added)
    finally:
        cluster.remove_node(added, allow_graceful=False)


def raylet(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)


def actors(raylet: int) -> list[int]:
    """Return the processes of a node that are our actors."""
    found: list[int] = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == raylet and (each / "cmdline").read_bytes().startswith(ACTORS):
                found.append(int(each.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def rows(url: str, question: str) -> int:
    """Return the number that a question to a store is answered with."""

    async def ask() -> int:
        async with open_store(url) as store:
            ((number,),) = await store.execute(question)
            return int(number)

    return asyncio.run(ask())


def held(url: str) -> int:
    return rows(url, "SELECT count(*) FROM opencodeinterpreter_claims")


def left(url: str) -> int:
    return rows(url, "SELECT count(*) FROM opencodeinterpreter_jobs WHERE ended IS NULL")


def begun(url: str) -> int:
    """Return how many jobs that have not ended count as begun, and not given back."""
    return rows(
        url, "SELECT count(*) FROM opencodeinterpreter_jobs WHERE ended IS NULL AND deaths > 0"
    )


def wait_until(true: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < until, f"not within {SECONDS:g} s: {what}"
        time.sleep(0.2)


def works(running: Running, address: str, does: str = "works") -> None:
    line = f" at {address} {does}"
    wait_until(lambda: line in running.stderr.read_text("utf-8"), line)


def test_killed_actors_and_raylets_change_no_result(
    tmp_path: Path, server: str, cluster: Any, environment: dict[str, str]
) -> None:
    """The node that joins when the raylet is dead works too, and the actor is started again."""
    url = asyncio.run(new_database(server, "ray_kills"))
    command = Command(tmp_path).with_environment(**environment)
    arguments = lay_out(tmp_path, TASKS)
    quiet = command(*arguments, "--out", "quiet", "--concurrency", "18", timeout=SECONDS)
    assert quiet.status == 0, quiet.stderr
    options = ("--out", "out", "--store", url, "--ray", cluster.address, "--concurrency", "2")
    head = raylet(cluster.head_node)
    with (
        node(cluster, "127.0.0.3") as other,
        command.start(*arguments, *options) as batch,
    ):
        works(batch, "127.0.0.2")
        works(batch, "127.0.0.3")
        wait_until(lambda: held(url) == 4, "both nodes have two runs each")
        (killed,) = actors(head)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: actors(head) not in ([], [killed]), "Ray starts the actor again")
        wait_until(lambda: held(url) >= 3, "runs are in work")
        os.kill(other, signal.SIGKILL)
        with node(cluster, "127.0.0.4"):
            works(batch, "127.0.0.4")
            done = batch.wait(SECONDS)
        assert done.status == 0, done.stderr
        assert actors(head) == []
    assert held(url) == 0
    assert asyncio.run(begun_again(url)) > 0
    runs = asyncio.run(stored(url))
    assert told(runs) == told(asyncio.run(stored(str(tmp_path / "quiet" / "runs.sqlite"))))
    assert all(asyncio.run(replay(trace_of(run))).identical for run in runs)
    samples = [(tmp_path / out / "samples.jsonl").read_text("utf-8") for out in ("out", "quiet")]
    assert samples[0] == samples[1]


def test_an_interrupted_batch_gives_all_back_and_goes_on_when_it_is_started_again(
    tmp_path: Path, server: str, cluster: Any, environment: dict[str, str]
) -> None:
    url = asyncio.run(new_database(server, "ray_interrupted"))
    command = Command(tmp_path).with_environment(**environment)
    arguments = (*lay_out(tmp_path, 6), "--out", "out", "--store", url, "--ray", cluster.address)
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with command.start(*arguments, "--concurrency", "3") as batch:
            works(batch, "127.0.0.2")
            wait_until(lambda: held(url) > 0, "runs are in work")
            batch.signal(number)
            stopped = batch.wait(SECONDS)
        assert stopped.status == status, stopped.stderr
        assert "Traceback" not in stopped.stderr
        assert (held(url), actors(raylet(cluster.head_node))) == (0, [])
        assert left(url) > 0
        assert begun(url) == 0
    again = command(*arguments, "--concurrency", "6", timeout=SECONDS)
    assert again.status == 0, again.stderr
    assert "6 of 6 tasks solved" in again.stdout
    assert len(asyncio.run(stored(url))) == 6


def test_nodes_make_an_evaluation_s_runs_and_grade_its_programs(
    tmp_path: Path, server: str, cluster: Any, environment: dict[str, str]
) -> None:
    """Every number is that of one process."""
    url = asyncio.run(new_database(server, "ray_evaluation"))
    with answering(coder_or_critic) as model, node(cluster, "127.0.0.3"):
        made = world(tmp_path, model.url, 8)
        made = replace(made, command=made.command.with_environment(**environment))
        settings = ("--settings", "none,execution,resample")
        alone = made.evaluate("alone", *settings)
        assert alone.status == 0, alone.stderr
        shared = made.evaluate("out", *settings, "--store", url, "--ray", cluster.address)
        assert shared.status == 0, shared.stderr
    assert "at 127.0.0.3 grades" in shared.stderr
    numbers = [
        [{**arm, "seconds": 0} for arm in made.results(out)["arms"]] for out in ("alone", "out")
    ]
    assert numbers[0] == numbers[1]
    assert held(url) == 0


def test_samples_are_graded_by_all_nodes_though_one_dies(
    tmp_path: Path, cluster: Any, environment: dict[str, str]
) -> None:
    made = world(tmp_path, "http://127.0.0.1:9", 4)
    command = made.command.with_environment(**environment)
    samples = tmp_path / "samples.jsonl"
    rows = [{"task_id": f"HumanEval/{n % 4}", "solution": solution(n)} for n in range(4 * SAMPLES)]
    samples.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    arguments = ("grade", str(samples), "--benchmark", "humaneval+", "--data", made.data)
    here = command(*arguments, "-o", "here.json", timeout=SECONDS)
    assert here.status == 0, here.stderr
    with (
        node(cluster, "127.0.0.3") as other,
        command.start(*arguments, "-o", "ray.json", "--ray", cluster.address) as grading,
    ):
        works(grading, "127.0.0.2", "grades")
        works(grading, "127.0.0.3", "grades")
        wait_until(lambda: actors(other) != [], "the other node grades")
        os.kill(other, signal.SIGKILL)
        done = grading.wait(SECONDS)
    assert done.status == 0, done.stderr
    assert "grades no more" in done.stderr
    found = [json.loads((tmp_path / name).read_text("utf-8")) for name in ("here.json", "ray.json")]
    assert found[0]["eval"] == found[1]["eval"]
    assert done.stdout == here.stdout


def solution(n: int) -> str:
    """Return a right program and a wrong one in turn."""
    return f"def f{n % 4}(x):\n    return x + {n % 4 if n // 4 % 2 else -1}\n"


def test_a_node_that_cannot_work_is_told_and_ends_the_batch_with_an_outside_failure(
    tmp_path: Path, server: str, cluster: Any, environment: dict[str, str]
) -> None:
    url = asyncio.run(new_database(server, "ray_unfit"))
    command = Command(tmp_path).with_environment(**environment)
    given = ("--out", "out", "--store", url, "--ray", cluster.address)
    model = "openai:m@http://127.0.0.1:9/v1"
    done = command(*lay_out(tmp_path, 6)[:2], *given, "--model", model, timeout=SECONDS)
    assert done.status == 3, done.stderr
    assert "no node of the Ray cluster can go on" in done.stderr.splitlines()[-1]
    assert "127.0.0.1:9" in done.stderr
    assert held(url) == 0


def test_the_address_that_ray_takes_for_another_is_told(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    command = Command(tmp_path).with_environment(**environment)
    given = ("--out", "out", "--store", "postgresql://db/runs", "--ray", "127.0.0.1:9")
    done = command(*lay_out(tmp_path, 1), *given, timeout=SECONDS)
    assert done.status == 3
    assert "Ray takes this for the host's address in the network" in done.stderr
    assert len(done.stderr.splitlines()) == 1
