"""The host's side of one run: feed it, watch it, stop it, and say how it ended."""

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress

from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.sandbox.client import Child, Ending, ZygoteClient
from opencodeinterpreter.tools.sandbox.frames import HEADER, pack
from opencodeinterpreter.tools.sandbox.protocol import (
    Execution,
    ExecutionError,
    Logs,
    SandboxLimits,
    Status,
)

_LOOK_SECONDS = 0.005
"""How often memory and processor time are read."""
_GRACE_SECONDS = 0.25
"""How long a run may go on after its answer."""
_DISCARD = 16 << 20
"""Bytes of output that are dropped before the run is stopped."""
_FRAME = 1 << 20
"""Most bytes of a run's answer."""
_STATUS_OF: dict[str, Status] = {"wall": "timeout", "cpu": "timeout"}


class Drain:
    """Reads a descriptor to its end without blocking; keeps the start and counts the rest."""

    def __init__(self, descriptor: int, keep: int, heard: Callable[["Drain"], None]) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._keep = keep
        self._heard = heard
        self.kept = bytearray()
        self.dropped = 0
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> bool:
        try:
            data = os.read(self._descriptor, 1 << 16)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self.stop()
            return False
        room = self._keep - len(self.kept)
        self.kept += data[:room]
        self.dropped += max(0, len(data) - room)
        self._heard(self)
        return True

    def finish(self) -> None:
        """Take what a dead process left in the pipe."""
        while self._read():
            pass

    def stop(self) -> None:
        """Read no more."""
        asyncio.get_running_loop().remove_reader(self._descriptor)

    def text(self) -> str:
        """What was kept, made printable."""
        return self.kept.decode("utf-8", "replace")


