"""Opening models by spec, each spec once."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from opencodeinterpreter.tools.models.backends import BACKENDS, check_spec
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Model, Role
from opencodeinterpreter.tools.models.spec import Spec


def check_models(specs: Iterable[str], options: ModelOptions) -> list[Spec]:
    """Return the distinct specs, parsed; starts nothing.

    Raises InputError if a spec is invalid, or if its file, extra or key is missing.
    """
    checked = [check_spec(text) for text in dict.fromkeys(specs)]
    for spec in checked:
        BACKENDS[spec.scheme].check_client(spec, options)
    return checked


@asynccontextmanager
async def open_models(
    specs: Mapping[Role, str], options: ModelOptions | None = None
) -> AsyncIterator[Mapping[Role, Model]]:
    """Yield one model per role; roles with the same spec share one. Closes them at the end.

    Raises InputError if a spec is invalid, or if its file, extra or key is missing, before
    anything is started. Raises ModelError if a model cannot be fetched or started.
    """
    options = options or ModelOptions()
    checked = await asyncio.to_thread(check_models, specs.values(), options)
    async with AsyncExitStack() as stack:
        opened: dict[str, Model] = {}
        for spec in checked:
            model = BACKENDS[spec.scheme].open(spec, options)
            opened[spec.text] = await stack.enter_async_context(model)
        yield {role: opened[text.strip()] for role, text in specs.items()}
