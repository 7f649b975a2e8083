"""`mcp`: the loop as a tool of coding agents, by the Model Context Protocol on stdio."""

import asyncio
from importlib.util import find_spec

from opencodeinterpreter.cli.options import SandboxOption, StoreOption
from opencodeinterpreter.cli.settings import SettingsOptions
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX, SandboxName


def mcp(
    store: StoreOption, settings: SettingsOptions, sandbox: SandboxOption = DEFAULT_SANDBOX
) -> None:
    """Serve the loop to coding agents as an MCP tool, on stdio."""
    if find_spec("mcp") is None:
        raise InputError("mcp needs the extra `mcp`: pip install 'opencodeinterpreter[mcp]'")
    chosen = settings.over(Settings())
    if chosen.critic == "human":
        raise InputError("an agent's tool cannot ask a person; name another --critic")
    asyncio.run(_serve(chosen, store, sandbox))


async def _serve(settings: Settings, url: str, sandbox: SandboxName) -> None:
    from opencodeinterpreter.graph.mcp_server import serve

    async with open_store(url) as store:
        await serve(settings, store, sandbox)
