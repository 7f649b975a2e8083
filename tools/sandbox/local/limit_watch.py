"""Check what a process uses at intervals and report when it passes a limit."""

import asyncio
from collections.abc import Callable

from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.sandbox.local.child import Child
from opencodeinterpreter.tools.sandbox.local.meter import ResourceUsage

_LOOK_SECONDS = 0.005
_LONG_LOOK_SECONDS = 0.05
"""Intervals of a quick check, and of one that walks folders or process trees."""
_IDLE_FACTOR = 20
"""Factor on the interval for a context between cells."""


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
        self._looking: asyncio.Task[None] | None = None
        build = child.zygote.build
        self._tree = build.profile == "proc"
        self._own_room = not build.folder
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
        except OSError:
            return
        self._later()

    def stop(self) -> None:
        """Stop watching."""
        if self._next:
            self._next.cancel()
        if self._looking:
            self._looking.cancel()

    @property
    def _long(self) -> bool:
        return self._tree or not self._own_room

    def _later(self) -> None:
        seconds = (_LONG_LOOK_SECONDS if self._long else _LOOK_SECONDS) * self._factor
        self._next = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        meter = self._child.meter
        if meter is None or self._child.ended.done():
            return
        if self._long:
            self._looking = self._loop.create_task(self._look_long())
            return
        try:
            self._weigh(meter.read())
        except (OSError, IndexError):
            return
        self._later()

    async def _look_long(self) -> None:
        meter, room = self._child.meter, self._child.room
        if meter is None:
            return
        try:
            read = meter.read_all if self._tree else meter.read
            self._weigh(await asyncio.to_thread(read))
            if room:
                used = await asyncio.to_thread(room.used)
                if used > self._limits.disk_mb << 20:
                    self._over("disk")
        except (OSError, IndexError):
            return
        self._later()

    def _weigh(self, usage: ResourceUsage) -> None:
        limits = self._limits
        if usage.resident - self._child.zygote.facts.resident > limits.memory_mb << 20:
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
