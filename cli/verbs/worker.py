"""`worker`: work on the batches of a shared store, beside other processes on any machine."""

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated

import typer

from opencodeinterpreter.cli.fetching import fetch_named
from opencodeinterpreter.cli.options import (
    ConcurrencyOption,
    SandboxOption,
    StoreOption,
)
from opencodeinterpreter.cli.shared_batch import tell
from opencodeinterpreter.cli.terminating import cancelled_by_sigterm
from opencodeinterpreter.cli.worker_metrics import metrics_served
from opencodeinterpreter.graph.batch import Plan
from opencodeinterpreter.graph.shared import Worker, Working
from opencodeinterpreter.graph.store.protocol import LEASE_SECONDS
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """How a process works for others."""

    store: StoreOption
    concurrency: ConcurrencyOption = 4
    task_deadline: Annotated[
        float | None,
        typer.Option(min=0.001, help="Seconds for one task's run, instead of those of its batch."),
    ] = None
    sandbox: SandboxOption = DEFAULT_SANDBOX
    idle: Annotated[
        float, typer.Option(min=0, help="End after so many seconds without an open batch.")
    ] = 60.0
    lease: Annotated[
        float,
        typer.Option(min=1, help="After so many seconds of silence, others take over its runs."),
    ] = LEASE_SECONDS
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Serve figures for Prometheus here; 0: a free port."),
    ] = None


def worker(options: WorkerOptions) -> None:
    """Work on the batches of a shared store, beside others.

    `batch --store URL` adds a batch. Start as many workers, on as many machines, as you like; each
    can be killed at any moment. SIGTERM and Ctrl-C give its runs back at once.
    """
    plan = Plan(concurrency=options.concurrency, deadline=options.task_deadline)
    working = Working(plan, options.sandbox, options.idle, options.lease)
    worker = Worker(options.store, working, tell)
    port = options.metrics_port
    with nullcontext() if port is None else metrics_served(worker, port, tell):
        asyncio.run(_work(worker))


async def _work(worker: Worker) -> None:
    with cancelled_by_sigterm():
        await worker.work(lambda settings: fetch_named(settings.models.values()))
