"""Opening what settings name: models and a sandbox, shared by all runs of one event loop."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opencodeinterpreter.graph.build import Graph, build_graph
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.person import Person
from opencodeinterpreter.tools.runner import open_runner
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX, SandboxName


@asynccontextmanager
async def open_graph(
    settings: Settings,
    store: Store | None = None,
    person: Person | None = None,
    *,
    sandbox: SandboxName = DEFAULT_SANDBOX,
) -> AsyncIterator[Graph]:
    """Open the models that `settings` name and a sandbox, yield the graph, close them.

    `sandbox` says where code runs: in the local one with full or, weaker, with reduced isolation,
    or on E2B. Raises InputError for a wrong spec, ModelError or SandboxError where something
    cannot be opened. Without a store nothing is checkpointed.
    """
    async with (
        open_models(settings.models, settings.client) as models,
        open_runner(sandbox) as runner,
    ):
        yield build_graph(
            models,
            runner,
            person,
            checkpointer=store.saver if store else None,
        )
