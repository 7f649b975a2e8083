"""Many runs at once, cancelled runs, and children forked ahead."""

import asyncio
import gc
import os
import random
import signal
import time
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.sandbox.local.sandbox import open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from opencodeinterpreter.tools.sandbox.protocol import RunExtras, Tier
from tests.sandbox_host import REDUCED, alive, descendants
from tests.sandbox_processes import PYTHON, descriptors, idle, init_of, pid_of, settle


async def test_twenty_runs_at_once_each_get_their_own_answer() -> None:
    async with open_local_sandbox(LocalSandboxSettings(concurrency=4)) as sandbox:
        runs = (sandbox.run_code(f"print(input(), {n})", stdin=str(n)) for n in range(20))
        told = [run.logs.stdout for run in await asyncio.gather(*runs)]
        assert told == [f"{n} {n}\n" for n in range(20)]


async def test_no_more_runs_than_allowed_are_under_way() -> None:
    async with open_local_sandbox(LocalSandboxSettings(concurrency=2)) as sandbox:
        began = time.monotonic()
        await asyncio.gather(*(sandbox.run_code("import time; time.sleep(0.2)") for _ in range(6)))
        assert time.monotonic() - began >= 0.6


async def test_cancelled_runs_leave_no_process_and_no_descriptor() -> None:
    async with open_local_sandbox(LocalSandboxSettings(concurrency=8, ready=0)) as sandbox:
        await idle(sandbox)
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
        await idle(sandbox)
        assert await settle(lambda: descriptors("self") == open_before)
        assert (await sandbox.run_code("print(1)")).logs.stdout == "1\n"


async def test_closing_ends_every_process_and_later_runs_are_refused() -> None:
    async with open_local_sandbox(LocalSandboxSettings(concurrency=2, ready=0)) as sandbox:
        keeper = pid_of(sandbox)
        await idle(sandbox)
        running = asyncio.create_task(sandbox.run_code("import time; time.sleep(60)"))
        assert await settle(lambda: len(descendants(keeper)) == 2)
        processes = {keeper, *descendants(keeper)}
    with pytest.raises(SandboxError):
        await running
    assert not any(map(alive, processes))
    with pytest.raises(SandboxError, match="closed"):
        await sandbox.run_code("print(1)")


async def test_a_run_never_blocks_the_event_loop() -> None:
    async with open_local_sandbox(LocalSandboxSettings(concurrency=2)) as sandbox:
        with blockbuster_ctx():
            run = await sandbox.run_code("print(input())", files={"a": "b"}, stdin="x")
            limits = SandboxLimits(wall_seconds=0.2)
            stopped = await sandbox.run_code("while True: pass", limits=limits)
    assert (run.status, run.logs.stdout, stopped.reason) == ("ok", "x\n", "wall")


async def test_opening_and_closing_never_block_the_event_loop() -> None:
    with blockbuster_ctx():
        async with open_local_sandbox(LocalSandboxSettings(concurrency=1)) as sandbox:
            run = await sandbox.run_code("print(1)")
    assert run.logs.stdout == "1\n"


async def test_many_runs_leave_no_trace() -> None:
    async with open_local_sandbox(LocalSandboxSettings(concurrency=2, ready=0)) as sandbox:
        await sandbox.run_code("pass")
        (init,) = await idle(sandbox)

        def used() -> tuple[int, int]:
            ours = descriptors("self")
            return ours, descriptors(str(init))

        before = used()
        for _ in range(20):
            await asyncio.gather(*(sandbox.run_code("pass") for _ in range(10)))
        await idle(sandbox)
        assert await settle(lambda: used() == before), (used(), before)


async def test_a_run_counts_until_its_process_is_dead() -> None:
    async with open_local_sandbox(LocalSandboxSettings(concurrency=1, ready=0)) as sandbox:
        (init,) = await idle(sandbox)
        runs = asyncio.gather(*(sandbox.run_code("pass") for _ in range(20)))
        most = 0
        while not runs.done():
            most = max(most, len(descendants(init)))
            await asyncio.sleep(0.001)
        assert most == 1


