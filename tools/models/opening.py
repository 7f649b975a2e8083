"""Opening the models that specs name, each once."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from opencodeinterpreter.tools.models.endpoint import Endpoint, api_key, open_endpoint
from opencodeinterpreter.tools.models.llama.model import open_local
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Model, Role
from opencodeinterpreter.tools.models.provider import check_provider, open_provider, provider_chat
from opencodeinterpreter.tools.models.scripted import load_scripted
from opencodeinterpreter.tools.models.spec import POSSIBLE_SPECS, Spec, check_spec, parse_spec
from opencodeinterpreter.tools.models.vllm.model import open_vllm
from opencodeinterpreter.tools.models.vllm.options import check_vllm
from opencodeinterpreter.tools.models.vllm.served import open_served


def check_models(specs: Mapping[Role, str], options: ModelOptions) -> None:
    """Raise InputError for a spec, file, extra or key that is missing or wrong; start nothing."""
    for text in specs.values():
        check_spec(text)
        spec = parse_spec(text)
        if spec.scheme == "openai":
            api_key(spec.url, options)
        elif spec.scheme == "provider":
            provider_chat(text, spec.provider, spec.name, options)


@asynccontextmanager
async def open_models(
    specs: Mapping[Role, str], options: ModelOptions | None = None
) -> AsyncIterator[Mapping[Role, Model]]:
    """Yield a model a role; roles of the same spec share one. All are closed at the end.

    Raises InputError for a spec, file, extra or key that is missing or wrong, before anything is
    started, and ModelError where a model cannot be fetched or started.
    """
    parsed = {text: parse_spec(text) for text in specs.values()}
    chosen = options or ModelOptions()
    keys = {
        text: api_key(spec.url, chosen) for text, spec in parsed.items() if spec.scheme == "openai"
    }
    async with AsyncExitStack() as stack:
        opened: dict[str, Model] = {}
        for text, spec in parsed.items():
            if text in keys:
                endpoint = Endpoint(spec.text, spec.name, spec.url, keys[text])
                opened[text] = await stack.enter_async_context(open_endpoint(endpoint, chosen))
            else:
                opened[text] = await _open_here(stack, spec, chosen)
        yield {role: opened[text] for role, text in specs.items()}


async def _open_here(stack: AsyncExitStack, spec: Spec, options: ModelOptions) -> Model:
    if spec.scheme == "local":
        return await stack.enter_async_context(open_local(spec.name, options))
    if spec.scheme in ("vllm", "vllm-serve"):
        await asyncio.to_thread(check_vllm, spec.text, spec.name)
        opening = open_vllm if spec.scheme == "vllm" else open_served
        return await stack.enter_async_context(opening(spec.text, spec.name, options))
    if spec.scheme == "provider":
        check_provider(spec.text, spec.provider, POSSIBLE_SPECS)
        return await open_provider(spec.text, spec.provider, spec.name, options)
    return await asyncio.to_thread(load_scripted, Path(spec.name), spec.text)
