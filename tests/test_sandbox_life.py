"""The life of the sandbox: many runs at once, cancelled ones, deaths of zygote and host."""

import asyncio
import gc
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.sandbox.local import LocalSandbox, open_local_sandbox
from opencodeinterpreter.tools.sandbox.protocol import SandboxLimits


def descendants(pid: int) -> set[int]:
    """The processes of the host that stem from `pid`."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    stack = [pid]
    while stack:
        for child in children.get(stack.pop(), []):
            found.add(child)
            stack.append(child)
    return found


def descriptors(pid: str) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def settle(condition: Callable[[], bool], seconds: float = 10) -> bool:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def pid_of(sandbox: LocalSandbox) -> int:
    assert sandbox.zygote_pid is not None
    return sandbox.zygote_pid


async def test_twenty_runs_at_once_each_get_their_own_answer() -> None:
    async with open_local_sandbox(concurrency=4) as sandbox:
        runs = (sandbox.run_code(f"print(input(), {n})", stdin=str(n)) for n in range(20))
        told = [run.logs.stdout for run in await asyncio.gather(*runs)]
        assert told == [f"{n} {n}\n" for n in range(20)]


async def test_no_more_runs_than_allowed_are_under_way() -> None:
    async with open_local_sandbox(concurrency=2) as sandbox:
        began = time.monotonic()
        await asyncio.gather(*(sandbox.run_code("import time; time.sleep(0.2)") for _ in range(6)))
        assert time.monotonic() - began >= 0.6


async def test_cancelled_runs_leave_no_process_and_no_descriptor() -> None:
    async with open_local_sandbox(concurrency=8) as sandbox:
        keeper = pid_of(sandbox)
        idle = descendants(keeper)
        gc.collect()
        open_before = descriptors("self")
        chance = random.Random(7)
        for _ in range(10):
            tasks = [
                asyncio.create_task(sandbox.run_code("import time; time.sleep(60)"))
                for _ in range(4)
            ]
            await asyncio.sleep(chance.random() * 0.03)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert await settle(lambda: descendants(keeper) == idle)
        assert await settle(lambda: descriptors("self") == open_before)
        assert (await sandbox.run_code("print(1)")).logs.stdout == "1\n"


async def test_a_run_whose_zygote_is_killed_is_done_again() -> None:
    async with open_local_sandbox(concurrency=2) as sandbox:
        first = pid_of(sandbox)
        before = descendants(first)
        run = asyncio.create_task(sandbox.run_code("import time; time.sleep(0.3); print('done')"))
        assert await settle(lambda: descendants(first) > before)
        os.kill(first, signal.SIGKILL)
        assert (await run).logs.stdout == "done\n"
        assert pid_of(sandbox) != first
        assert await settle(lambda: not any(map(alive, before)))


async def test_a_zygote_that_dies_between_runs_is_replaced() -> None:
    async with open_local_sandbox(concurrency=1) as sandbox:
        (init,) = descendants(pid_of(sandbox))
        os.kill(init, signal.SIGKILL)
        assert (await sandbox.run_code("print(1)")).logs.stdout == "1\n"


async def test_closing_ends_every_process_and_later_runs_are_refused() -> None:
    async with open_local_sandbox(concurrency=2) as sandbox:
        keeper = pid_of(sandbox)
        running = asyncio.create_task(sandbox.run_code("import time; time.sleep(60)"))
        assert await settle(lambda: len(descendants(keeper)) == 2)
        processes = {keeper, *descendants(keeper)}
    with pytest.raises(SandboxError):
        await running
    assert not any(map(alive, processes))
    with pytest.raises(SandboxError, match="closed"):
        await sandbox.run_code("print(1)")


_HOST = """
import asyncio
from opencodeinterpreter.tools.sandbox.local import open_local_sandbox

async def main():
    async with open_local_sandbox(concurrency=2) as sandbox:
        runs = [asyncio.create_task(sandbox.run_code("while True: pass")) for _ in range(2)]
        print(sandbox.zygote_pid, flush=True)
        await asyncio.gather(*runs)

asyncio.run(main())
"""


async def test_killing_the_host_leaves_nothing_running() -> None:
    host = subprocess.Popen([sys.executable, "-c", _HOST], stdout=subprocess.PIPE)
    try:
        assert host.stdout is not None
        keeper = int(await asyncio.to_thread(host.stdout.readline))
        assert await settle(lambda: len(descendants(keeper)) == 3)
        processes = {keeper, *descendants(keeper)}
    finally:
        host.kill()
        await asyncio.to_thread(host.communicate)
    assert await settle(lambda: not any(map(alive, processes)))


async def test_a_run_never_blocks_the_event_loop() -> None:
    async with open_local_sandbox(concurrency=2) as sandbox:
        with blockbuster_ctx():
            run = await sandbox.run_code("print(input())", files={"a": "b"}, stdin="x")
            limits = SandboxLimits(wall_seconds=0.2)
            stopped = await sandbox.run_code("while True: pass", limits=limits)
    assert (run.status, run.logs.stdout, stopped.reason) == ("ok", "x\n", "wall")


async def test_many_runs_leave_no_trace() -> None:
    async with open_local_sandbox(concurrency=2) as sandbox:
        keeper = pid_of(sandbox)
        await sandbox.run_code("pass")
        idle = descendants(keeper)
        (init,) = idle

        def used() -> tuple[int, int]:
            ours = descriptors("self")
            return ours, descriptors(str(init))

        before = used()
        for _ in range(20):
            await asyncio.gather(*(sandbox.run_code("pass") for _ in range(10)))
        assert await settle(lambda: descendants(keeper) == idle)
        assert await settle(lambda: used() == before)
