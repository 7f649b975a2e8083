"""`worker`: work on the batches of a shared store, beside other processes on any machine."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

import typer

from opencodeinterpreter.cli.options import (
    ConcurrencyOption,
    SandboxOption,
    StoreOption,
    TaskDeadlineOption,
)
from opencodeinterpreter.cli.shared_batch import tell
from opencodeinterpreter.graph.batch import Plan
from opencodeinterpreter.graph.shared import Working, work
from opencodeinterpreter.graph.store.protocol import LEASE_SECONDS
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """How a process works for others."""

    store: StoreOption
    concurrency: ConcurrencyOption = 4
    task_deadline: TaskDeadlineOption = None
    sandbox: SandboxOption = DEFAULT_SANDBOX
    idle: Annotated[
        float, typer.Option(min=0, help="End after so many seconds without an open batch.")
    ] = 60.0
    lease: Annotated[
        float,
        typer.Option(min=1, help="After so many seconds of silence, others take over its runs."),
    ] = LEASE_SECONDS


def worker(options: WorkerOptions) -> None:
    """Work on the batches of a shared store, beside others.

    `batch --store URL` adds a batch. Start as many workers, on as many machines, as you like; each
    can be killed at any moment.
    """
    plan = Plan(concurrency=options.concurrency, deadline=options.task_deadline)
    working = Working(plan, options.sandbox, options.idle, options.lease)
    asyncio.run(work(options.store, working, tell))
