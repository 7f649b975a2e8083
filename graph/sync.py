"""The loop for programs that do not await: a solver on an event loop in a thread of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager

from opencodeinterpreter.graph.solve import Solver, open_solver
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.person import Person
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX, SandboxName


@contextmanager
def open_solver_sync(
    settings: Settings | None = None,
    *,
    store: str | None = None,
    person: Person | None = None,
    sandbox: SandboxName = DEFAULT_SANDBOX,
) -> Iterator[Solver]:
    """Open a solver for code that does not await, a running notebook included; see `open_solver`.

    `store` is a path or URL. Use `solver.run_sync`, `solver.wait(…)` for what is to be awaited, and
    `as_tool` and `as_node` in graphs that are run by `invoke`; any number of threads may do so.
    """
    opened: Future[tuple[Solver, asyncio.Event]] = Future()

    async def hold() -> None:
        """Keep the solver open until the event is set; one task opens and closes it."""
        closing = asyncio.Event()
        async with (
            _opened(store) as place,
            open_solver(settings, store=place, person=person, sandbox=sandbox) as solver,
        ):
            opened.set_result((solver, closing))
            await closing.wait()

    def work() -> None:
        try:
            asyncio.run(hold())
        except BaseException as error:
            if opened.done():
                raise
            opened.set_exception(error)

    with ThreadPoolExecutor(1, "opencodeinterpreter") as thread:
        holding = thread.submit(work)
        solver, closing = opened.result()
        try:
            yield solver
        finally:
            solver.loop.call_soon_threadsafe(closing.set)
            holding.result()


@asynccontextmanager
async def _opened(url: str | None) -> AsyncIterator[Store | None]:
    if url is None:
        yield None
    else:
        async with open_store(url) as store:
            yield store
