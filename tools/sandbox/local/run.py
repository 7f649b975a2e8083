"""One run of code in a child: feed it, watch it, stop it, and say how it ended."""

import asyncio
import signal
from collections.abc import Sequence
from typing import Any

from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.execution import Artifact, Execution, Logs, SandboxLimits, Status
from opencodeinterpreter.tools.sandbox.local.child import Child
from opencodeinterpreter.tools.sandbox.local.drain import Drain
from opencodeinterpreter.tools.sandbox.local.watch import Watch
from opencodeinterpreter.tools.sandbox.local.work_folder import Folder
from opencodeinterpreter.tools.sandbox.shared import claims
from opencodeinterpreter.tools.sandbox.shared.listener import Listener

_SET_UP_SECONDS = 60.0
_GRACE_SECONDS = 0.25
"""How long a program has to end after an answer that says nothing; a cell, when interrupted."""
_INTERRUPTS = 4
_DISCARD = 16 << 20
"""Bytes of output that are dropped before the run is stopped."""
_STATUS_OF: dict[str, Status] = {"wall": "timeout", "cpu": "timeout"}


class Run:
    """One program, or one cell of a context. The reason is recorded before the kill it explains.

    A program is over with its answer: all that its end brings about (threads, exit handlers,
    output) came before. Its child is killed when a limit ends it. A cell is interrupted first,
    and killed when that does not help, or when it is memory that it took too much of.
    """

    def __init__(self, child: Child, limits: SandboxLimits, *, cell: bool) -> None:
        self._child = child
        self._limits = limits
        self._cell = cell
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._reason = ""
        self._told: dict[str, Any] | None = None
        self._began = 0.0
        self._timers: list[asyncio.TimerHandle] = []
        self._watch = Watch(child, limits, self._stop_for)

    async def carry_out(
        self, frame: bytes, collect: Sequence[str] = (), listener: Listener | None = None
    ) -> Execution:
        """Send `frame` and wait for its answer or end; raises SandboxError, or ZygoteDiedError.

        Cancelled, it leaves the child as it is: to be closed, or settled.
        """
        child = self._child
        self._began = self._loop.time()
        child.expect(self._hear_answer)
        child.ended.add_done_callback(self._finish)
        for drain in (child.stdout, child.stderr):
            drain.begin(self._limits.output_bytes, self._hear_output)
        if listener:
            child.stdout.tell = listener.hear
        # A child reads it once it is sealed, so it can have it before.
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
            execution = self._judge(seconds)
            if collect and child.folder:
                found = await self._collect(child.folder, collect)
                execution = execution.model_copy(update={"artifacts": found})
            return execution
        finally:
            if feeding:
                feeding.cancel()
            self._let_go()

    async def settle(self) -> None:
        """Interrupt a cell that nobody waits for any more, and kill it if that does not help."""
        if self._child.ended.done():
            return
        # The wait for the first one was cancelled, and it with that.
        self._over = self._loop.create_future()
        if self._child.answers:
            self._finish()
        self._child.on_answer = self._hear_answer
        self._child.ended.add_done_callback(self._finish)
        self._press(_INTERRUPTS)
        try:
            await self._over
            self._child.finish()
            self._child.answers.clear()
        finally:
            self._let_go()

    def _begin(self, _: object = None) -> None:
        """Watch from the moment that code may run."""
        self._began = self._loop.time()
        self._after(self._limits.wall_seconds, self._stop_for, "wall")
        self._watch.begin()

    def _give_up(self) -> None:
        if not self._child.ready.done():
            self._finish()

    async def _collect(self, folder: Folder, patterns: Sequence[str]) -> tuple[Artifact, ...]:
        if not self._cell:
            # Nothing shall write the files that are read; it can be killed once it is known.
            await asyncio.wait([self._child.ready])
            self._child.kill()
            await asyncio.wait([self._child.ended])
        return await asyncio.to_thread(folder.collect, tuple(patterns))

    def _let_go(self) -> None:
        self._watch.stop()
        self._child.stdout.tell = None
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
            # More came than a frame may hold.
            self._stop_for("frame")
            return
        self._told = claims.ending(self._child.answers[0])
        if self._told is not None or self._cell:
            self._finish()
        else:
            # How it ends says more.
            self._after(_GRACE_SECONDS, self._child.kill)

    def _stop_for(self, reason: str) -> None:
        if self._child.ended.done() or self._child.answers:
            return
        if reason in ("memory", "frame", "disk", "processes") or not self._cell:
            self._reason = self._reason or reason
            self._child.kill()
        elif not self._reason:
            self._reason = reason
            self._press(_INTERRUPTS)

    def _press(self, times: int) -> None:
        if self._over.done():
            return
        if times == 0:
            self._child.kill()
            return
        self._child.interrupt()
        self._after(_GRACE_SECONDS, self._press, times - 1)

    def _judge(self, seconds: float) -> Execution:
        child = self._child
        if not child.sealed or not (child.ready.done() or child.answers):
            raise SandboxError(f"the sandbox could not set a run up: {self._obstacle()}")
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
            # A zygote that went away raises here.
            return f"its process ended with {self._child.ended.result().code}"
        return f"it took more than {_SET_UP_SECONDS:g} s: is the machine overloaded?"

    def _ending(self) -> dict[str, Any]:
        """Return the fields that say how it ended."""
        if self._reason:
            return {"status": _STATUS_OF.get(self._reason, "limit"), "reason": self._reason}
        if self._told is not None:
            return self._told
        if not self._child.ended.done():
            # A cell that lived on after an answer that says nothing.
            return {"status": "exited"}
        ending = self._child.ended.result()
        killed = ending.code == -signal.SIGKILL
        if killed and ending.cpu_seconds > self._limits.cpu_seconds - 0.05:
            return {"status": "timeout", "reason": "cpu"}
        if ending.code < 0:
            return {"status": "crashed", "reason": _signal_name(-ending.code)}
        return {"status": "exited", "exit_code": ending.code}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
