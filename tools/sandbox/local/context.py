"""A context of the local sandbox: one child process that runs one cell after another."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from opencodeinterpreter.tools.errors import InputError, SandboxError
from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.sandbox.local.child import Child
from opencodeinterpreter.tools.sandbox.local.limit_watch import LimitWatch
from opencodeinterpreter.tools.sandbox.local.run import CellRun
from opencodeinterpreter.tools.sandbox.local.work_folder import WorkFolder
from opencodeinterpreter.tools.sandbox.local.zygote_client import ZygoteDiedError
from opencodeinterpreter.tools.sandbox.protocol import FileInfo
from opencodeinterpreter.tools.sandbox.shared.collecting import Collecting
from opencodeinterpreter.tools.sandbox.shared.listener import Listener
from opencodeinterpreter.tools.sandbox.shared.request import Files, pack_request

_MOST_KEPT = 16 << 20
"""Bytes of cells that a context keeps, so that a fork can run them again."""

Spawn = Callable[[SandboxLimits], Awaitable[Child]]
"""Forks a child; starts the zygote first if necessary."""


@dataclass(frozen=True)
class CellRequest:
    """A cell to run in a context, kept so that a fork can run it again."""

    code: str | None
    """`None`: write the files only."""
    files: Files
    stdin: str = ""
    seed: int | None = None
    limits: SandboxLimits | None = None

    @property
    def size(self) -> int:
        """Bytes of it that are kept, about."""
        return len(self.code or "") + len(self.stdin) + sum(map(len, self.files.values()))


class LocalContext:
    """Keeps variables, imports and files from cell to cell, in one child.

    Cells run one at a time. If the child ends for any reason, the next cell starts in an empty
    context and its execution says `state_lost`.
    """

    def __init__(self, spawn: Spawn, limits: SandboxLimits) -> None:
        self._spawn = spawn
        self.limits = limits
        self._turn = asyncio.Lock()
        self._child: Child | None = None
        self._idle: LimitWatch | None = None
        self._settling: asyncio.Task[None] | None = None
        self._lost = False
        self.used_at = time.monotonic()
        """When its last cell ended, in seconds of the monotonic clock."""
        self._count = 0
        self._history: list[CellRequest] = []
        self._kept = 0
        """Bytes in the history; once they are too many, it is empty and stays so."""

    @property
    def alive(self) -> bool:
        """Whether it has a running process."""
        return self._child is not None and not self._child.ended.done()

    @property
    def busy(self) -> bool:
        """Whether a cell runs or its files are being read."""
        return self._turn.locked()

    async def run(
        self,
        cell: CellRequest,
        collecting: Collecting | None = None,
        listener: Listener | None = None,
    ) -> Execution:
        """Run the next cell; raises SandboxError."""
        async with self._turn:
            try:
                return await self._run(cell, collecting, listener)
            finally:
                self.used_at = time.monotonic()

    async def _run(
        self, cell: CellRequest, collecting: Collecting | None, listener: Listener | None
    ) -> Execution:
        child = await self._living()
        lost = self._lost
        if cell.code is not None:
            # A write returns no execution, so the loss is reported by the next cell.
            self._lost = False
        if not self._kept and cell.seed is None:
            # Fixed here, so that a fork draws the same random numbers.
            cell = replace(cell, seed=secrets.randbits(64))
        count = self._count + (cell.code is not None)
        limits = cell.limits or self.limits
        frame = pack_request(
            cell.code,
            cell.files,
            stdin=cell.stdin,
            cell=count,
            seed=cell.seed,
            cpu_seconds=limits.cpu_seconds,
        )
        if self._idle:
            self._idle.stop()
        run = CellRun(child, limits)
        try:
            told = await run.carry_out(frame, collecting, listener)
        except asyncio.CancelledError:
            self._settling = asyncio.create_task(run.settle())
            raise
        except ZygoteDiedError:
            self.lose()
            raise SandboxError(
                "the sandbox's zygote died and the context's state is lost; run its cells again"
            ) from None
        self._count = count
        if told.status == "ok":
            self._keep(cell)
        if child.ended.done():
            self.lose()
        else:
            self._watch_idle(child)
        gone = lost or self._child is None
        return told.model_copy(update={"execution_count": count, "state_lost": gone})

    def _keep(self, cell: CellRequest) -> None:
        """Keep a cell for a fork, unless all together are too large."""
        self._kept += cell.size
        if self._kept > _MOST_KEPT:
            self._history = []
        else:
            self._history.append(cell)

    async def _living(self) -> Child:
        """Return the child, ready for a cell; a new one if it is gone."""
        if self._settling:
            settling, self._settling = self._settling, None
            # If the zygote died meanwhile, the next lines notice.
            await asyncio.wait([settling])
        if self._child and self._child.ended.done():
            self.lose()
        if self._child is None:
            self._child = await self._spawn(self.limits)
            self._child.give_stdin("")
        return self._child

    def _watch_idle(self, child: Child) -> None:
        """Kill the child if its threads pass a limit between cells."""
        self._idle = LimitWatch(child, self.limits, lambda _: child.kill())
        self._idle.begin(idle=True)

    def lose(self) -> None:
        """Kill the child; the next cell reports that the state was lost."""
        self._lost = True
        self.empty()

    def empty(self) -> None:
        """Kill the child and forget its cells."""
        if self._idle:
            self._idle.stop()
        if self._settling:
            self._settling.cancel()
            self._settling = None
        if self._child:
            self._child.close()
        self._child = None
        self._count = 0
        self._history = []
        self._kept = 0

    async def fork(self) -> "LocalContext":
        """Return a copy of the context, made by running its successful cells again.

        Raises SandboxError if one of them does not succeed this time, or if they were too large
        to be kept.
        """
        async with self._turn:
            if self._kept > _MOST_KEPT:
                raise SandboxError(
                    f"the context cannot be forked: its cells hold {self._kept >> 20} MiB and only "
                    f"{_MOST_KEPT >> 20} are kept; create a new context"
                )
            twin = LocalContext(self._spawn, self.limits)
            try:
                for number, cell in enumerate(self._history, 1):
                    told = await twin.run(cell)
                    if told.status != "ok":
                        raise SandboxError(
                            f"the context cannot be forked: step {number} of it ended as "
                            f"{told.status} {told.reason} when run again; create a new context"
                        )
                if self._child:
                    await self._copy_files(twin)
            except BaseException:
                twin.empty()
                raise
            return twin

    async def _copy_files(self, twin: "LocalContext") -> None:
        folder = await self._folder()
        for entry in await asyncio.to_thread(lambda: list(folder.walk())):
            if entry.kind == "file":
                content = await asyncio.to_thread(folder.read, entry.path)
                await twin.run(CellRequest(None, {entry.path: content}))

    async def _folder(self) -> WorkFolder:
        child = await self._living()
        await asyncio.shield(child.ready)
        if child.folder is None:
            raise SandboxError("the context's process ended before its files could be read")
        return child.folder

    async def read_file(self, path: str) -> bytes:
        """Return a file's content; raises InputError or SandboxError."""
        async with self._turn:
            return await asyncio.to_thread((await self._folder()).read, path)

    async def list_files(self, path: str) -> tuple[FileInfo, ...]:
        """Return a folder's entries; raises InputError or SandboxError."""
        async with self._turn:
            return await asyncio.to_thread((await self._folder()).entries, path)

    async def write_file(self, path: str, data: bytes) -> None:
        """Write a file; raises InputError if it cannot be written, or SandboxError."""
        told = await self.run(CellRequest(None, {path: data}))
        if told.status != "ok":
            why = told.error.value if told.error else f"{told.status} {told.reason}"
            raise InputError(f"{path}: cannot be written into the work folder: {why}")