async def test_a_program_is_over_and_done_with_when_it_answers() -> None:
    """Threads and exit handlers end before the answer; anything left is killed."""
    code = (
        "import atexit, os, threading, time\n"
        "def go_on():\n"
        "    n = 0\n"
        "    while True: n += 1; open('count', 'w').write(str(n).zfill(9))\n"
        "threading.Thread(target=go_on, daemon=True).start()\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()\n"
        "atexit.register(print, 'exit')\n"
        "print('end')"
    )
    async with open_local_sandbox(LocalSandboxSettings(concurrency=1, ready=0)) as sandbox:
        run = await sandbox.run_code(code, extras=RunExtras(collect=["count"]))
        assert (run.status, run.logs.stdout) == ("ok", "end\nthread\nexit\n")
        assert [artifact.path for artifact in run.artifacts] == ["count"]
        await idle(sandbox)


async def test_children_forked_ahead_are_used_and_replaced() -> None:
    async with open_local_sandbox(LocalSandboxSettings(concurrency=2, ready=2)) as sandbox:
        init = init_of(pid_of(sandbox))
        waiting = await idle(sandbox, ready=2) - {init}
        assert (await sandbox.run_code("print(1)")).logs.stdout == "1\n"
        assert len(waiting & await idle(sandbox, ready=2)) == 1
        # Children forked with other limits do not fit.
        await sandbox.run_code("pass", limits=SandboxLimits(disk_mb=1))
        assert await settle(lambda: len(descendants(init)) == 2 and not waiting & descendants(init))


async def test_a_child_that_dies_while_it_waits_is_not_used() -> None:
    async with open_local_sandbox(LocalSandboxSettings(concurrency=1, ready=1)) as sandbox:
        init = init_of(pid_of(sandbox))
        for _ in range(3):
            (waiting,) = await idle(sandbox, ready=1) - {init}
            os.kill(waiting, signal.SIGKILL)
            assert await settle(lambda: waiting not in descendants(init))  # noqa: B023
            # The zygote has reaped it; now the host is notified.
            await asyncio.sleep(0.2)
            assert (await sandbox.run_code("print(1)")).logs.stdout == "1\n"


@pytest.mark.slow
@pytest.mark.parametrize("tier", ["full", REDUCED])
async def test_two_hundred_runs_cancelled_at_any_moment_leave_nothing(tier: Tier) -> None:
    chance = random.Random(11)
    async with open_local_sandbox(
        LocalSandboxSettings(interpreter=PYTHON, tier=tier, concurrency=4)
    ) as sandbox:
        await sandbox.run_code("pass")
        await settle(lambda: False, 1)
        keeper = pid_of(sandbox)
        gc.collect()
        idle, open_before = len(descendants(keeper)), descriptors("self")

        async def cancelled_run() -> None:
            work = "import time; time.sleep(0.02)" if chance.random() < 0.5 else "pass"
            run = asyncio.create_task(sandbox.run_code(work))
            await asyncio.sleep(chance.random() * 0.1)
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)

        await asyncio.gather(*(cancelled_run() for _ in range(200)))
        assert await settle(lambda: len(descendants(keeper)) == idle)
        gc.collect()
        assert await settle(lambda: descriptors("self") == open_before)
        assert pid_of(sandbox) == keeper
        assert (await sandbox.run_code("print(1)")).logs.stdout == "1\n"


@pytest.mark.slow
async def test_ten_thousand_runs_leave_no_trace() -> None:
    def resident(pid: int) -> int:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4

    async with open_local_sandbox(LocalSandboxSettings(concurrency=2)) as sandbox:
        keeper = pid_of(sandbox)
        init = init_of(keeper)

        def used() -> tuple[int, int, int, int]:
            mounts = len(Path(f"/proc/{init}/mounts").read_text().splitlines())
            return descriptors("self"), descriptors(str(init)), mounts, len(descendants(keeper))

        async def runs(count: int) -> None:
            for _ in range(count // 20):
                told = await asyncio.gather(*(sandbox.run_code("print(1)") for _ in range(20)))
                assert {run.logs.stdout for run in told} == {"1\n"}

        await runs(500)
        await settle(lambda: False, 1)
        before, memory = used(), (resident(os.getpid()), resident(init))
        await runs(10_000)
        assert await settle(lambda: used() == before), (used(), before)
        after = resident(os.getpid()), resident(init)
        grown = [now - then for now, then in zip(after, memory, strict=True)]
        # KiB; a leak of 1 KiB a run would be 10,000.
        assert max(grown) < 4000, grown
        assert pid_of(sandbox) == keeper
