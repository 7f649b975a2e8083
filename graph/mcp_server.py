"""An MCP server with one tool, with which coding agents solve a task.

Needs the extra `mcp`. Protocol: https://modelcontextprotocol.io; SDK: `mcp` 2.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from importlib.metadata import version

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

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
from opencodeinterpreter.nodes.records import Turn
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import OpenCodeInterpreterError
from opencodeinterpreter.tools.sandbox.opening import SandboxName


async def serve(settings: Settings, store: Store, sandbox: SandboxName) -> None:
    """Serve until stdin is closed; each call is a run in `store`."""
    async with AsyncExitStack() as stack:
        solver = _Lazy(stack, lambda: open_solver(settings, store=store, sandbox=sandbox))
        server = MCPServer(
            "opencodeinterpreter", version=version("opencodeinterpreter"), log_level="WARNING"
        )

        @server.tool(description=DESCRIPTION)
        async def solve_code(
            context: Context,
            task: TaskText,
            tests: TestsText = None,
            entry_point: EntryPoint = None,
        ) -> CodeResult:
            progress = _Progress(context, settings.limits.turns)
            try:
                opened = await solver.open()
                solution = await opened.run(code_task(task, tests, entry_point), progress.node_done)
            except OpenCodeInterpreterError as error:
                raise ToolError(str(error)) from error
            await progress.sent()
            return result_of(solution)

        await server.run_stdio_async()


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


class _Progress:
    """Sends a client a progress message after each node."""

    def __init__(self, context: Context, turns: int) -> None:
        self._context = context
        self._turns = turns
        self._sending: list[asyncio.Task[None]] = []

    def node_done(self, node: str, turn: Turn) -> None:
        verdict = turn.verdict.reason if turn.verdict and node == "judge" else "done"
        report = self._context.report_progress(
            turn.number, self._turns, f"turn {turn.number}, {node}: {verdict}"
        )
        self._sending.append(asyncio.create_task(report))

    async def sent(self) -> None:
        await asyncio.gather(*self._sending)
