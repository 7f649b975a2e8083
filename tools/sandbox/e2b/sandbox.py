"""E2B's cloud sandboxes behind the same door as the local one (extra `e2b`).

A one-shot run is a process of its own in a sandbox that nothing else has used and nothing else
will; a context is a kernel in a sandbox that it has to itself. See `docs/e2b.md`.
"""

import asyncio
import importlib.util
import os
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
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
from opencodeinterpreter.tools.sandbox.protocol import Context, FileInfo, OnStdout
from opencodeinterpreter.tools.sandbox.shared.listener import Listener
from opencodeinterpreter.tools.sandbox.shared.reservations import Reservations

KEY_VARIABLE = "E2B_API_KEY"
_ATTEMPTS = 3
"""Code in the sandbox changes nothing outside, so a run whose sandbox was lost is done again."""
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
        """Keeps room for contexts; see `ContextSandbox`."""
        self._contexts: dict[str, E2BContext] = {}

    @property
    def tier(self) -> str:
        """`e2b`, or `e2b shared` where one-shot runs are not kept apart from each other."""
        return "e2b" if self._settings.runs_per_sandbox == 1 else "e2b shared"

    @property
    def holds(self) -> frozenset[str]:
        """None of our modules: each program brings what it needs."""
        return frozenset()

    async def run_code(
        self,
        code: str,
        *,
        files: Mapping[str, str | bytes] | None = None,
        stdin: str = "",
        limits: SandboxLimits | None = None,
        context: Context | None = None,
        collect: Sequence[str] = (),
        seed: int | None = None,
        on_stdout: OnStdout | None = None,
    ) -> Execution:
        """Run `code` as the protocol says; waits while there are too many sandboxes."""
        named = {checked(path): data for path, data in (files or {}).items()}
        listener = Listener(on_stdout)
        request = RunRequest(code, named, stdin, limits or self._limits, collect, seed, listener)
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
        """Make an empty context in a sandbox of its own."""
        found = E2BContext(self._pool, limits or self._limits, self._settings.call_seconds)
        context = self._known(found)
        try:
            await found.open()
        except BaseException:
            await self.remove_context(context)
            raise
        return context

    async def restart_context(self, context: Context) -> None:
        """Empty `context`."""
        await self._find(context).restart()

    async def remove_context(self, context: Context) -> None:
        """End `context` and its sandbox; one that is gone already is no error."""
        if found := self._contexts.pop(context.id, None):
            found.remove()

    async def fork_context(self, context: Context) -> Context:
        """Make a second context in the same state: E2B copies the sandbox with its memory."""
        self._check_room()
        return self._known(await self._find(context).fork())

    async def read_file(self, context: Context, path: str) -> bytes:
        """Return a file of the context's work folder."""
        return await self._find(context).read(path)

    async def write_file(self, context: Context, path: str, data: bytes) -> None:
        """Write a file into the context's work folder."""
        await self._find(context).write(path, data)

    async def list_files(self, context: Context, path: str = ".") -> tuple[FileInfo, ...]:
        """Return the entries of a folder of the context's work folder, by name."""
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
            raise InputError(
                f"there is no context {context.id!r} in this sandbox (any more): create another one"
            )
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
    """Open E2B and end all of its sandboxes at the end, with those that dead programs left.

    `key`: of an E2B account, by default the value of `E2B_API_KEY`. `limits`: for runs and
    contexts that name none. Raises InputError without the extra or a key, and SandboxError where
    E2B can't be reached or refuses the key.
    """
    settings = settings or E2BSettings()
    key = key or SecretStr(os.environ.get(KEY_VARIABLE, ""))
    if importlib.util.find_spec("e2b_code_interpreter") is None:
        raise InputError(_EXTRA)
    if not key.get_secret_value():
        raise InputError(
            f"E2B needs the key of an account: set {KEY_VARIABLE} (https://e2b.dev/dashboard), "
            "or use the local sandbox"
        )
    # Half a second of imports, which must not hold the loop up.
    pool = E2BPool(settings, key, await asyncio.to_thread(_sdk))
    sandbox = E2BSandbox(pool, settings, limits or SandboxLimits())
    try:
        await pool.reap()
        yield sandbox
    finally:
        await sandbox.close()
