"""The local sandbox: untrusted Python on this machine's own kernel, no account, no daemon.

A warm interpreter (the zygote) lives in namespaces of its own with a read-only root. Each run
is a child forked from it, sealed before its first line (see `seal`), and killed with all it
started when it ends.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.sandbox.client import Facts, ZygoteClient, ZygoteDiedError
from opencodeinterpreter.tools.sandbox.proof import Canary, prove
from opencodeinterpreter.tools.sandbox.protocol import Execution, SandboxLimits, Tier
from opencodeinterpreter.tools.sandbox.refusal import wrong_system
from opencodeinterpreter.tools.sandbox.run import Run

_ATTEMPTS = 2
"""Code in the sandbox changes nothing outside, so a run whose zygote died is simply done again."""


class LocalSandbox:
    """Runs code in children of a zygote; see `open_local_sandbox`."""

    def __init__(self, interpreter: Path, limits: SandboxLimits, concurrency: int) -> None:
        self._interpreter = interpreter
        self._limits = limits
        self._concurrency = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._starting = asyncio.Lock()
        self._zygote: ZygoteClient | None = None
        self._closed = False
        self.proof: tuple[Canary, ...] = ()
        """What the throw-away run tried when the sandbox was opened."""

    @property
    def tier(self) -> Tier:
        """The isolation that the throw-away run proved."""
        return "full"

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
        files: Mapping[str, str] | None = None,
        stdin: str = "",
        limits: SandboxLimits | None = None,
    ) -> Execution:
        """Run `code` as the protocol says; waits while too many runs are under way.

        Raises SandboxError when the sandbox breaks or is closed.
        """
        async with self._slots:
            for _ in range(_ATTEMPTS):
                zygote = await self._running_zygote()
                try:
                    run = Run(zygote, limits or self._limits)
                    return await run.carry_out(code, files or {}, stdin)
                except ZygoteDiedError:
                    continue
        raise SandboxError(
            f"the sandbox's zygote died {_ATTEMPTS} times under one run: "
            "is the machine out of memory? See the kernel's log"
        )

    async def open(self) -> None:
        """Start the zygote and prove that it isolates; raises SandboxError."""
        await self._running_zygote()
        self.proof = await prove(self)

    async def close(self) -> None:
        """End the zygote and every run in it."""
        self._closed = True
        async with self._starting:
            if self._zygote:
                await self._zygote.close()

    async def _running_zygote(self) -> ZygoteClient:
        async with self._starting:
            if self._closed:
                raise SandboxError("the sandbox is closed: open another one")
            if self._zygote is None or not self._zygote.alive:
                if self._zygote:
                    await self._zygote.close()
                self._zygote = await ZygoteClient.start(self._interpreter, self._concurrency)
            return self._zygote


@asynccontextmanager
async def open_local_sandbox(
    *,
    interpreter: Path | None = None,
    limits: SandboxLimits | None = None,
    concurrency: int | None = None,
) -> AsyncIterator[LocalSandbox]:
    """Open the local sandbox in its `full` tier and close it at the end.

    `interpreter`: a Python of 3.11 or newer, or a venv's, whose packages runs can then import;
    by default our own. `limits`: for runs that name none. `concurrency`: most runs at once, by
    default one per processor. Raises SandboxError with cause and cure where code can't be
    isolated; there is no weaker fallback.
    """
    if sys.platform != "linux":
        raise SandboxError(wrong_system(sys.platform))
    sandbox = LocalSandbox(
        interpreter or Path(sys.executable),
        limits or SandboxLimits(),
        concurrency or len(os.sched_getaffinity(0)),
    )
    try:
        await sandbox.open()
        yield sandbox
    finally:
        await sandbox.close()
