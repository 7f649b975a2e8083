"""Tasks solved start to end: one in a call, or many with the same models and sandbox."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from langgraph.types import StreamMode

from opencodeinterpreter.graph.build import Graph, Seams, build_loop
from opencodeinterpreter.graph.checking import check_with
from opencodeinterpreter.graph.driving import OnEvent, Watch
from opencodeinterpreter.graph.runs import advance, create_run
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.tracing import tracing_if_asked
from opencodeinterpreter.nodes.records import Record, Task
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.sources import FixedModels
from opencodeinterpreter.nodes.state import Input, TaskInput, read
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.person import Person
from opencodeinterpreter.tools.runner import SandboxRunner, open_runner
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX, SandboxName

T = TypeVar("T")


@dataclass(frozen=True)
class Solution:
    """How a task ended."""

    record: Record
    run: str | None
    """The run's id in the store; `None` without a store."""


@dataclass(frozen=True)
class Solver:
    """Opened models and a sandbox that solve tasks, also several at once; see `open_solver`."""

    settings: Settings
    graph: Graph
    """The compiled loop, for streaming and for use in another graph."""
    seams: Seams
    """What the graph is compiled over, for `build_chat` and other graphs of it."""
    runner: SandboxRunner
    store: Store | None
    loop: asyncio.AbstractEventLoop
    """The event loop on which it was opened, and on which all its work runs."""

    def wait(self, awaited: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine from a thread that has no event loop, or another one; return its result.

        The caller's context variables travel with it, so a host's callbacks and interrupts work.
        Raises InputError on the solver's own loop, which would wait for itself.
        """
        if _running_loop() is self.loop:
            awaited.close()
            raise InputError(
                "this would block the event loop of the solver; await it, as in "
                "`await agent.ainvoke(…)`, or use open_solver_sync"
            )
        return asyncio.run_coroutine_threadsafe(awaited, self.loop).result()

    def run_sync(self, task: str | TaskInput, on_event: OnEvent | None = None) -> Solution:
        """Solve a task from code that does not await; see `run` and `open_solver_sync`."""
        return self.wait(self.run(task, on_event=on_event))

    async def run(
        self,
        task: str | TaskInput,
        watch: Watch | None = None,
        on_event: OnEvent | None = None,
    ) -> Solution:
        """Solve a task; with a store the run is stored node by node, under a new id.

        `task` is a prompt, or a mapping with `prompt` and optionally `entry_point`, `tests`,
        `reference` and `files` (see `nodes.records.Task`). `watch` is called after each node with
        its name and the turn as it then stands, `on_event` with a small event for each part.
        Raises InputError for a wrong task or tests, ModelError, SandboxError or StoreError.
        """
        seed = task_seed(task_input(task), self.settings)
        await check_with(self.runner, Task.model_validate(seed["tasks"][-1]))
        if self.store is None:
            with tracing_if_asked():
                return Solution(await self._unstored(seed, watch, on_event), None)
        row = await create_run(self.store, seed)
        run = await advance(self.store, self.graph, row, watch=watch, on_event=on_event)
        return Solution(run.record, row.id)

    async def solve(self, task: str | TaskInput, watch: Watch | None = None) -> Record:
        """Solve a task and return the record of all its turns; see `run`."""
        return (await self.run(task, watch)).record

    async def _unstored(self, seed: Input, watch: Watch | None, on_event: OnEvent | None) -> Record:
        node, state = "", Record()
        modes: list[StreamMode] = ["updates", "values", "custom"]
        part: Any
        async for mode, part in self.graph.astream(seed, stream_mode=modes):
            if mode == "updates":
                node = next(iter(part))
            elif mode == "custom":
                if on_event:
                    on_event(part)
            else:
                state = read(part)
                if watch and state.turns:
                    watch(node, state.turns[-1])
        return state


@asynccontextmanager
async def open_solver(
    settings: Settings | None = None,
    *,
    store: Store | None = None,
    person: Person | None = None,
    sandbox: SandboxName = DEFAULT_SANDBOX,
) -> AsyncIterator[Solver]:
    """Open the models that `settings` name and a sandbox, and yield what solves tasks with them.

    `person` answers a human critic. Raises InputError for a wrong spec, a limit on the cost of
    models without a price, or a human critic without a person and a store; ModelError or
    SandboxError where something cannot be opened.
    """
    chosen = settings or Settings()
    chosen.check_prices()
    if chosen.critic == "human" and person is None and store is None:
        raise InputError(
            "the critic is human, but no person can be asked: pass `person`, or a `store` in which "
            "the run can wait"
        )
    async with (
        open_models(chosen.models, chosen.client) as models,
        open_runner(sandbox) as runner,
    ):
        seams = Seams(FixedModels(models), runner, person)
        graph = build_loop(seams, checkpointer=store.saver if store else None)
        yield Solver(chosen, graph, seams, runner, store, asyncio.get_running_loop())


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def task_input(task: str | TaskInput) -> TaskInput:
    """Return a task that may be a prompt alone."""
    return {"prompt": task} if isinstance(task, str) else task


async def solve(
    task: str | TaskInput,
    settings: Settings | None = None,
    *,
    store: Store | None = None,
    person: Person | None = None,
    on_event: OnEvent | None = None,
    sandbox: SandboxName = DEFAULT_SANDBOX,
) -> Record:
    """Solve one task and return the record of all its turns; see `Solver.solve`.

    Opening models and a sandbox takes about half a second: use `open_solver` for several tasks.
    """
    async with open_solver(settings, store=store, person=person, sandbox=sandbox) as solver:
        return (await solver.run(task, on_event=on_event)).record


def solve_sync(
    task: str | TaskInput,
    settings: Settings | None = None,
    *,
    sandbox: SandboxName = DEFAULT_SANDBOX,
) -> Record:
    """Solve one task from code that does not await, a running notebook included; see `solve`."""
    context = contextvars.copy_context()
    with ThreadPoolExecutor(1) as thread:
        solving = solve(task, settings, sandbox=sandbox)
        return thread.submit(context.run, asyncio.run, solving).result()
