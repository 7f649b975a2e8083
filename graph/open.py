"""Opening what settings name: models and a sandbox, shared by all runs of one event loop."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opencodeinterpreter.graph.build import Graph, build_graph
from opencodeinterpreter.graph.store import Store
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.grading.grader import MODULES
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.person import Person
from opencodeinterpreter.tools.runner import SandboxRunner
from opencodeinterpreter.tools.sandbox.local import open_local_sandbox


@asynccontextmanager
async def open_graph(
    settings: Settings, store: Store | None = None, person: Person | None = None
) -> AsyncIterator[Graph]:
    """Open the models that `settings` name and a local sandbox, yield the graph, close them.

    Raises InputError for a wrong spec, ModelError or SandboxError where something cannot be
    opened. Without a store nothing is checkpointed.
    """
    async with (
        open_models(settings.models, settings.client) as models,
        open_local_sandbox(modules=MODULES) as sandbox,
    ):
        yield build_graph(
            models,
            SandboxRunner(sandbox),
            person,
            checkpointer=store.saver if store else None,
        )
