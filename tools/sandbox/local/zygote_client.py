"""The host's side of a zygote: start it, request children, receive how they ended."""

import asyncio
import json
import math
import os
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.sandbox import inside
from opencodeinterpreter.tools.sandbox.inside.build import Build
from opencodeinterpreter.tools.sandbox.local.refusal import explain

_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
_MESSAGE = 65536
_CPU_STEP = 64
# Not -I: it ignores PYTHONHASHSEED, which makes runs repeatable. With this environment, -sP is
# as strict.
_FLAGS = ("-s", "-P", "-B", "-X", "utf8")
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "LANG": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
# The interpreter may lack this package, so it gets the folder `inside` alone.
_BOOT = """
import sys, types
for name in ("", ".tools", ".tools.sandbox", ".tools.sandbox.inside"):
    module = types.ModuleType("opencodeinterpreter" + name)
    module.__path__ = [sys.argv[1]] if name.endswith("inside") else []
    sys.modules[module.__name__] = module
from opencodeinterpreter.tools.sandbox.inside.zygote import main
main(int(sys.argv[2]), sys.argv[3])
"""


KERNEL_LIMITS = ("cpu_seconds", "memory_mb", "disk_mb", "processes")


def kernel_limits(limits: SandboxLimits) -> tuple[float, ...]:
    """Return the limits that a child is forked with, in the order of `KERNEL_LIMITS`.

    CPU time is rounded up, so that a child forked ahead fits runs with different limits; the
    child sets the run's own limit before the run starts.
    """
    cpu_seconds = math.ceil(limits.cpu_seconds / _CPU_STEP) * _CPU_STEP
    return (cpu_seconds, *(getattr(limits, name) for name in KERNEL_LIMITS[1:]))


class ZygoteDiedError(Exception):
    """The zygote died, and all its runs with it."""


@dataclass(frozen=True)
class ZygoteFacts:
    """What a zygote reports when it is ready."""

    landlock: int
    """Landlock version of the kernel; 0 for none."""
    resident: int
    """Resident memory of the idle interpreter in bytes."""
    python: str


@dataclass(frozen=True)
class ChildExit:
    """How a child ended, as the zygote reports."""

    code: int
    """Exit status, or the negative number of the signal that killed it."""
    cpu_seconds: float


class PendingChild:
    """A child that was requested; the zygote's reports about it arrive here."""

    def __init__(self, started: Callable[[int], None]) -> None:
        self.ended: asyncio.Future[ChildExit] = asyncio.get_running_loop().create_future()
        self.started = started
        """Called with the child's pidfd, which the callee then owns."""
        self.failure = ""
        """Why it could not be forked; empty if it could."""
        self.number = 0
        """Its number within the zygote."""


class ZygoteClient:
    """A running zygote. Create it with `start`; it ends with `close` or with this process."""

    def __init__(self, control: socket.socket, build: Build) -> None:
        self._control = control
        self.build = build
        self._process: subprocess.Popen[bytes] | None = None
        self._children: dict[int, PendingChild] = {}
        self._next = 0
        loop = asyncio.get_running_loop()
        self._hello: asyncio.Future[dict[str, Any]] = loop.create_future()
        self.alive = True
        self.facts = ZygoteFacts(0, 0, "")
        control.setblocking(False)
        loop.add_reader(control, self._hear)

    @classmethod
    async def start(cls, interpreter: Path, build: Build) -> "ZygoteClient":
        """Start `interpreter` as a zygote of this build.

        Raises SandboxError, with cause and cure, if it cannot be isolated.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client = cls(ours, build)
        try:
            with theirs:
                client._process = await asyncio.to_thread(_spawn, interpreter, theirs, build)
            async with asyncio.timeout(_START_SECONDS):
                hello = await client._hello
            if "refused" in hello:
                raise SandboxError(await asyncio.to_thread(explain, **hello["refused"]))
        except BaseException as error:
            said = await client.close()
            if isinstance(error, TimeoutError | ZygoteDiedError | OSError):
                raise SandboxError(_no_start(interpreter, error, said)) from error
            raise
        client.facts = ZygoteFacts(hello["landlock"], hello["resident"], hello["python"])
        return client

    @property
    def pid(self) -> int:
        """The process id, on the host, of the zygote's parent."""
        return self._process.pid if self._process else 0

    def fork(
        self, limits: SandboxLimits, descriptors: Sequence[int], pending: PendingChild
    ) -> None:
        """Request a child with `descriptors` as its 0 to 3; raises ZygoteDiedError."""
        self._next += 1
        pending.number = self._next
        wanted = dict(zip(KERNEL_LIMITS, kernel_limits(limits), strict=True))
        message = json.dumps({"run": self._next, "limits": wanted}).encode()
        try:
            socket.send_fds(self._control, [message], list(descriptors))
        except OSError as error:
            self._die()
            raise ZygoteDiedError from error
        self._children[self._next] = pending

    def _hear(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, _MESSAGE, 1)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        if not data:
            self._die()
            return
        message = json.loads(data)
        if "run" not in message:
            if not self._hello.done():
                self._hello.set_result(message)
            return
        self._dispatch(message, descriptors)

    def _dispatch(self, message: dict[str, Any], descriptors: list[int]) -> None:
        run: int = message["run"]
        child = self._children[run]
        if "started" in message:
            child.started(descriptors[0])
            return
        del self._children[run]
        child.failure = message.get("failed", "")
        if not child.ended.done():
            child.ended.set_result(ChildExit(message.get("exit", 0), message.get("cpu", 0.0)))

    def _die(self) -> None:
        if not self.alive:
            return
        self.alive = False
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        _fail(self._hello)
        for child in self._children.values():
            _fail(child.ended)
        self._children.clear()

    async def close(self) -> str:
        """End the zygote and all its children; return what it wrote to stderr."""
        self._die()
        if self._process is None:
            return ""
        return await asyncio.shield(asyncio.to_thread(_stop, self._process))


def _fail(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(ZygoteDiedError())
        # Read the exception, so that asyncio does not warn if nobody awaits the future.
        future.exception()


def _spawn(interpreter: Path, control: socket.socket, build: Build) -> subprocess.Popen[bytes]:
    here = str(Path(str(inside.__file__)).parent)
    told = (here, str(control.fileno()), build.to_json())
    command = [str(interpreter), *_FLAGS, "-c", _BOOT, *told]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=_ENVIRONMENT,
        cwd="/",
        pass_fds=(control.fileno(),),
        # Ctrl-C in the terminal must reach the host alone.
        start_new_session=True,
    )


def _stop(process: subprocess.Popen[bytes]) -> str:
    with process:
        try:
            _, said = process.communicate(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # Process 1 of the namespace dies with it, and with that all runs.
            process.kill()
            _, said = process.communicate()
    return said.decode(errors="replace").strip()


def _no_start(interpreter: Path, error: BaseException, said: str) -> str:
    last = said.splitlines()[-1] if said else str(error) or type(error).__name__
    return (
        f"the sandbox's interpreter {os.fspath(interpreter)} did not start: {last}; "
        "name a working Python 3.11 or newer"
    )
