"""The graph that `langgraph.json` names, for LangGraph Studio and any LangGraph server.

The server brings its own checkpointer. Models come from OPENCODEINTERPRETER_MODEL (a spec, by
default `local:smollm2`), the sandbox from OPENCODEINTERPRETER_SANDBOX (`full`, the default,
`reduced` or `e2b`). They are opened when a run first needs them, and stay open as long as the
server's process.
"""

import asyncio
import os
from contextlib import AsyncExitStack
from weakref import WeakKeyDictionary

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.models.protocol import Model, Request, Response
from opencodeinterpreter.tools.runner import Program, Runner, open_runner
from opencodeinterpreter.tools.sandbox.opening import SandboxName, named_sandbox


class _OneLoop:
    """A model and a runner that open on first use, once for all runs of one event loop."""

    def __init__(self, spec: str, sandbox: SandboxName) -> None:
        self.spec = spec
        self._sandbox = sandbox
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._model: Model | None = None
        self._runner: Runner | None = None

    async def complete(self, request: Request) -> Response:
        async with self._opening:
            if self._model is None:
                models = await self._stack.enter_async_context(open_models({"coder": self.spec}))
                self._model = models["coder"]
        return await self._model.complete(request)

    async def run(self, program: Program) -> Execution:
        async with self._opening:
            if self._runner is None:
                self._runner = await self._stack.enter_async_context(open_runner(self._sandbox))
        return await self._runner.run(program)


class _Opened:
    """The model and the runner of whichever event loop asks.

    A server with BG_JOB_ISOLATED_LOOPS runs its jobs on several loops, and connections and
    processes belong to the loop that opened them.
    """

    def __init__(self, spec: str, sandbox: SandboxName) -> None:
        self.spec = spec
        self._sandbox = sandbox
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _OneLoop] = WeakKeyDictionary()

    @property
    def _here(self) -> _OneLoop:
        loop = asyncio.get_running_loop()
        if loop not in self._loops:
            self._loops[loop] = _OneLoop(self.spec, self._sandbox)
        return self._loops[loop]

    async def complete(self, request: Request) -> Response:
        return await self._here.complete(request)

    async def run(self, program: Program) -> Execution:
        return await self._here.run(program)


_opened = _Opened(os.environ.get("OPENCODEINTERPRETER_MODEL", "local:smollm2"), named_sandbox())

graph = build_graph({"coder": _opened}, _opened)
"""The compiled loop, without a checkpointer."""
