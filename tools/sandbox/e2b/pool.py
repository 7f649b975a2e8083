"""A pool of E2B sandboxes that limits their number and creation rate and ends all of them."""

import asyncio
import hashlib
import math
import os
import platform
import random
import uuid
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.sandbox.e2b.calls import E2BTransientError, Handle, ask
from opencodeinterpreter.tools.sandbox.e2b.settings import E2BSettings

_LABEL = "opencodeinterpreter"
_MARGIN_SECONDS = 30
"""How much longer a sandbox lives than it is needed."""
_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 8.0
_KILL_TRIES = 3


class Rate:
    """A token bucket that holds one token and refills at `per_second`."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        self._next = -math.inf

    async def take(self) -> None:
        """Wait for a token; waiting callers are served in order."""
        now = asyncio.get_running_loop().time()
        at = max(now, self._next)
        self._next = at + self._interval
        await asyncio.sleep(at - now)


@dataclass(eq=False)
class Lease:
    """A sandbox that one run or context uses alone."""

    handle: Handle
    expires: float
    """When E2B ends it, in the event loop's time."""
    counted: bool = False
    """Whether it counts towards `concurrency`."""
    runs: int = 0


class E2BPool:
    """Creates, lends and ends sandboxes; see `open_e2b_sandbox`."""

    def __init__(self, settings: E2BSettings, key: SecretStr, sdk: Any) -> None:
        self._sandbox = sdk
        self._settings = settings
        self._places = asyncio.Semaphore(settings.concurrency)
        self._rate = Rate(settings.creations_per_second)
        self._alive: set[Lease] = set()
        self._idle: list[Lease] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._connection: dict[str, Any] = {
            "api_key": key.get_secret_value(),
            "request_timeout": settings.call_seconds,
            **settings.model_dump(include={"domain", "api_url", "sandbox_url"}, exclude_none=True),
        }

    async def take(self, seconds: float) -> Lease:
        """Return a sandbox for a run of `seconds`; wait for a free slot. Raises SandboxError."""
        await self._places.acquire()
        try:
            lease = await self._used(seconds) or await self.make(seconds)
        except BaseException:
            self._places.release()
            raise
        lease.counted = True
        return lease

    def give_back(self, lease: Lease) -> None:
        """Take back an intact sandbox after a run."""
        lease.runs += 1
        if lease.runs >= self._settings.runs_per_sandbox:
            self.end(lease)
        elif lease in self._alive:
            lease.counted = False
            self._idle.append(lease)
            self._places.release()

    async def make(self, seconds: float) -> Lease:
        """Create a sandbox that lives `seconds` or longer; retry for `patience_seconds`.

        The caller ends it. Raises SandboxError.
        """
        clock = asyncio.get_running_loop().time
        give_up = clock() + self._settings.patience_seconds
        # The same for each attempt, so that a lost answer does not leave a second sandbox.
        key = str(uuid.uuid4())
        pause = _PAUSE_SECONDS
        while True:
            await self._rate.take()
            try:
                return await self._kept(self._create(seconds, key))
            except E2BTransientError:
                if clock() + pause > give_up:
                    raise
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def fork(self, lease: Lease) -> Lease:
        """Create a copy of `lease`'s sandbox, memory included."""
        await self._rate.take()
        return await self._kept(self._copy(lease))

    async def extend(self, lease: Lease, seconds: float) -> None:
        """Extend a sandbox's life by `seconds`; raises E2BTransientError if it is gone."""
        now = asyncio.get_running_loop().time()
        lifetime = self._lifetime(seconds)
        if now >= lease.expires:
            raise E2BTransientError("the sandbox reached the end of its life at E2B")
        if lease.expires - now < seconds + _MARGIN_SECONDS:
            call = lease.handle.set_timeout(lifetime)
            await ask("let a sandbox live on", call, self._settings.call_seconds)
            lease.expires = now + lifetime

    def end(self, lease: Lease) -> None:
        """End a sandbox without waiting; its slot is free when it is gone."""
        if lease not in self._alive:
            return
        self._alive.remove(lease)
        killing = self._spawn(self._kill(lease.handle))
        if lease.counted:
            killing.add_done_callback(lambda _: self._places.release())

    async def close(self) -> None:
        """End all sandboxes, including those in use, and wait until they are gone."""
        self._closed = True
        self._idle.clear()
        while self._alive or self._tasks:
            for lease in list(self._alive):
                self.end(lease)
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def reap(self) -> None:
        """End sandboxes that dead processes of this machine left running; raises SandboxError."""
        from e2b import SandboxQuery

        place = await asyncio.to_thread(_place)
        pages = self._sandbox.list(SandboxQuery(metadata={_LABEL: place}), **self._connection)
        while pages.has_next:
            found = await ask("list sandboxes", pages.next_items(), self._settings.call_seconds)
            for sandbox in found:
                if _dead(sandbox.metadata.get("process", "")):
                    call = self._sandbox.kill(sandbox.sandbox_id, **self._connection)
                    await ask("end a forgotten sandbox", call, self._settings.call_seconds)

    async def _used(self, seconds: float) -> Lease | None:
        """Return an idle, used sandbox that lives `seconds` longer, or `None`."""
        while self._idle:
            lease = self._idle.pop()
            try:
                await self.extend(lease, seconds)
                return lease
            except BaseException as error:
                self.end(lease)
                if not isinstance(error, E2BTransientError):
                    raise
        return None

    def _lifetime(self, seconds: float) -> int:
        return max(self._settings.lifetime_seconds, math.ceil(seconds) + _MARGIN_SECONDS)

    async def _kept(self, making: Coroutine[Any, Any, Lease]) -> Lease:
        """Await the creation of a sandbox; if cancelled, end the sandbox when it exists."""
        if self._closed:
            making.close()
            raise SandboxError("the sandbox is closed: open a new one")
        task = self._spawn(making)
        try:
            lease: Lease = await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._unwanted)
            raise
        return lease

    def _unwanted(self, task: asyncio.Task[Lease]) -> None:
        if not task.cancelled() and task.exception() is None:
            self.end(task.result())

    def _known(self, handle: Handle, expires: float) -> Lease:
        lease = Lease(handle, expires)
        self._alive.add(lease)
        return lease

    async def _create(self, seconds: float, key: str) -> Lease:
        lifetime = self._lifetime(seconds)
        expires = asyncio.get_running_loop().time() + lifetime
        call = self._sandbox.create(
            template=self._settings.template,
            timeout=lifetime,
            metadata={_LABEL: await asyncio.to_thread(_place), "process": str(os.getpid())},
            allow_internet_access=self._settings.internet_access,
            idempotency_key=key,
            # The SDK's retries would exceed our rate.
            retries=0,
            **self._connection,
        )
        return self._known(await ask("make a sandbox", call, self._settings.call_seconds), expires)

    async def _copy(self, lease: Lease) -> Lease:
        lifetime = self._settings.lifetime_seconds
        expires = asyncio.get_running_loop().time() + lifetime
        call = lease.handle.fork(timeout=lifetime, count=1)
        (copy,) = await ask("fork a sandbox", call, self._settings.call_seconds)
        if isinstance(copy, Exception):
            raise E2BTransientError(f"E2B failed to fork a sandbox: {copy}")
        return self._known(copy, expires)

    async def _kill(self, handle: Handle) -> None:
        # A sandbox that cannot be ended now ends with its lifetime.
        for _ in range(_KILL_TRIES):
            with suppress(SandboxError):
                await ask("end a sandbox", handle.kill(), self._settings.call_seconds)
                return

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _place() -> str:
    """Return an id of this boot and pid namespace, within which process ids are valid."""
    parts = [platform.node()]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):
            at = Path(path)
            parts.append(str(at.readlink()) if at.is_symlink() else at.read_text())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _dead(process: str) -> bool:
    """Return whether no process has this id; an id that is in use again counts as alive."""
    if not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        pass
    return False
