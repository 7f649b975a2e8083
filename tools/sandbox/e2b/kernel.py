"""A kernel in an E2B sandbox: run cells, stop them in time, and recover the kernel after that."""

import asyncio
import json
from functools import cache
from pathlib import Path
from typing import Any

from opencodeinterpreter.tools.execution import Execution, Logs, Result, SandboxLimits
from opencodeinterpreter.tools.sandbox.e2b.calls import E2BTransientError, Handle, ask
from opencodeinterpreter.tools.sandbox.e2b.inside import kernel_setup
from opencodeinterpreter.tools.sandbox.e2b.output import Kept, error_told, result_told
from opencodeinterpreter.tools.sandbox.shared.listener import Listener

_PROBES = 3
_PROBE_SECONDS = 1.0
_DISCARD = 16 << 20
"""Bytes of output that are dropped before a cell is stopped."""
_RESULTS = 8 << 20
"""Maximum number of characters of all results of a cell."""
_DIED = ("ContextRestarting", "UnexpectedEndOfExecution", "WebSocketError", "ExecutionAborted")
"""Names of the server's errors for a kernel that ended; they have no traceback."""


class Kernel:
    """A kernel with its state. Its methods must not run concurrently."""

    def __init__(self, handle: Handle, context: Any, limits: SandboxLimits, seconds: float) -> None:
        self.busy = False
        """Whether an abandoned cell may still be running."""
        self.lost = False
        """Whether it lost its state; the caller resets this when it has noted it."""
        self._bare = True
        """Whether it just started and has no work folder and limits yet."""
        self._handle = handle
        self._context = context
        self._limits = limits
        self._seconds = seconds

    @classmethod
    async def start(cls, handle: Handle, limits: SandboxLimits, seconds: float) -> "Kernel":
        """Start a kernel with `limits`; `seconds` bound each call that runs no code."""
        # The server's default context cannot be restarted, so create another.
        context = await ask("make a context", handle.create_code_context(), seconds)
        return cls(handle, context, limits, seconds)

    def twin(self, handle: Handle) -> "Kernel":
        """Return this kernel as it is in a copy of its sandbox."""
        other = Kernel(handle, self._context, self._limits, self._seconds)
        other._bare = self._bare
        return other

    async def prepare(self, **job: Any) -> None:
        """Run `kernel_setup.prepare` with the fields of `job`; set up a kernel that just started.

        The kernel is restarted if earlier code broke it so that this fails.
        """
        if self._bare:
            limits = self._limits.model_dump(mode="json")
            job = {"limits": limits, "stdin": "", "reseed": True, **job}
        if not job:
            return
        setup = await asyncio.to_thread(_setup)
        code = f"{setup}\nprepare({json.dumps(job)!r})"
        hidden = f"exec(compile({code!r}, '<setup>', 'exec'), {{'__name__': 'setup'}})"
        self.busy = True
        told = await ask("prepare a context", self._run(hidden), self._seconds)
        self.busy = False
        if told.error is None:
            self._bare = False
        elif self._bare:
            raise E2BTransientError(
                f"E2B's kernel could not be prepared: {told.error.name}: {told.error.value}"
            )
        else:
            await self.restart()
            self.lost = True
            await self.prepare(**job)

    async def cell(self, code: str, limits: SandboxLimits, listener: Listener) -> Execution:
        """Run a cell until it ends or passes a limit.

        Raises E2BTransientError if the sandbox is lost, else SandboxError.
        """
        heard = _CellOutput(limits, listener)
        self.busy = True
        try:
            told = await ask("run a cell", self._run(code, heard), limits.wall_seconds)
        except E2BTransientError as failure:
            if not isinstance(failure.__cause__, TimeoutError | _TooMuchError):
                raise
            over = isinstance(failure.__cause__, _TooMuchError)
            await self.recover()
            stopped = heard.execution("limit" if over else "timeout")
            return stopped.model_copy(update={"reason": "output" if over else "wall"})
        self.busy = False
        if told.execution_count is None:
            raise E2BTransientError("E2B returned an empty answer to a cell")
        if told.error is None:
            return heard.execution("ok").model_copy(update={"exit_code": 0})
        return self._failed(heard, told.error)

    async def recover(self) -> None:
        """Make the kernel ready after a cell was abandoned, which interrupted it.

        A cell sent right after an interrupt may be lost, so an empty cell is sent first as a
        probe. A kernel that ignores the interrupt is restarted.
        """
        for _ in range(_PROBES):
            try:
                told = await ask("probe a context", self._run("None"), _PROBE_SECONDS)
            except E2BTransientError as failure:
                if not isinstance(failure.__cause__, TimeoutError):
                    raise
            else:
                self.busy = False
                if _died(told.error):
                    self.lost = self._bare = True
                return
        await self.restart()
        self.lost = True

    async def restart(self) -> None:
        """Clear the kernel's state."""
        call = self._handle.restart_code_context(self._context)
        await ask("restart a context", call, self._seconds)
        self._bare, self.busy = True, False

    async def _run(self, code: str, heard: "_CellOutput | None" = None) -> Any:
        return await self._handle.run_code(
            code,
            context=self._context,
            on_stdout=heard and heard.print,
            on_stderr=heard and heard.complain,
            on_result=heard and heard.show,
            # The SDK's own deadline fires late and discards the output.
            timeout=0,
        )

    def _failed(self, heard: "_CellOutput", told: Any) -> Execution:
        if _died(told):
            self.lost = self._bare = True
            return heard.execution("crashed")
        if told.name == "SystemExit":
            left = _exit_code(str(told.value))
            ending = heard.execution("exited" if left else "ok")
            return ending.model_copy(update={"exit_code": left})
        error = error_told(told.name, told.value, told.traceback)
        return heard.execution("error").model_copy(update={"error": error, "exit_code": 1})


