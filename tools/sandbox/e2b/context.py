"""A context on E2B: a sandbox of its own with one kernel."""

import asyncio
from typing import Any

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.sandbox.e2b.calls import E2BTransientError, ask
from opencodeinterpreter.tools.sandbox.e2b.files import RemoteFolder
from opencodeinterpreter.tools.sandbox.e2b.kernel import Kernel
from opencodeinterpreter.tools.sandbox.e2b.pool import E2BPool, Lease
from opencodeinterpreter.tools.sandbox.e2b.program_run import RunRequest
from opencodeinterpreter.tools.sandbox.protocol import FileInfo

_WORK = "/home/user/work"
_USER = "root"
"""Kernels run as root, so their files belong to root."""
_ATTEMPTS = 2


class E2BContext:
    """Runs the cells of one context, one at a time, and replaces its sandbox if it is lost.

    Every method raises InputError after the context was removed.
    """

    def __init__(self, pool: E2BPool, limits: SandboxLimits, seconds: float) -> None:
        self._pool = pool
        self._limits = limits
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._lease: Lease | None = None
        self._kernel: Kernel | None = None
        self._cells = 0
        self._lost = False
        """Whether state was lost and no execution has reported it yet."""
        self._fed = False
        """Whether stdin of an earlier cell may be left."""
        self._removed = False

    async def open(self) -> None:
        """Create a sandbox and start the kernel; raises SandboxError."""
        async with self._turn:
            await self._ready()

    async def run(self, request: RunRequest) -> Execution:
        """Run the next cell; raises SandboxError if the sandbox is lost during it."""
        async with self._turn:
            lease, kernel = await self._ready(request.limits.wall_seconds)
            try:
                return await self._cell(lease, kernel, request)
            except E2BTransientError:
                self._drop()
                raise

    async def _cell(self, lease: Lease, kernel: Kernel, request: RunRequest) -> Execution:
        job: dict[str, Any] = {} if request.seed is None else {"seed": request.seed}
        if request.stdin or self._fed:
            job["stdin"] = request.stdin
            self._fed = bool(request.stdin)
        await kernel.prepare(**job)
        self._note(kernel)
        for path, data in request.files.items():
            await self._folder(lease).write(path, data)
        lost = self._lost
        self._cells += 1
        number = self._cells
        ended = await kernel.cell(request.code, request.limits, request.listener)
        if request.collecting and not kernel.lost:
            found = await self._folder(lease).collected(request.collecting)
            ended = ended.model_copy(update={"artifacts": found})
        self._lost = False
        self._note(kernel)
        told = {"execution_count": number, "state_lost": lost or self._lost}
        return ended.model_copy(update=told)

    async def restart(self) -> None:
        """Clear the context."""
        async with self._turn:
            _, kernel = await self._ready()
            try:
                await kernel.restart()
            except E2BTransientError:
                # The next call starts in a new sandbox, which is empty too.
                self._drop()
            self._cells, self._lost, self._fed = 0, False, False

    async def fork(self) -> "E2BContext":
        """Return a copy in its own sandbox, memory included. Random numbers are reseeded."""
        async with self._turn:
            lease, kernel = await self._ready()
            other = E2BContext(self._pool, self._limits, self._seconds)
            other._lease = await self._pool.fork(lease)
            other._kernel = kernel.twin(other._lease.handle)
            other._cells, other._fed = self._cells, self._fed
        try:
            await other._kernel.prepare(reseed=True)
        except BaseException:
            other.remove()
            raise
        return other

    async def read(self, path: str) -> bytes:
        """Return a file of the work folder."""
        async with self._turn:
            lease, _ = await self._ready()
            return await self._folder(lease).read(path)

    async def write(self, path: str, data: bytes) -> None:
        """Write a file into the work folder."""
        async with self._turn:
            lease, _ = await self._ready()
            await self._folder(lease).write(path, data)

    async def listed(self, path: str) -> tuple[FileInfo, ...]:
        """Return the entries of a folder of the work folder."""
        async with self._turn:
            lease, _ = await self._ready()
            return await self._folder(lease).listed(path)

    def _folder(self, lease: Lease) -> RemoteFolder:
        return RemoteFolder(lease.handle, _WORK, _USER, self._seconds)

    def remove(self) -> None:
        """End the sandbox at once, even while a cell runs."""
        self._removed = True
        self._drop()

    async def _ready(self, seconds: float = 0.0) -> tuple[Lease, Kernel]:
        """Return a sandbox that lives `seconds` longer and a kernel that is ready for a cell."""
        attempts = _ATTEMPTS
        while not self._removed:
            try:
                return await self._restored(seconds)
            except E2BTransientError:
                self._drop()
                attempts -= 1
                if not attempts:
                    raise
        raise InputError("the context was removed: create a new one")

    async def _restored(self, seconds: float) -> tuple[Lease, Kernel]:
        if self._lease is None:
            self._lease = await self._pool.make(seconds)
        lease = self._lease
        if self._kernel is None:
            self._kernel = await Kernel.start(lease.handle, self._limits, self._seconds)
        else:
            await self._pool.extend(lease, seconds)
            # E2B may have ended it; asking is cheaper than losing a cell.
            if not await ask("reach a sandbox", lease.handle.is_running(), self._seconds):
                raise E2BTransientError("the sandbox is gone from E2B")
        kernel = self._kernel
        if kernel.busy:
            await kernel.recover()
        await kernel.prepare()
        self._note(kernel)
        return lease, kernel

    def _note(self, kernel: Kernel) -> None:
        """Record whether the kernel lost its state."""
        if kernel.lost:
            kernel.lost = False
            self._lose()

    def _drop(self) -> None:
        lease, self._lease = self._lease, None
        if lease:
            self._pool.end(lease)
        if self._kernel:
            self._kernel = None
            self._lose()

    def _lose(self) -> None:
        self._lost = True
        self._cells = 0
        self._fed = False
