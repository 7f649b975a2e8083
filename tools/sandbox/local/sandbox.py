"""The local sandbox: untrusted Python on this machine's kernel, without account or daemon.

A warm interpreter (the zygote) runs in its own namespaces with a read-only root. Each run is a
child forked from it, which seals itself before the first untrusted line (see `inside.seal`). When
a run ends, its child and all processes of it are killed.
"""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from opencodeinterpreter.tools.errors import InputError, SandboxError
from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.sandbox.inside.build import Build
from opencodeinterpreter.tools.sandbox.local.cgroups import Cgroups, NoCgroupsError, open_cgroups
from opencodeinterpreter.tools.sandbox.local.child import Child
from opencodeinterpreter.tools.sandbox.local.context import CellRequest, LocalContext
from opencodeinterpreter.tools.sandbox.local.host_folders import HostFolders
from opencodeinterpreter.tools.sandbox.local.proof import Canary, prove
from opencodeinterpreter.tools.sandbox.local.ready_children import ReadyChildren
from opencodeinterpreter.tools.sandbox.local.refusal import wrong_system
from opencodeinterpreter.tools.sandbox.local.run import ProgramRun
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from opencodeinterpreter.tools.sandbox.local.zygote_client import (
    ZygoteClient,
    ZygoteDiedError,
    ZygoteFacts,
)
from opencodeinterpreter.tools.sandbox.protocol import NO_EXTRAS, Context, FileInfo, RunExtras
from opencodeinterpreter.tools.sandbox.shared.collecting import Collecting
from opencodeinterpreter.tools.sandbox.shared.listener import Listener
from opencodeinterpreter.tools.sandbox.shared.request import pack_request
from opencodeinterpreter.tools.sandbox.shared.reservations import Reservations

_ATTEMPTS = 2
"""A run whose zygote died is repeated: code in the sandbox changes nothing outside."""


