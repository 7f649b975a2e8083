"""The local sandbox: untrusted Python on this machine's own kernel, no account, no daemon.

A warm interpreter (the zygote) lives in namespaces of its own with a read-only root. Each run
is a child forked from it, sealed before its first line (see `seal`), and killed with all it
started when it ends.
"""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import get_args

from opencodeinterpreter.tools.errors import InputError, SandboxError
from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.sandbox.inside.build import PRELOADS, Build
from opencodeinterpreter.tools.sandbox.local.child import Child
from opencodeinterpreter.tools.sandbox.local.contexts import Cell, LocalContext
from opencodeinterpreter.tools.sandbox.local.host_folders import Litter
from opencodeinterpreter.tools.sandbox.local.proof import Canary, prove
from opencodeinterpreter.tools.sandbox.local.ready_children import Pool
from opencodeinterpreter.tools.sandbox.local.refusal import wrong_system
from opencodeinterpreter.tools.sandbox.local.run import Run
from opencodeinterpreter.tools.sandbox.local.zygote_client import (
    Facts,
    ZygoteClient,
    ZygoteDiedError,
)
from opencodeinterpreter.tools.sandbox.protocol import Context, FileInfo, OnStdout, Profile, Tier
from opencodeinterpreter.tools.sandbox.shared.listener import Listener
from opencodeinterpreter.tools.sandbox.shared.request import request
from opencodeinterpreter.tools.sandbox.shared.reservations import Places

_ATTEMPTS = 2
"""Code in the sandbox changes nothing outside, so a run whose zygote died is simply done again."""


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
        self.reserve = Places(contexts).reserve
        """Keeps room for contexts; see `ContextSandbox`."""
        self._litter = Litter()
        self._pool = Pool(ready, self._litter.adopt)
        self._closed = False
        self.proof: tuple[Canary, ...] = ()
        """What the throw-away run tried when the sandbox was opened."""

    @property
    def tier(self) -> str:
        """The isolation that the throw-away run proved."""
        return self._build.named

    @property
    def holds(self) -> frozenset[str]:
        """Names of our modules that every run finds loaded."""
        return frozenset(name for name, _ in self._build.modules)

    @property
    def profile(self) -> str:
        """What code may do in here."""
        return self._build.profile

    @property
    def facts(self) -> Facts | None:
        """What the zygote says of itself; `None` before the first start."""
        return self._zygote.facts if self._zygote else None

    @property
    def zygote_pid(self) -> int | None:
        """Process id of the zygote's keeper, whose death ends all runs; `None` if not started."""
        return self._zygote.pid if self._zygote else None

    async def run_code(
        self,
        code: str,
        *,
        files: Mapping[str, str | bytes] | Mapping[str, str] | None = None,
        stdin: str = "",
        limits: SandboxLimits | None = None,
        context: Context | None = None,
        collect: Sequence[str] = (),
        seed: int | None = None,
        on_stdout: OnStdout | None = None,
    ) -> Execution:
        """Run `code` as the protocol says; waits while too many runs are under way.

        Raises SandboxError when the sandbox breaks or is closed.
        """
        given = dict(files or {})
        listener = Listener(on_stdout)
        if context is not None:
            found = self._find(context)
            async with self._slots:
                return await found.run(Cell(code, given, stdin, seed, limits), collect, listener)
        limits = limits or self._limits
        frame = request(code, given, seed=seed, cpu_seconds=limits.cpu_seconds)
        for _ in range(_ATTEMPTS):
            try:
                return await self._once(frame, stdin, limits, collect, listener)
            except ZygoteDiedError:
                if listener.told:
                    raise SandboxError(
                        "the sandbox's zygote died under a run that was listened to: start it again"
                    ) from None
        raise SandboxError(
            f"the sandbox's zygote died {_ATTEMPTS} times under one run: "
            "is the machine out of memory? See the kernel's log"
        )

    async def _once(
        self,
        frame: bytes,
        stdin: str,
        limits: SandboxLimits,
        collect: Sequence[str],
        listener: Listener,
    ) -> Execution:
        await self._slots.acquire()
        try:
            child = self._pool.take(await self._running_zygote(), limits)
        except BaseException:
            self._slots.release()
            raise
        # It counts until it is dead, though its caller does not wait for that.
        child.ended.add_done_callback(lambda _: self._slots.release())
        try:
            child.give_stdin(stdin)
            return await Run(child, limits, cell=False).carry_out(frame, collect, listener)
        finally:
            child.kill()
            asyncio.get_running_loop().call_soon(self._clear_away, child)

    def _clear_away(self, child: Child) -> None:
        """Do what the caller of a run need not wait for."""
        child.close()
        if child.zygote is self._zygote and not self._closed:
            self._pool.refill(child.zygote, child.limits)

    async def create_context(self, *, limits: SandboxLimits | None = None) -> Context:
        """Make an empty context."""
        return self._keep(LocalContext(self._spawn, limits or self._limits))

    async def restart_context(self, context: Context) -> None:
        """Empty `context`; raises InputError if there is none such."""
        self._find(context).empty()

    async def remove_context(self, context: Context) -> None:
        """End `context`; one that is gone already is no error."""
        found = self._contexts.pop(context.id, None)
        if found:
            found.empty()

    async def fork_context(self, context: Context) -> Context:
        """Make a second context in the same state; raises InputError or SandboxError."""
        found = self._find(context)
        async with self._slots:
            return self._keep(await found.fork())

    async def read_file(self, context: Context, path: str) -> bytes:
        """Return a file's bytes; raises InputError."""
        return await self._find(context).read_file(path)

    async def write_file(self, context: Context, path: str, data: bytes) -> None:
        """Write a file; raises InputError where it does not fit."""
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
            raise InputError(f"context {context.id}: not open in this sandbox; create one")
        return found

    async def _spawn(self, limits: SandboxLimits) -> Child:
        self._make_room()
        for _ in range(_ATTEMPTS):
            try:
                return self._pool.take(await self._running_zygote(), limits)
            except ZygoteDiedError:
                continue
        raise SandboxError("the sandbox's zygote died while a context was made; try again")

    def _make_room(self) -> None:
        """For a context at work, end the one longest idle if there are too many processes."""
        contexts = self._contexts.values()
        if sum(context.alive or context.busy for context in contexts) <= self._most_contexts:
            return
        idle = [context for context in contexts if context.alive and not context.busy]
        if not idle:
            raise SandboxError(
                f"{self._most_contexts} contexts, which is the most, are all at work: "
                "wait for one of them, or open the sandbox with more `contexts`"
            )
        min(idle, key=lambda context: context.used_at).lose()

    async def open(self) -> None:
        """Start the zygote and prove that it isolates; raises SandboxError."""
        zygote = await self._running_zygote()
        self.proof = await prove(self, self._build, zygote.pid)

    async def close(self) -> None:
        """End the zygote and every run in it."""
        self._closed = True
        for context in self._contexts.values():
            context.empty()
        self._pool.close()
        async with self._starting:
            if self._zygote:
                await self._zygote.close()
        await self._litter.clear()

    async def _running_zygote(self) -> ZygoteClient:
        async with self._starting:
            if self._closed:
                raise SandboxError("the sandbox is closed: open another one")
            if self._zygote is None or not self._zygote.alive:
                if self._zygote:
                    await self._zygote.close()
                build = self._build
                if "mount" not in build.layers:
                    build = replace(build, folder=await self._litter.make_folder())
                self._zygote = await ZygoteClient.start(self._interpreter, build)
            return self._zygote


