"""An MCP server with one tool, with which coding agents solve a task.

Needs the extra `mcp`. Protocol: https://modelcontextprotocol.io; SDK: `mcp` 2.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from importlib.metadata import version

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool

from opencodeinterpreter.graph.solve import Solver, open_solver
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.tool import (
    DESCRIPTION,
    CodeResult,
    EntryPoint,
    TaskText,
    TestsText,
    code_task,
    result_of,
)
from opencodeinterpreter.nodes.node import log
from opencodeinterpreter.nodes.records import Turn
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import OpenCodeInterpreterError
from opencodeinterpreter.tools.sandbox.opening import SandboxName


async def serve(settings: Settings, store: Store, sandbox: SandboxName) -> None:
    """Serve until the client closes stdin or dies; each call is a run in `store`."""
    async with AsyncExitStack() as stack:
        solver = _Lazy(stack, lambda: open_solver(settings, store=store, sandbox=sandbox))
        server = MCPServer(
            "opencodeinterpreter",
            version=version("opencodeinterpreter"),
            tools=[_tool(solver, settings.limits.turns)],
            log_level="WARNING",
        )
        try:
            await server.run_stdio_async()
        except* BrokenPipeError:
            log.info("the client died; its calls are interrupted runs")


def _tool(solver: "_Lazy", turns: int) -> Tool:
    async def solve_code(
        context: Context,
        task: TaskText,
        tests: TestsText = None,
        entry_point: EntryPoint = None,
    ) -> CodeResult:
        progress = _Progress(context, turns)
        try:
            opened = await solver.open()
            solution = await opened.run(code_task(task, tests, entry_point), progress.node_done)
        except OpenCodeInterpreterError as error:
            raise ToolError(str(error)) from error
        await progress.sent()
        return result_of(solution)

    tool = Tool.from_function(solve_code, description=DESCRIPTION)

    # Without tests nearly every program counts as right, so a misspelt `tests` is refused.
    arguments = tool.fn_metadata.arg_model
    arguments.model_config["extra"] = "forbid"
    arguments.model_rebuild(force=True)
    tool.parameters = arguments.model_json_schema()
    return tool


class _Lazy:
    """Opens the solver at the first call, so that listing the tools need not wait for a model."""

    def __init__(
        self, stack: AsyncExitStack, opening: Callable[[], AbstractAsyncContextManager[Solver]]
    ) -> None:
        self._stack = stack
        self._opening = opening
        self._lock = asyncio.Lock()
        self._solver: Solver | None = None

    async def open(self) -> Solver:
        async with self._lock:
            if self._solver is None:
                self._solver = await self._stack.enter_async_context(self._opening())
        return self._solver


_PLACES = {"coder": 0.25, "executor": 0.5, "judge": 0.75, "critic": 1.0}
"""How much of a turn is done after a node. The protocol asks for a number that always grows."""


class _Progress:
    """Sends a client a progress message after each node."""

    def __init__(self, context: Context, turns: int) -> None:
        self._context = context
        self._turns = turns
        self._sending: list[asyncio.Task[None]] = []

    def node_done(self, node: str, turn: Turn) -> None:
        verdict = turn.verdict.reason if turn.verdict and node == "judge" else "done"
        report = self._context.report_progress(
            turn.number - 1 + _PLACES[node],
            self._turns,
            f"turn {turn.number}, {node}: {verdict}",
        )
        self._sending.append(asyncio.create_task(report))

    async def sent(self) -> None:
        await asyncio.gather(*self._sending)
