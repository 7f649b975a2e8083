"""One run of code in a child process: send it, watch it, stop it, and report how it ended."""

import asyncio
import signal
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.execution import Artifact, Execution, Logs, SandboxLimits, Status
from opencodeinterpreter.tools.sandbox.local.child import CELL_FRAME, PROGRAM_FRAME, Child
from opencodeinterpreter.tools.sandbox.local.drain import Drain
from opencodeinterpreter.tools.sandbox.local.limit_watch import LimitWatch
from opencodeinterpreter.tools.sandbox.local.work_folder import WorkFolder
from opencodeinterpreter.tools.sandbox.shared import claims
from opencodeinterpreter.tools.sandbox.shared.collecting import Collecting
from opencodeinterpreter.tools.sandbox.shared.listener import Listener
from opencodeinterpreter.tools.sandbox.shared.signals import signal_name

_SET_UP_SECONDS = 60.0
_GRACE_SECONDS = 0.25
"""Time for a program to exit after an unreadable answer, and for a cell to obey an interrupt."""
_INTERRUPTS = 4
_DISCARD = 16 << 20
"""Bytes of output that are dropped before the run is stopped."""
_STATUS_OF: dict[str, Status] = {"wall": "timeout", "cpu": "timeout"}
_ALWAYS_KILLED = ("memory", "frame", "disk", "processes")
"""Limits that end even a cell's process: an interrupt would come too late."""