class Run:
    """One run in a zygote. The reason is recorded before the kill it explains."""

    def __init__(self, zygote: ZygoteClient, limits: SandboxLimits) -> None:
        self._zygote = zygote
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._open = ExitStack()
        self._child = Child(self._started)
        self._reason = ""
        self._pidfd: int | None = None
        self._next_look: asyncio.TimerHandle | None = None
        self._abandoned = False
        self._answered = False

    async def carry_out(self, code: str, files: Mapping[str, str], stdin: str) -> Execution:
        """Run `code`; raises SandboxError, or ZygoteDiedError when the zygote went away."""
        began = self._loop.time()
        try:
            ours = self._fork(stdin)
            request = pack({"code": code, "files": dict(files)})
            feeding = asyncio.create_task(self._feed(ours, request))
            timer = self._loop.call_later(self._limits.wall_seconds, self._stop_for, "wall")
            self._open.callback(timer.cancel)
            self._open.callback(feeding.cancel)
            # Not cancelled with us: the child must still be known as alive, to be killed.
            ending = await asyncio.shield(self._child.ended)
            for drain in (self._stdout, self._stderr, self._answer):
                drain.finish()
            return self._judge(ending, self._loop.time() - began)
        finally:
            self._abandoned = True
            self._kill()
            if self._next_look:
                self._next_look.cancel()
            self._open.close()

    def _fork(self, stdin: str) -> socket.socket:
        """Ask the zygote for a child; return our end of its channel."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._open.enter_context(ours)
        ours.setblocking(False)
        with ExitStack() as children_ends:
            children_ends.enter_context(theirs)
            given = _memory_file(stdin)
            children_ends.callback(os.close, given)
            self._stdout, out = self._pipe(children_ends)
            self._stderr, err = self._pipe(children_ends)
            self._answer = Drain(ours.fileno(), _FRAME + 2 * HEADER, self._hear_answer)
            self._open.callback(self._answer.stop)
            self._zygote.fork(self._limits, (given, out, err, theirs.fileno()), self._child)
        return ours

    def _pipe(self, children_ends: ExitStack) -> tuple[Drain, int]:
        ours, theirs = os.pipe()
        self._open.callback(os.close, ours)
        children_ends.callback(os.close, theirs)
        drain = Drain(ours, self._limits.output_bytes, self._hear_output)
        self._open.callback(drain.stop)
        return drain, theirs

    async def _feed(self, channel: socket.socket, request: bytes) -> None:
        # A run that dies early reads nothing; its ending says why.
        with suppress(OSError):
            await self._loop.sock_sendall(channel, request)

    def _started(self, pidfd: int) -> None:
        self._pidfd = pidfd
        if self._abandoned:
            self._kill()
            os.close(pidfd)
            return
        self._open.callback(os.close, pidfd)
        if self._reason:
            self._kill()
        with suppress(OSError, StopIteration):
            pid = _pid_of(pidfd)
            # Held open, this file can't come to mean another process.
            statm = _open_proc(f"{pid}/statm")
            self._open.callback(os.close, statm)
            self._look_later(pid, statm)

    def _look_later(self, pid: int, statm: int) -> None:
        self._next_look = self._loop.call_later(_LOOK_SECONDS, self._look, pid, statm)

    def _look(self, pid: int, statm: int) -> None:
        """Read what the run used so far, and stop it when that is too much."""
        if self._abandoned or self._child.ended.done():
            return
        try:
            resident = int(os.pread(statm, 128, 0).split()[1]) * os.sysconf("SC_PAGESIZE")
            cpu = time.clock_gettime((~pid << 3) | 2)
        except (OSError, IndexError):
            return
        if resident - self._zygote.facts.resident > self._limits.memory_mb << 20:
            self._stop_for("memory")
        elif cpu > self._limits.cpu_seconds:
            self._stop_for("cpu")
        else:
            self._look_later(pid, statm)

    def _hear_output(self, drain: Drain) -> None:
        if drain.dropped > _DISCARD:
            self._stop_for("output")

    def _hear_answer(self, drain: Drain) -> None:
        if drain.dropped:
            self._stop_for("frame")
        elif not self._answered and len(_frames(bytes(drain.kept))) > 1:
            self._answered = True
            timer = self._loop.call_later(_GRACE_SECONDS, self._kill)
            self._open.callback(timer.cancel)

    def _stop_for(self, reason: str) -> None:
        if not self._reason and not self._answered and not self._child.ended.done():
            self._reason = reason
            self._kill()

    def _kill(self) -> None:
        if self._pidfd is not None and not self._child.ended.done():
            with suppress(OSError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _judge(self, ending: Ending, seconds: float) -> Execution:
        answers = _frames(bytes(self._answer.kept))
        if self._child.failure or not answers or "ready" not in answers[0]:
            if not self._reason:
                cause = self._child.failure or str((answers or [{}])[0].get("failed", ending))
                raise SandboxError(f"the sandbox could not set a run up: {cause}")
            answers = [{}]
        logs = Logs(
            stdout=self._stdout.text(),
            stderr=self._stderr.text(),
            stdout_dropped=self._stdout.dropped,
            stderr_dropped=self._stderr.dropped,
        )
        base = Execution(status="ok", logs=logs, tier="full", seconds=seconds)
        answer = answers[1] if len(answers) > 1 else None
        return base.model_copy(update=self._ending(ending, answer))

    def _ending(self, ending: Ending, answer: dict[str, object] | None) -> dict[str, object]:
        if self._reason:
            return {"status": _STATUS_OF.get(self._reason, "limit"), "reason": self._reason}
        if answer is not None and "ok" in answer:
            return {"status": "ok", "exit_code": 0}
        if answer is not None and isinstance(left := answer.get("exit"), int):
            code = left & 0xFF
            return {"status": "ok" if code == 0 else "exited", "exit_code": code}
        if answer is not None and isinstance(told := answer.get("error"), dict):
            fields = {name: _clean(told.get(name)) for name in ("name", "value", "traceback")}
            return {"status": "error", "error": ExecutionError(**fields), "exit_code": 1}
        if ending.code == -signal.SIGKILL and ending.cpu_seconds > self._limits.cpu_seconds - 0.05:
            return {"status": "timeout", "reason": "cpu"}
        if ending.code < 0:
            return {"status": "crashed", "reason": _signal_name(-ending.code)}
        return {"status": "exited", "exit_code": ending.code}


def _memory_file(text: str) -> int:
    """Return a descriptor of a file in memory that holds `text` and can't be changed."""
    import fcntl  # not on Windows

    descriptor = os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    rest = memoryview(text.encode("utf-8", "surrogatepass"))
    os.set_blocking(descriptor, False)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    # Else a run could keep memory there that no limit counts.
    seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


def _open_proc(path: str) -> int:
    return os.open(f"/proc/{path}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def _pid_of(pidfd: int) -> int:
    """Return the process id behind `pidfd`; raises StopIteration or OSError if it is gone."""
    descriptor = _open_proc(f"self/fdinfo/{pidfd}")
    try:
        lines = os.pread(descriptor, 4096, 0).decode().splitlines()
    finally:
        os.close(descriptor)
    return next(int(line[4:]) for line in lines if line.startswith("Pid:\t") and line[5:] > "0")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _frames(data: bytes) -> list[dict[str, object]]:
    """Return the complete frames in `data`; a broken one ends the list with an empty answer."""
    found: list[dict[str, object]] = []
    while len(data) >= HEADER:
        end = HEADER + int.from_bytes(data[:HEADER], "big")
        if len(data) < end:
            break
        try:
            message = json.loads(data[HEADER:end])
        except (ValueError, RecursionError):
            message = {}
        found.append(message if isinstance(message, dict) else {})
        data = data[end:]
    return found


def _clean(value: object) -> str:
    """Return a claimed text without lone surrogates, empty if it is no text."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
