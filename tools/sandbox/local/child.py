"""The host's side of one child process: its pipes, its channel and its signals."""

import asyncio
import os
import signal
import socket
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.sandbox.local.cgroups import Cgroups, GroupMeter, RunCgroup
from opencodeinterpreter.tools.sandbox.local.drain import Drain, FrameReader
from opencodeinterpreter.tools.sandbox.local.meter import Meter, TreeMeter, pid_of
from opencodeinterpreter.tools.sandbox.local.work_folder import WorkFolder
from opencodeinterpreter.tools.sandbox.local.zygote_client import (
    ChildExit,
    PendingChild,
    ZygoteClient,
)

PROGRAM_FRAME = 1 << 18
CELL_FRAME = 6 << 20
"""Maximum size of the answer of a program and of a cell, which has results, in bytes."""
_CHUNK = 1 << 16
_STALE = 1 << 20
"""Maximum number of bytes that are dropped before a request, in the channel and in each pipe."""


class Child:
    """A process forked for one run or one context, which seals itself and then takes requests.

    The creator must `close` it, which also kills the process. Creating it raises ZygoteDiedError
    if the zygote is gone.
    """

    def __init__(self, zygote: ZygoteClient, limits: SandboxLimits) -> None:
        self.zygote = zygote
        self.limits = limits
        """The limits that it was forked with."""
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        """Done when it is sealed and can be watched, or when it ended before that."""
        self.failure = ""
        """Why it could not be set up; empty if it could."""
        self.placed: asyncio.Future[None] | None = None
        """Done when it is in its cgroup; `None` if it needs none. No request goes out before."""
        self._cgroups: Cgroups | None = None
        self._cgroup: RunCgroup | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()
        """Done when its owner closed it."""
        self.answers: deque[dict[str, Any]] = deque()
        self.on_answer: Callable[[], None] | None = None
        self.meter: Meter | None = None
        self.folder: WorkFolder | None = None
        """Its work folder; `None` until it is sealed."""
        self.room: WorkFolder | None = None
        """All of the host's disk that it may write to; `None` if it has its own mounts."""
        self._open = ExitStack()
        self._pidfd: int | None = None
        self._said_ready = False
        self._frames = FrameReader(PROGRAM_FRAME)
        self._pending = PendingChild(self._started)
        self._pending.ended.add_done_callback(self._ended)
        try:
            self._fork()
        except BaseException:
            self.close()
            raise

    @property
    def ended(self) -> asyncio.Future[ChildExit]:
        """How it ended, as the zygote reports; ZygoteDiedError if the zygote died."""
        return self._pending.ended

    @property
    def overrun(self) -> bool:
        """Whether its answer was longer than a frame may be."""
        return self._frames.overrun

    def _fork(self) -> None:
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._open.enter_context(self.channel)
        self.channel.setblocking(False)
        # asyncio formats a socket object for every look-up; a number is cheap.
        self._line = self.channel.fileno()
        with ExitStack() as children_ends:
            children_ends.enter_context(theirs)
            self._stdin = os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            self._open.callback(os.close, self._stdin)
            out, their_out = self._pipe(children_ends)
            err, their_err = self._pipe(children_ends)
            given = (self._stdin, their_out, their_err, theirs.fileno())
            self.zygote.fork(self.limits, given, self._pending)
        # The zygote forks meanwhile, so what follows does not delay the run.
        self.stdout, self.stderr = self._drain(out), self._drain(err)
        self._listen()
        self._open.callback(self._listen_no_more)

    def _pipe(self, children_ends: ExitStack) -> tuple[int, int]:
        ours, theirs = os.pipe()
        self._open.callback(os.close, ours)
        children_ends.callback(os.close, theirs)
        return ours, theirs

    def _drain(self, descriptor: int) -> Drain:
        drain = Drain(descriptor)
        self._open.callback(drain.stop)
        return drain

    def give_stdin(self, text: str) -> None:
        """Set what the process reads from descriptor 0. Can be called once."""
        import fcntl  # not on Windows

        rest = memoryview(text.encode("utf-8", "surrogatepass"))
        os.set_blocking(self._stdin, False)
        at = 0
        while at < len(rest):
            at += os.pwrite(self._stdin, rest[at:], at)
        # Sealed, so that a run cannot store data there, which no limit would count.
        seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        fcntl.fcntl(self._stdin, fcntl.F_ADD_SEALS, seals)

    def send(self, frame: bytes) -> asyncio.Task[None] | None:
        """Send a request; return the task that sends the rest of a long one, or `None`.

        The caller cancels the task when the run ends. It is not an error if the process stopped
        reading.
        """
        try:
            sent = self.channel.send(frame)
        except BlockingIOError:
            sent = 0
        except OSError:
            return None
        if sent == len(frame):
            return None
        return asyncio.create_task(self._send_all(frame[sent:]))

    async def _send_all(self, rest: bytes) -> None:
        with suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(self.channel, rest)

    def expect(self, heard: Callable[[], None], most: int) -> None:
        """Call `heard` at the next answer, of `most` bytes.

        What came unrequested is dropped. Nothing is read from the answer on until the next call,
        so that untrusted code cannot occupy the host between requests.
        """
        if self._said_ready:
            with suppress(OSError):
                for _ in range(_STALE // _CHUNK):
                    if not self.channel.recv(_CHUNK):
                        break
            self._frames.clear()
        self._frames.most = most
        self.answers.clear()
        self.on_answer = heard
        if not self._listening:
            self._listen()

    def _listen(self) -> None:
        self._loop.add_reader(self._line, self._hear)
        self._listening = True

    def _listen_no_more(self) -> None:
        self._loop.remove_reader(self._line)
        self._listening = False

    def _hear(self) -> bool:
        if self.answers:
            self._listen_no_more()
            return False
        try:
            data = self._receive()
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._listen_no_more()
            return False
        self._frames.add(data)
        while not self.answers and (message := self._frames.take()) is not None:
            if self._said_ready:
                self.answers.append(message)
            elif "ready" in message:
                self._said_ready = True
                self._be_ready()
            else:
                self.failure = self.failure or str(message.get("failed", ""))
        if self.overrun:
            self._listen_no_more()
        if (self.answers or self.overrun) and self.on_answer:
            self.on_answer()
        return True

    def _receive(self) -> bytes:
        if self._said_ready:
            return self.channel.recv(_CHUNK)
        # Untrusted code has not started yet, so this descriptor is the work folder.
        cloexec = socket.MSG_CMSG_CLOEXEC
        data, descriptors, _, _ = socket.recv_fds(self.channel, _CHUNK, 1, cloexec)
        for descriptor in descriptors:
            self.folder = self._hold(descriptor)
        return data

    def _hold(self, descriptor: int) -> WorkFolder:
        self._open.callback(os.close, descriptor)
        return WorkFolder(descriptor)

    def finish(self) -> None:
        """Read what is in the pipes and, up to the first answer, in the channel."""
        for drain in (self.stdout, self.stderr):
            drain.finish(1 << 20)
        while not self.answers and not self.overrun and self._hear():
            pass

    def _started(self, pidfd: int) -> None:
        self._pidfd = pidfd
        if self.closed.done():
            self.kill()
            os.close(pidfd)
            return
        self._open.callback(os.close, pidfd)
        with suppress(OSError):
            pid = pid_of(pidfd)
            if pid is not None and self._cgroups:
                self._placing = self._loop.create_task(self._place(pid, self._cgroups))
            elif pid is not None:
                proc = self.zygote.build.profile == "proc"
                self._measure((TreeMeter if proc else Meter)(pid, self.zygote.facts.resident))
            if self.private_folder:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                self.room = self._hold(os.open(self.private_folder, flags))
        self._be_ready()

    def count_in(self, cgroups: Cgroups) -> None:
        """Move the process into a cgroup of its own as soon as it exists."""
        self._cgroups, self.placed = cgroups, self._loop.create_future()

    async def _place(self, pid: int, cgroups: Cgroups) -> None:
        try:
            group = await asyncio.to_thread(cgroups.enter, self.limits, pid)
        except OSError as error:
            self.failure = f"cgroup: {error}"
            self.kill()
            return
        if self.closed.done():
            cgroups.remove(group)
            return
        self._cgroup = group
        self._open.callback(cgroups.remove, group)
        with suppress(OSError):
            self._measure(GroupMeter(pid, group))
        self._be_placed()
        self._be_ready()

    def _be_placed(self) -> None:
        if self.placed and not self.placed.done():
            self.placed.set_result(None)

    def _measure(self, meter: Meter) -> None:
        self.meter = meter
        self._open.callback(meter.close)

    def ran_out_of_memory(self) -> bool:
        """Return whether the kernel killed the run since its cgroup had no memory left."""
        with suppress(OSError):
            return self._cgroup is not None and self._cgroup.ran_out()
        return False

    def _be_ready(self) -> None:
        if self.placed and not self.placed.done():
            return
        if self._said_ready and self._pidfd is not None and not self.ready.done():
            self.ready.set_result(None)

    @property
    def private_folder(self) -> str:
        """The host's folder made for it; empty if it has its own mounts."""
        base = self.zygote.build.folder
        return f"{base}/{self._pending.number}" if base else ""

    def _ended(self, _: object) -> None:
        self.failure = self.failure or self._pending.failure
        self._be_placed()
        if not self.ready.done():
            self.ready.set_result(None)

    @property
    def sealed(self) -> bool:
        """Whether it reported that it is sealed."""
        return self._said_ready

    def kill(self) -> None:
        """Kill the process."""
        self._signal(signal.SIGKILL)

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the running cell."""
        self._signal(signal.SIGINT)

    def _signal(self, number: signal.Signals) -> None:
        if self._pidfd is not None and not self.ended.done():
            with suppress(OSError):
                signal.pidfd_send_signal(self._pidfd, number)

    def close(self) -> None:
        """Kill the process and release everything. Can be called more than once."""
        if self.closed.done():
            return
        self.closed.set_result(None)
        self._be_placed()
        self.on_answer = None
        self.kill()
        self._open.close()