class _ChildRun(ABC):
    """What a program's run and a cell's run share.

    The reason for stopping a run is recorded before the child is signalled.
    """

    _most_bytes: ClassVar[int]
    """Maximum size of the answer."""

    def __init__(self, child: Child, limits: SandboxLimits) -> None:
        self._child = child
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._reason = ""
        self._claim: dict[str, Any] | None = None
        self._began = 0.0
        self._timers: list[asyncio.TimerHandle] = []
        self._watch = LimitWatch(child, limits, self._stop_for)

    async def carry_out(
        self, frame: bytes, collecting: Collecting | None = None, listener: Listener | None = None
    ) -> Execution:
        """Send `frame` and wait for the answer, or for the child's end.

        Raises SandboxError or ZygoteDiedError. A cancelled run leaves the child as it is; the
        caller closes or settles it.
        """
        child = self._child
        if child.placed and not child.placed.done():
            await asyncio.wait([child.placed], timeout=_SET_UP_SECONDS)
        self._began = self._loop.time()
        child.expect(self._hear_answer, self._most_bytes)
        child.ended.add_done_callback(self._finish)
        for drain in (child.stdout, child.stderr):
            drain.begin(self._limits.output_bytes, self._hear_output)
        if listener:
            child.stdout.tell = listener.tell
        # The child reads the request once it is sealed; sending it earlier saves time.
        feeding = child.send(frame)
        if child.ready.done():
            self._begin()
        else:
            child.ready.add_done_callback(self._begin)
            self._after(_SET_UP_SECONDS, self._give_up)
        try:
            await self._over
            seconds = self._loop.time() - self._began
            child.finish()
            self._watch.look_at_disk()
            execution = self._execution(seconds)
            if collecting and child.folder:
                found = await self._collect(child.folder, collecting)
                execution = execution.model_copy(update={"artifacts": found})
            return execution
        finally:
            if feeding:
                feeding.cancel()
            self._let_go()

    @abstractmethod
    def _stop(self, reason: str) -> None:
        """Stop the code because it passed the limit `reason`."""

    @abstractmethod
    def _read(self, answer: dict[str, Any]) -> dict[str, object] | None:
        """Return the fields of the execution that `answer` claims; `None` if it is unreadable."""

    @abstractmethod
    def _hear_unreadable_answer(self) -> None:
        """React to an answer that does not say how the code ended."""

    async def _collect(self, folder: WorkFolder, collecting: Collecting) -> tuple[Artifact, ...]:
        return await asyncio.to_thread(folder.collect, collecting)

    def _begin(self, _: object = None) -> None:
        """Start the clock and the watch: untrusted code may run from now on."""
        self._began = self._loop.time()
        self._after(self._limits.wall_seconds, self._stop_for, "wall")
        self._watch.begin()

    def _give_up(self) -> None:
        if not self._child.ready.done():
            self._finish()

    def _let_go(self) -> None:
        self._watch.stop()
        for drain in (self._child.stdout, self._child.stderr):
            drain.idle()
        for timer in self._timers:
            timer.cancel()
        self._child.on_answer = None
        self._child.ended.remove_done_callback(self._finish)
        self._child.ready.remove_done_callback(self._begin)

    def _after(self, seconds: float, action: Any, *arguments: object) -> None:
        self._timers.append(self._loop.call_later(seconds, action, *arguments))

    def _finish(self, _: object = None) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def _hear_output(self, drain: Drain) -> None:
        if drain.dropped > _DISCARD:
            self._stop_for("output")

    def _hear_answer(self) -> None:
        if not self._child.answers:
            # More bytes came than a frame may hold.
            self._stop_for("frame")
            return
        self._claim = self._read(self._child.answers[0])
        if self._claim is not None:
            self._finish()
        else:
            self._hear_unreadable_answer()

    def _stop_for(self, reason: str) -> None:
        if not self._child.ended.done() and not self._child.answers:
            self._stop(reason)

    def _kill_for(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._child.kill()

    def _execution(self, seconds: float) -> Execution:
        child = self._child
        if not child.sealed or not (child.ready.done() or child.answers):
            raise SandboxError(f"the sandbox could not set up a run: {self._obstacle()}")
        logs = Logs(
            stdout=child.stdout.text(),
            stderr=child.stderr.text(),
            stdout_dropped=child.stdout.dropped,
            stderr_dropped=child.stderr.dropped,
        )
        build = child.zygote.build
        return Execution(
            logs=logs,
            limits_hit=tuple(sorted(self._watch.hit)),
            tier=build.named,
            profile=build.profile,
            seconds=seconds,
            **self._ending(),
        )

    def _obstacle(self) -> str:
        if self._child.failure:
            return self._child.failure
        if self._child.ended.done():
            # Raises ZygoteDiedError if the zygote is gone.
            return f"its process ended with exit code {self._child.ended.result().code}"
        return f"it took more than {_SET_UP_SECONDS:g} s: is the machine overloaded?"

    def _ending(self) -> dict[str, Any]:
        """Return the fields of the execution that say how it ended."""
        if self._reason:
            return {"status": _STATUS_OF.get(self._reason, "limit"), "reason": self._reason}
        if self._claim is not None:
            return self._claim
        if not self._child.ended.done():
            # A cell gave an unreadable answer and its process lives on.
            return {"status": "exited"}
        ending = self._child.ended.result()
        killed = ending.code == -signal.SIGKILL
        if killed and ending.cpu_seconds > self._limits.cpu_seconds - 0.05:
            return {"status": "timeout", "reason": "cpu"}
        if killed and self._child.ran_out_of_memory():
            return {"status": "limit", "reason": "memory"}
        if ending.code < 0:
            # See `inside.aborting`.
            aborted = ending.code == -signal.SIGTRAP
            reason = "SIGABRT" if aborted else signal_name(-ending.code)
            return {"status": "crashed", "reason": reason}
        return {"status": "exited", "exit_code": ending.code}


class ProgramRun(_ChildRun):
    """The run of a program in a child of its own; a limit kills the child.

    The answer ends the run: the program's threads, exit handlers and output come before it.
    """

    _most_bytes = PROGRAM_FRAME

    def _read(self, answer: dict[str, Any]) -> dict[str, object] | None:
        return claims.ending(answer)

    def _stop(self, reason: str) -> None:
        self._kill_for(reason)

    def _hear_unreadable_answer(self) -> None:
        # Wait a little: the exit status says more.
        self._after(_GRACE_SECONDS, self._child.kill)

    async def _collect(self, folder: WorkFolder, collecting: Collecting) -> tuple[Artifact, ...]:
        # No process may write the files while they are read. `kill` works once `ready` is done.
        await asyncio.wait([self._child.ready])
        self._child.kill()
        await asyncio.wait([self._child.ended])
        return await super()._collect(folder, collecting)


class CellRun(_ChildRun):
    """The run of one cell in its context's child.

    A limit interrupts the cell first. The child is killed if that does not help, or if the limit
    is one of memory, answer, disk or processes.
    """

    _most_bytes = CELL_FRAME

    def _read(self, answer: dict[str, Any]) -> dict[str, object] | None:
        return claims.cell_ending(answer)

    async def settle(self) -> None:
        """Interrupt a cell whose caller was cancelled; kill its child if that does not help."""
        if self._child.ended.done():
            return
        # The first future was cancelled with its caller.
        self._over = self._loop.create_future()
        if self._child.answers:
            self._finish()
        self._child.on_answer = self._hear_answer
        self._child.ended.add_done_callback(self._finish)
        self._interrupt(_INTERRUPTS)
        try:
            await self._over
            self._child.finish()
            self._child.answers.clear()
        finally:
            self._let_go()

    def _stop(self, reason: str) -> None:
        if reason in _ALWAYS_KILLED:
            self._kill_for(reason)
        elif not self._reason:
            self._reason = reason
            self._interrupt(_INTERRUPTS)

    def _hear_unreadable_answer(self) -> None:
        self._finish()

    def _interrupt(self, times: int) -> None:
        """Interrupt up to `times` times, then kill."""
        if self._over.done():
            return
        if times == 0:
            self._child.kill()
            return
        self._child.interrupt()
        self._after(_GRACE_SECONDS, self._interrupt, times - 1)