class LocalSandbox:
    """Runs code in children of a zygote; see `open_local_sandbox`."""

    def __init__(
        self,
        interpreter: Path,
        build: Build,
        limits: SandboxLimits,
        ready: int = 0,
        contexts: int = 64,
    ) -> None:
        self._interpreter = interpreter
        self._build = build
        self._limits = limits
        self._slots = asyncio.Semaphore(build.runs)
        self._starting = asyncio.Lock()
        self._zygote: ZygoteClient | None = None
        self._contexts: dict[str, LocalContext] = {}
        self._most_contexts = contexts
        self.reserve = Reservations(contexts).reserve
        """Reserve contexts; see `ContextSandbox.reserve`."""
        self._host_folders = HostFolders()
        self._cgroups: Cgroups | None = None
        self._ready_children = ReadyChildren(ready, self._adopt)
        self._closed = False
        self.proof: tuple[Canary, ...] = ()
        """The ways to escape that the test run tried when the sandbox was opened."""

    @property
    def tier(self) -> str:
        """The isolation that the test run proved."""
        return self._build.named

    @property
    def holds(self) -> frozenset[str]:
        """Names of modules of this package that every run finds loaded."""
        return frozenset(name for name, _ in self._build.modules)

    @property
    def facts(self) -> ZygoteFacts | None:
        """What the zygote reported at its start; `None` before the first start."""
        return self._zygote.facts if self._zygote else None

    @property
    def zygote_pid(self) -> int | None:
        """Process id of the zygote's parent, whose death ends all runs; `None` if not started."""
        return self._zygote.pid if self._zygote else None

    async def run_code(
        self,
        code: str,
        *,
        files: Mapping[str, str | bytes] | Mapping[str, str] | None = None,
        stdin: str = "",
        limits: SandboxLimits | None = None,
        context: Context | None = None,
        extras: RunExtras = NO_EXTRAS,
    ) -> Execution:
        """Run `code`; see `ContextSandbox.run_code`. Waits while `concurrency` runs are active.

        Raises SandboxError if the sandbox fails or is closed.
        """
        given = dict(files or {})
        collecting = (
            Collecting(tuple(extras.collect), {**extras.held, **given}) if extras.collect else None
        )
        listener = Listener(extras.on_stdout)
        if context is not None:
            found = self._find(context)
            async with self._slots:
                cell = CellRequest(code, given, stdin, extras.seed, limits)
                return await found.run(cell, collecting, listener)
        limits = limits or self._limits
        frame = pack_request(code, given, seed=extras.seed, cpu_seconds=limits.cpu_seconds)
        for _ in range(_ATTEMPTS):
            try:
                return await self._once(frame, stdin, limits, collecting, listener)
            except ZygoteDiedError:
                if listener.told:
                    raise SandboxError(
                        "the sandbox's zygote died during a run whose output was passed on; "
                        "run it again"
                    ) from None
        raise SandboxError(
            f"the sandbox's zygote died {_ATTEMPTS} times during one run: "
            "is the machine out of memory? See the kernel log"
        )

    async def _once(
        self,
        frame: bytes,
        stdin: str,
        limits: SandboxLimits,
        collecting: Collecting | None,
        listener: Listener,
    ) -> Execution:
        await self._slots.acquire()
        try:
            child = self._ready_children.take(await self._running_zygote(), limits)
        except BaseException:
            self._slots.release()
            raise
        # The slot is free when the child is dead; the caller does not wait for that.
        child.ended.add_done_callback(lambda _: self._slots.release())
        try:
            child.give_stdin(stdin)
            return await ProgramRun(child, limits).carry_out(frame, collecting, listener)
        finally:
            child.kill()
            asyncio.get_running_loop().call_soon(self._clear_away, child)

    def _clear_away(self, child: Child) -> None:
        """Clean up after a run and fork for the next ones; the caller does not wait for it."""
        child.close()
        if child.zygote is self._zygote and not self._closed:
            self._ready_children.refill(child.zygote, child.limits)

    async def create_context(self, *, limits: SandboxLimits | None = None) -> Context:
        """Create an empty context."""
        return self._keep(LocalContext(self._spawn, limits or self._limits))

    async def restart_context(self, context: Context) -> None:
        """Clear `context`; raises InputError if it does not exist."""
        self._find(context).empty()

    async def remove_context(self, context: Context) -> None:
        """End `context`. Does nothing if it was removed before."""
        found = self._contexts.pop(context.id, None)
        if found:
            found.empty()

    async def fork_context(self, context: Context) -> Context:
        """Create a copy of `context`; raises InputError or SandboxError."""
        found = self._find(context)
        async with self._slots:
            return self._keep(await found.fork())

    async def read_file(self, context: Context, path: str) -> bytes:
        """Return a file's content; raises InputError."""
        return await self._find(context).read_file(path)

    async def write_file(self, context: Context, path: str, data: bytes) -> None:
        """Write a file; raises InputError if it cannot be written."""
        await self._find(context).write_file(path, data)

    async def list_files(self, context: Context, path: str = ".") -> tuple[FileInfo, ...]:
        """Return a folder's entries; raises InputError."""
        return await self._find(context).list_files(path)

    def _keep(self, context: LocalContext) -> Context:
        handle = Context(id=secrets.token_hex(8))
        self._contexts[handle.id] = context
        return handle

    def _find(self, context: Context) -> LocalContext:
        found = self._contexts.get(context.id)
        if found is None:
            raise InputError(f"context {context.id}: not open in this sandbox; create a new one")
        return found

    async def _spawn(self, limits: SandboxLimits) -> Child:
        self._make_room()
        for _ in range(_ATTEMPTS):
            try:
                return self._ready_children.take(await self._running_zygote(), limits)
            except ZygoteDiedError:
                continue
        raise SandboxError("the sandbox's zygote died while a context was created; try again")

    def _make_room(self) -> None:
        """If there are too many context processes, end the one that is idle longest."""
        contexts = self._contexts.values()
        if sum(context.alive or context.busy for context in contexts) <= self._most_contexts:
            return
        idle = [context for context in contexts if context.alive and not context.busy]
        if not idle:
            raise SandboxError(
                f"all {self._most_contexts} contexts of this sandbox are busy: "
                "wait for one of them, or open the sandbox with more `contexts`"
            )
        min(idle, key=lambda context: context.used_at).lose()

    def _adopt(self, child: Child) -> None:
        self._host_folders.adopt(child)
        if self._cgroups:
            child.count_in(self._cgroups)

    async def open(self) -> None:
        """Start the zygote and prove that it isolates; raises SandboxError if not."""
        if self._build.profile == "proc":
            with suppress(NoCgroupsError):
                self._cgroups = await asyncio.to_thread(open_cgroups)
        zygote = await self._running_zygote()
        self.proof = await prove(self, self._build, zygote.pid)

    async def close(self) -> None:
        """End the zygote and all its runs."""
        self._closed = True
        for context in self._contexts.values():
            context.empty()
        self._ready_children.close()
        async with self._starting:
            if self._zygote:
                await self._zygote.close()
        await self._host_folders.clear()
        if self._cgroups:
            await self._cgroups.close()

    async def _running_zygote(self) -> ZygoteClient:
        async with self._starting:
            if self._closed:
                raise SandboxError("the sandbox is closed: open a new one")
            if self._zygote is None or not self._zygote.alive:
                if self._zygote:
                    await self._zygote.close()
                build = self._build
                if "mount" not in build.layers:
                    build = replace(build, folder=await self._host_folders.make_folder())
                self._zygote = await ZygoteClient.start(self._interpreter, build)
            return self._zygote


@asynccontextmanager
async def open_local_sandbox(
    settings: LocalSandboxSettings | None = None,
) -> AsyncIterator[LocalSandbox]:
    """Open the local sandbox and close it at the end.

    Raises SandboxError, with cause and cure, if this machine cannot isolate code as the settings
    demand. It never falls back to a weaker sandbox.
    """
    if sys.platform != "linux":
        raise SandboxError(wrong_system(sys.platform))
    settings = settings or LocalSandboxSettings()
    runs = settings.concurrency or len(os.sched_getaffinity(0))
    modules = tuple((module.__name__, str(module.__file__)) for module in settings.modules)
    sandbox = LocalSandbox(
        settings.interpreter or Path(sys.executable),
        Build(settings.tier, settings.profile, settings.preloaded, modules, runs),
        settings.limits,
        runs if settings.ready is None else settings.ready,
        settings.contexts,
    )
    try:
        await sandbox.open()
        yield sandbox
    finally:
        await sandbox.close()
