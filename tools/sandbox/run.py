"""One run of code in a child: feed it, watch it, stop it, and say how it ended."""

import asyncio
import base64
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.sandbox import claims
from opencodeinterpreter.tools.sandbox.child import Child
from opencodeinterpreter.tools.sandbox.client import Ending
from opencodeinterpreter.tools.sandbox.drain import Drain
from opencodeinterpreter.tools.sandbox.frames import pack
from opencodeinterpreter.tools.sandbox.listening import Listener
from opencodeinterpreter.tools.sandbox.protocol import Execution, Logs, SandboxLimits, Status
from opencodeinterpreter.tools.sandbox.watch import Watch

_SET_UP_SECONDS = 60.0
_GRACE_SECONDS = 0.25
"""How long a program may go on after its answer, and a cell after each interrupt."""
_INTERRUPTS = 4
_DISCARD = 16 << 20
"""Bytes of output that are dropped before the run is stopped."""
_STATUS_OF: dict[str, Status] = {"wall": "timeout", "cpu": "timeout"}

Files = Mapping[str, str | bytes]


def request(
    code: str | None,
    files: Files,
    *,
    stdin: str = "",
    cell: int | None = None,
    seed: int | None,
    cpu_seconds: float,
) -> bytes:
    """Return the frame that asks a child to run `code`; see `cell`."""
    told = {
        name: content if isinstance(content, str) else [base64.b64encode(content).decode()]
        for name, content in files.items()
    }
    asked = {"code": code, "files": told, "stdin": stdin, "cell": cell, "seed": seed}
    return pack({**asked, "cpu_seconds": cpu_seconds})


class Run:
    """One program, or one cell of a context. The reason is recorded before the kill it explains.

    A program's child is killed when a limit ends it. A cell is interrupted first, and killed
    when that does not help, or when it is memory that it took too much of.
    """

    def __init__(self, child: Child, limits: SandboxLimits, *, cell: bool) -> None:
        self._child = child
        self._limits = limits
        self._cell = cell
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._reason = ""
        self._answered = False
        self._timers: list[asyncio.TimerHandle] = []
        self._watch = Watch(child, limits, self._stop_for)

    async def carry_out(
        self, frame: bytes, collect: Sequence[str] = (), listener: Listener | None = None
    ) -> Execution:
        """Send `frame` and wait for its end; raises SandboxError, or ZygoteDiedError.

        Cancelled, it leaves the child as it is: to be closed, or settled.
        """
        child = self._child
        child.on_answer = self._hear_answer
        child.ended.add_done_callback(self._finish)
        for drain in (child.stdout, child.stderr):
            drain.begin(self._limits.output_bytes, self._hear_output)
        if listener:
            child.stdout.tell = listener.hear
        feeding = None
        try:
            # Not before it can be watched, and its folder be read.
            await self._set_up()
            began = self._loop.time()
            feeding = child.send(frame)
            self._after(self._limits.wall_seconds, self._stop_for, "wall")
            self._watch.begin()
            await self._over
            child.finish()
            self._watch.look_at_disk()
            execution = self._judge(self._loop.time() - began)
            if collect and child.folder:
                found = await asyncio.to_thread(child.folder.collect, tuple(collect))
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

    async def _set_up(self) -> None:
        child = self._child
        try:
            if not child.ready.done():
                async with asyncio.timeout(_SET_UP_SECONDS):
                    await asyncio.shield(child.ready)
        except TimeoutError:
            raise SandboxError(
                f"the sandbox could not set a run up in {_SET_UP_SECONDS:g} s: "
                "is the machine overloaded?"
            ) from None
        if child.failure or not child.sealed:
            # A zygote that went away raises here.
            cause = child.failure or await child.ended
            raise SandboxError(f"the sandbox could not set a run up: {cause}")

    def _let_go(self) -> None:
        self._watch.stop()
        self._child.stdout.tell = None
        for timer in self._timers:
            timer.cancel()
        self._child.on_answer = None
        self._child.ended.remove_done_callback(self._finish)

    def _after(self, seconds: float, action: Any, *arguments: object) -> None:
        self._timers.append(self._loop.call_later(seconds, action, *arguments))

    def _finish(self, _: object = None) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def _hear_output(self, drain: Drain) -> None:
        if drain.dropped > _DISCARD:
            self._stop_for("output")

    def _hear_answer(self) -> None:
        if self._child.overrun:
            self._stop_for("frame")
        elif self._cell:
            self._finish()
        elif not self._answered:
            self._answered = True
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
        answer = child.answers.popleft() if child.answers else None
        ending = child.ended.result() if child.ended.done() else None
        child.answers.clear()
        logs = Logs(
            stdout=child.stdout.text(),
            stderr=child.stderr.text(),
            stdout_dropped=child.stdout.dropped,
            stderr_dropped=child.stderr.dropped,
        )
        build = child.zygote.build
        base = Execution(
            status="ok",
            logs=logs,
            limits_hit=tuple(sorted(self._watch.hit)),
            tier=build.named,
            profile=build.profile,
            seconds=seconds,
        )
        return base.model_copy(update=self._ending(answer, ending))

    def _ending(self, answer: dict[str, Any] | None, ending: Ending | None) -> dict[str, object]:
        if self._reason:
            return {"status": _STATUS_OF.get(self._reason, "limit"), "reason": self._reason}
        told = claims.ending(answer) if answer is not None else None
        if told is not None:
            return told
        if ending is None:
            # A cell that lived on after an answer that says nothing.
            return {"status": "exited"}
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
