"""E2B's cloud sandboxes, with the interface of the local sandbox (extra `e2b`).

A run without a context is a process in a sandbox of its own, which is not used again; a context is
a kernel in a sandbox of its own. See `docs/e2b.md`.
"""

import asyncio
import importlib.util
import os
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr

from opencodeinterpreter.tools.errors import InputError, SandboxError
from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.sandbox.e2b.calls import E2BTransientError
from opencodeinterpreter.tools.sandbox.e2b.context import E2BContext
from opencodeinterpreter.tools.sandbox.e2b.files import checked
from opencodeinterpreter.tools.sandbox.e2b.pool import E2BPool
from opencodeinterpreter.tools.sandbox.e2b.program_run import GRACE_SECONDS, RunRequest, run_once
from opencodeinterpreter.tools.sandbox.e2b.settings import E2BSettings
from opencodeinterpreter.tools.sandbox.protocol import NO_EXTRAS, Context, FileInfo, RunExtras
from opencodeinterpreter.tools.sandbox.shared.collecting import Collecting
from opencodeinterpreter.tools.sandbox.shared.listener import Listener
from opencodeinterpreter.tools.sandbox.shared.reservations import Reservations

KEY_VARIABLE = "E2B_API_KEY"
_ATTEMPTS = 3
"""A run whose sandbox was lost is repeated: code in the sandbox changes nothing outside."""
_EXTRA = (
    "the e2b sandbox needs the extra `e2b`: pip install 'opencodeinterpreter[e2b]' "
    "(or uv pip install 'opencodeinterpreter[e2b]'); or use the local sandbox"
)


class E2BSandbox:
    """Runs code on E2B; see `open_e2b_sandbox`. A `ContextSandbox`."""

    def __init__(self, pool: E2BPool, settings: E2BSettings, limits: SandboxLimits) -> None:
        self._pool = pool
        self._settings = settings
        self._limits = limits
        self.reserve = Reservations(settings.contexts).reserve
        """Reserve contexts; see `ContextSandbox.reserve`."""
        self._contexts: dict[str, E2BContext] = {}

    @property
    def tier(self) -> str:
        """`e2b`, or `e2b shared` if runs share sandboxes, which does not isolate them."""
        return "e2b" if self._settings.runs_per_sandbox == 1 else "e2b shared"

    @property
    def holds(self) -> frozenset[str]:
        """Always empty: each program brings the modules that it needs."""
        return frozenset()

    async def run_code(
        self,
        code: str,
        *,
        files: Mapping[str, str | bytes] | None = None,
        stdin: str = "",
        limits: SandboxLimits | None = None,
        context: Context | None = None,
        extras: RunExtras = NO_EXTRAS,
    ) -> Execution:
        """Run `code`; see `ContextSandbox.run_code`. Waits while `concurrency` runs are active."""
        named = {checked(path): data for path, data in (files or {}).items()}
        limits = limits or self._limits
        listener = Listener(extras.on_stdout)
        collecting = (
            Collecting(tuple(extras.collect), {**extras.held, **named}) if extras.collect else None
        )
        request = RunRequest(code, named, stdin, limits, collecting, extras.seed, listener)
        clock = asyncio.get_running_loop().time
        began = clock()
        if context is None:
            execution = await self._one_shot(request)
            tier = self.tier
        else:
            execution = await self._find(context).run(request)
            tier = "e2b"
        told = {"tier": tier, "profile": "proc", "seconds": execution.seconds or clock() - began}
        return execution.model_copy(update=told)

    async def create_context(self, *, limits: SandboxLimits | None = None) -> Context:
        """Create an empty context in its own sandbox."""
        found = E2BContext(self._pool, limits or self._limits, self._settings.call_seconds)
        context = self._known(found)
        try:
            await found.open()
        except BaseException:
            await self.remove_context(context)
            raise
        return context

    async def restart_context(self, context: Context) -> None:
        """Clear `context`."""
        await self._find(context).restart()

    async def remove_context(self, context: Context) -> None:
        """End `context` and its sandbox. Does nothing if it was removed before."""
        if found := self._contexts.pop(context.id, None):
            found.remove()

    async def fork_context(self, context: Context) -> Context:
        """Create a copy of `context`: E2B copies the sandbox with its memory."""
        self._check_room()
        return self._known(await self._find(context).fork())

    async def read_file(self, context: Context, path: str) -> bytes:
        """Return the content of a file in the context's work folder."""
        return await self._find(context).read(path)

    async def write_file(self, context: Context, path: str, data: bytes) -> None:
        """Write a file into the context's work folder."""
        await self._find(context).write(path, data)

    async def list_files(self, context: Context, path: str = ".") -> tuple[FileInfo, ...]:
        """Return the entries of a folder in the context's work folder, sorted by name."""
        return await self._find(context).listed(path)

    async def close(self) -> None:
        """End all contexts and sandboxes."""
        while self._contexts:
            self._contexts.popitem()[1].remove()
        await self._pool.close()

    async def _one_shot(self, request: RunRequest) -> Execution:
        attempts = 1 if self._settings.internet_access else _ATTEMPTS
        while True:
            lease = await self._pool.take(request.limits.wall_seconds + GRACE_SECONDS)
            try:
                ended = await run_once(lease.handle, request, self._settings.call_seconds)
            except BaseException as error:
                self._pool.end(lease)
                attempts -= 1
                again = attempts and not request.listener.told
                if again and isinstance(error, E2BTransientError):
                    continue
                raise
            if ended.sound:
                self._pool.give_back(lease)
            else:
                self._pool.end(lease)
            return ended.execution

    def _check_room(self) -> None:
        if len(self._contexts) >= self._settings.contexts:
            raise SandboxError(
                f"{len(self._contexts)} contexts are open, the most that the setting `contexts` "
                "allows: remove one of them or raise it"
            )

    def _known(self, found: E2BContext) -> Context:
        self._check_room()
        context = Context(id=uuid.uuid4().hex)
        self._contexts[context.id] = found
        return context

    def _find(self, context: Context) -> E2BContext:
        found = self._contexts.get(context.id)
        if found is None:
            raise InputError(f"context {context.id}: not open in this sandbox; create a new one")
        return found


def _sdk() -> Any:
    from e2b_code_interpreter import AsyncSandbox  # type: ignore[import-untyped]

    return AsyncSandbox


@asynccontextmanager
async def open_e2b_sandbox(
    settings: E2BSettings | None = None,
    *,
    key: SecretStr | None = None,
    limits: SandboxLimits | None = None,
) -> AsyncIterator[E2BSandbox]:
    """Open an E2B sandbox; end all E2B sandboxes that it used when the block ends.

    Sandboxes that dead processes of this machine left running are ended at the start. `key`: an
    E2B API key, by default the value of `E2B_API_KEY`. `limits`: for runs and contexts that name
    none. Raises InputError without the extra or a key, and SandboxError if E2B cannot be reached
    or refuses the key.
    """
    settings = settings or E2BSettings()
    key = key or SecretStr(os.environ.get(KEY_VARIABLE, ""))
    if importlib.util.find_spec("e2b_code_interpreter") is None:
        raise InputError(_EXTRA)
    if not key.get_secret_value():
        raise InputError(
            f"E2B needs an API key: set {KEY_VARIABLE} (https://e2b.dev/dashboard), "
            "or use the local sandbox"
        )
    # In a thread: the import takes half a second, which would block the loop.
    pool = E2BPool(settings, key, await asyncio.to_thread(_sdk))
    sandbox = E2BSandbox(pool, settings, limits or SandboxLimits())
    try:
        await pool.reap()
        yield sandbox
    finally:
        await sandbox.close()
