"""Open the models that settings name and a sandbox, for all runs of one event loop."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from opencodeinterpreter.graph.build import Graph, build_graph
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.person import Person
from opencodeinterpreter.tools.runner import Runner, open_runner
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX, SandboxName


@asynccontextmanager
async def open_graph(
    settings: Settings,
    store: Store | None = None,
    person: Person | None = None,
    *,
    sandbox: SandboxName = DEFAULT_SANDBOX,
    runner: Runner | None = None,
) -> AsyncIterator[Graph]:
    """Open the models that `settings` name and a sandbox, yield the graph, close them.

    `sandbox` says where code runs: in the local sandbox with full or with weaker, reduced
    isolation, or on E2B; an opened `runner` is used instead. Without a store nothing is
    checkpointed. Raises InputError for a wrong spec or a limit on the cost of models without a
    price, and ModelError or SandboxError if something cannot be opened.
    """
    settings.check_prices()
    async with (
        open_models(settings.models, settings.client) as models,
        open_runner(sandbox) if runner is None else nullcontext(runner) as opened,
    ):
        yield build_graph(
            models,
            opened,
            person,
            checkpointer=store.saver if store else None,
        )