@asynccontextmanager
async def open_local_sandbox(
    *,
    interpreter: Path | None = None,
    limits: SandboxLimits | None = None,
    concurrency: int | None = None,
    tier: Tier = "full",
    profile: Profile = "pure",
    preload: str | Sequence[str] = "std",
    ready: int | None = None,
    contexts: int = 64,
    modules: Sequence[ModuleType] = (),
) -> AsyncIterator[LocalSandbox]:
    """Open the local sandbox and close it at the end.

    `interpreter`: a Python of 3.11 or newer, or a venv's, whose packages runs can then import;
    by default our own. `limits`: for runs that name none. `concurrency`: most runs at once, by
    default one per processor. `tier`: exactly this one is given; `reduced` is weaker and only
    knows the `pure` profile. `preload`: modules that every run finds imported, or the name of a
    set of them (`std`, `numpy`, `data`). `ready`: children forked ahead, by default as many as
    runs at once. `contexts`: how many keep their process and memory; beyond that the one that
    has been idle longest loses its state, as its next result then says. `modules`: of ours, which
    runs find loaded; each may import the standard library and those before it.

    Raises SandboxError with cause and cure where code can't be isolated so, and InputError for
    arguments that don't go together; there is no silent fallback.
    """
    if sys.platform != "linux":
        raise SandboxError(wrong_system(sys.platform))
    if tier not in get_args(Tier) or profile not in get_args(Profile):
        raise InputError(
            f"tier {tier!r} and profile {profile!r}: the tiers are {', '.join(get_args(Tier))}, "
            f"and the profiles {', '.join(get_args(Profile))}"
        )
    if tier == "reduced" and profile != "pure":
        raise InputError(f"profile {profile}: the reduced tier only knows `pure`; name that")
    runs = concurrency or len(os.sched_getaffinity(0))
    sandbox = LocalSandbox(
        interpreter or Path(sys.executable),
        Build(tier, profile, _preload(preload), _files(modules), runs),
        limits or SandboxLimits(),
        runs if ready is None else ready,
        contexts,
    )
    try:
        await sandbox.open()
        yield sandbox
    finally:
        await sandbox.close()


def _files(modules: Sequence[ModuleType]) -> tuple[tuple[str, str], ...]:
    return tuple((module.__name__, str(module.__file__)) for module in modules)


def _preload(preload: str | Sequence[str]) -> tuple[str, ...]:
    if not isinstance(preload, str):
        return tuple(preload)
    if preload not in PRELOADS:
        known = ", ".join(PRELOADS)
        raise InputError(f"preload {preload!r}: not a set ({known}); list modules instead")
    return PRELOADS[preload]
