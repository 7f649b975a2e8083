"""Inspect a sandbox's processes from the host."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox
from tests.sandbox_host import DEBIAN, descendants, serves

PYTHON = DEBIAN if serves(DEBIAN) else None
"""An interpreter that works in every tier; `None` for our own."""


def descriptors(pid: str) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def settle(condition: Callable[[], bool], seconds: float = 10) -> bool:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


def init_of(keeper: int) -> int:
    """Return the zygote itself, process 1 of its namespace."""
    (child,) = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    return int(child)


def pid_of(sandbox: LocalSandbox) -> int:
    assert sandbox.zygote_pid is not None
    return sandbox.zygote_pid


async def idle(sandbox: LocalSandbox, ready: int = 0) -> set[int]:
    """Return the sandbox's processes once past runs are dead; `ready` children are forked ahead."""
    keeper = pid_of(sandbox)
    found: set[int] = set()

    def still() -> bool:
        before = set(found)
        found.clear()
        found.update(descendants(keeper))
        return found == before and len(found) == 1 + ready

    assert await settle(still)
    return found
