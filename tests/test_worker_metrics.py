"""`worker --metrics-port`: its figures, as Prometheus reads them."""

import asyncio
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from opencodeinterpreter import cli
from opencodeinterpreter.cli.worker_metrics import WorkerMetrics
from opencodeinterpreter.graph.batch import Plan, Postponed
from opencodeinterpreter.graph.shared import Worker, Working
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.testing.openai_server import serve
from opencodeinterpreter.tools.errors import BusyError, ClaimLostError
from tests.command import Command, warm
from tests.doubling import RIGHT, draft
from tests.shared_batches import add_with


def figures(text: str) -> dict[str, float]:
    """Return our figures in what a scrape answered, by name and labels."""
    return {
        " ".join([sample.name.removeprefix("opencodeinterpreter_"), *sample.labels.values()]): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


async def lay_out(store: str, spec: str) -> None:
    async with open_store(store) as opened:
        await add_with(opened, spec)


def test_a_worker_counts_what_ended_in_it(tmp_path: Path) -> None:
    store = str(tmp_path / "runs.sqlite")
    options = ("--store", store, "--idle", "1000", "--metrics-port", "0")
    with (
        serve([draft(RIGHT)]) as model,
        Command(tmp_path, warm).start("worker", *options) as worker,
    ):
        asyncio.run(lay_out(store, f"openai:tiny@{model.url}"))
        said = worker.wait_for("double: solved")
        port = re.search(r"metrics for Prometheus at port (\d+)", said)
        assert port is not None
        with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/metrics", timeout=60) as answer:
            found = figures(answer.read().decode())
        worker.signal(signal.SIGTERM)
        assert worker.wait().status == 128 + signal.SIGTERM
    assert found.pop("model_seconds_total") > 0
    assert found.pop("sandbox_seconds_total") > 0
    assert found.pop("tokens_total input") > 0
    assert found.pop("tokens_total output") > 0
    assert found == {
        "runs_total solved": 1,
        "turns_total": 1,
        "claims_lost_total": 0,
        "in_work": 0,
    }


def test_a_lost_claim_is_counted_and_a_busy_run_is_not() -> None:
    metrics = WorkerMetrics(Worker("", Working(Plan()), print))
    metrics.note(Postponed("a", "1", BusyError("another process works on it")))
    metrics.note(Postponed("b", "2", ClaimLostError("taken over")))
    assert metrics.registry.get_sample_value("opencodeinterpreter_claims_lost_total") == 1


def test_a_port_that_is_taken_is_told_in_a_line(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = Command(tmp_path, warm)("worker", "--metrics-port", port)
    assert done.status == 2
    assert f"--metrics-port {port}: Address already in use; name another port" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    """The same packages without Prometheus's client, as links in a folder of their own."""
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(("prometheus_client", "opencodeinterpreter")):
            (tmp_path / entry.name).symlink_to(entry)
    (tmp_path / "opencodeinterpreter").symlink_to(Path(cli.__path__[0]).parent)
    code = "from opencodeinterpreter.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", code, "worker", "--metrics-port", "0"],
        env={"PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "--metrics-port needs the extra 'prometheus': pip install" in done.stderr