def _died(told: Any) -> bool:
    """Return whether an error is the server's, not one that code raised under that name."""
    return told is not None and told.name in _DIED and not told.traceback


@cache
def _setup() -> str:
    return Path(kernel_setup.__file__).read_text(encoding="utf-8")


class _TooMuchError(Exception):
    """A cell printed more than is kept and dropped."""


class _CellOutput:
    """The output and results of a cell, bounded."""

    def __init__(self, limits: SandboxLimits, listener: Listener) -> None:
        self._stdout = Kept(limits.output_bytes, listener.tell)
        self._stderr = Kept(limits.output_bytes)
        self._results: list[Result] = []
        self._room = _RESULTS
        self._limits_hit: tuple[str, ...] = ()

    def print(self, message: Any) -> None:
        """Add a piece of stdout."""
        self._take(self._stdout, message.line)

    def complain(self, message: Any) -> None:
        """Add a piece of stderr."""
        self._take(self._stderr, message.line)

    def _take(self, kept: Kept, text: str) -> None:
        kept.take(text)
        if kept.dropped > _DISCARD:
            raise _TooMuchError

    def show(self, shown: Any) -> None:
        """Add a result."""
        taken = result_told(shown)
        self._room -= len(taken.model_dump_json())
        if self._room >= 0:
            self._results.append(taken)
        else:
            self._limits_hit = ("results",)

    def execution(self, status: Any) -> Execution:
        """Return the execution so far, with `status`."""
        logs = Logs(
            stdout=self._stdout.text(),
            stderr=self._stderr.text(),
            stdout_dropped=self._stdout.dropped,
            stderr_dropped=self._stderr.dropped,
        )
        return Execution(
            status=status,
            logs=logs,
            results=tuple(self._results),
            limits_hit=self._limits_hit,
        )


def _exit_code(value: str) -> int:
    """Return the exit status for the text of a SystemExit."""
    if value in ("", "None"):
        return 0
    return int(value) & 0xFF if value.lstrip("-").isdecimal() else 1
