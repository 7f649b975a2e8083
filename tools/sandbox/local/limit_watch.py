"""Check what a process uses at intervals and report when it passes a limit."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress

from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.sandbox.local.child import Child
from opencodeinterpreter.tools.sandbox.local.descriptors import deleted_bytes
from opencodeinterpreter.tools.sandbox.local.meter import Meter, ResourceUsage

_LOOK_SECONDS = 0.005
_LONG_LOOK_SECONDS = 0.05
"""Intervals of a quick check, and of one that walks folders or process trees."""
_IDLE_FACTOR = 20
"""Factor on the interval for a context between cells."""
_GONE = (OSError, IndexError, KeyError, ValueError)
"""What a meter raises if its process is gone."""


class LimitWatch:
    """Watches a child from `begin` to `stop`.

    Calls `over` with the name of each limit that is passed, possibly more than once.
    """

    def __init__(self, child: Child, limits: SandboxLimits, over: Callable[[str], None]) -> None:
        self._child = child
        self._limits = limits
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.TimerHandle | None = None
        self._walks: list[asyncio.Task[None]] = []
        self._own_room = not child.zygote.build.folder
        self._spent = 0.0
        self._factor = 1
        self.hit: set[str] = set()
        """Limits seen reached that do not end the run; the code gets an exception instead."""

    def begin(self, *, idle: bool = False) -> None:
        """Start watching; CPU time counts from here."""
        self.stop()
        meter = self._child.meter
        if meter is None or self._child.ended.done():
            return
        self._factor = _IDLE_FACTOR if idle else 1
        self.hit.clear()
        try:
            self._spent = meter.cpu_seconds()
        except _GONE:
            return
        walks = [self._watch_tree] * meter.slow + [self._watch_room] * bool(self._child.room)
        self._walks = [self._loop.create_task(walk(meter)) for walk in walks]
        if not meter.slow:
            self._later()

    def stop(self) -> None:
        """Stop watching."""
        if self._next:
            self._next.cancel()
        for walk in self._walks:
            walk.cancel()

    def _later(self) -> None:
        seconds = _LOOK_SECONDS if self._own_room else _LONG_LOOK_SECONDS
        self._next = self._loop.call_later(seconds * self._factor, self._look)

    def _look(self) -> None:
        meter = self._child.meter
        if meter is None or self._child.ended.done():
            return
        try:
            self._weigh(meter.read())
        except _GONE:
            return
        self._later()

    async def _watch_tree(self, meter: Meter) -> None:
        with suppress(*_GONE):
            while not self._child.ended.done():
                # At moments that a run cannot foresee; see `TreeMeter`.
                await asyncio.sleep(_LONG_LOOK_SECONDS * self._factor * random.uniform(0.5, 1.5))
                self._weigh(await asyncio.to_thread(meter.read))

    async def _watch_room(self, meter: Meter) -> None:
        """Weigh the folder apart from all else: a walk takes as long as the run makes it."""
        room, folder = self._child.room, self._child.private_folder
        with suppress(OSError):
            while room and not self._child.ended.done():
                await asyncio.sleep(_LONG_LOOK_SECONDS * self._factor)
                # In this order, a file that is deleted meanwhile counts once at most.
                deleted = await asyncio.to_thread(deleted_bytes, meter.pid, folder)
                if deleted is None:
                    # It may have been opened and mapped while its process was looked at.
                    deleted = await asyncio.to_thread(deleted_bytes, meter.pid, folder)
                named = await asyncio.to_thread(room.used)
                if deleted is None or named + deleted > self._limits.disk_mb << 20:
                    self._over("disk")

    def _weigh(self, usage: ResourceUsage) -> None:
        limits = self._limits
        if usage.memory > limits.memory_mb << 20:
            self._over("memory")
        elif usage.cpu_seconds - self._spent > limits.cpu_seconds:
            self._over("cpu")
        elif usage.processes > limits.processes and not self._own_room:
            # In this tier the kernel cannot count processes per run.
            self._over("processes")
        if usage.processes >= limits.processes:
            self.hit.add("processes")
        self.look_at_disk()

    def look_at_disk(self) -> None:
        """Record whether the work folder is full. A folder on the host is measured instead."""
        if self._own_room and self._child.folder and self._child.folder.full():
            self.hit.add("disk")
