"""The zygote or the host dies: runs are repeated and nothing is left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from opencodeinterpreter.tools.sandbox.local.sandbox import open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from opencodeinterpreter.tools.sandbox.protocol import Tier
from tests.sandbox_host import REDUCED, alive, descendants, needs_reduced
from tests.sandbox_processes import PYTHON, idle, pid_of, settle


async def test_a_run_whose_zygote_is_killed_is_done_again() -> None:
    async with open_local_sandbox(LocalSandboxSettings(concurrency=2, ready=0)) as sandbox:
        first = pid_of(sandbox)
        before = await idle(sandbox)
        run = asyncio.create_task(sandbox.run_code("import time; time.sleep(0.3); print('done')"))
        assert await settle(lambda: descendants(first) > before)
        os.kill(first, signal.SIGKILL)
        assert (await run).logs.stdout == "done\n"
        assert pid_of(sandbox) != first
        assert await settle(lambda: not any(map(alive, before)))


@pytest.mark.parametrize("tier", ["full", REDUCED])
async def test_runs_die_with_their_zygote(tier: Tier) -> None:
    async with open_local_sandbox(
        LocalSandboxSettings(interpreter=PYTHON, tier=tier, concurrency=2, ready=0)
    ) as sandbox:
        keeper = pid_of(sandbox)
        (init,) = await idle(sandbox)
        run = asyncio.create_task(sandbox.run_code("import time; time.sleep(600)"))
        assert await settle(lambda: len(descendants(init)) == 1)
        processes = {keeper, *descendants(keeper)}
        run.cancel()
        os.kill(init, signal.SIGKILL)
        assert await settle(lambda: not any(map(alive, processes)))


async def test_a_zygote_that_dies_between_runs_is_replaced() -> None:
    async with open_local_sandbox(LocalSandboxSettings(concurrency=1, ready=0)) as sandbox:
        (init,) = await idle(sandbox)
        os.kill(init, signal.SIGKILL)
        assert (await sandbox.run_code("print(1)")).logs.stdout == "1\n"


_HOST = """
import asyncio, sys
from pathlib import Path
from opencodeinterpreter.tools.sandbox.local.sandbox import open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings

async def main():
    python = Path(sys.argv[2]) if sys.argv[2:] else None
    settings = LocalSandboxSettings(
        tier=sys.argv[1], interpreter=python, concurrency=2, ready=0
    )
    async with open_local_sandbox(settings) as sandbox:
        runs = [asyncio.create_task(sandbox.run_code("while True: pass")) for _ in range(2)]
        print(sandbox.zygote_pid, flush=True)
        await asyncio.gather(*runs)

asyncio.run(main())
"""


@pytest.mark.parametrize("tier", ["full", REDUCED])
async def test_killing_the_host_leaves_nothing_running(tier: Tier) -> None:
    command = [sys.executable, "-c", _HOST, tier, *map(str, [PYTHON] if PYTHON else [])]
    host = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert host.stdout is not None
        keeper = int(await asyncio.to_thread(host.stdout.readline))
        assert await settle(lambda: len(descendants(keeper)) == 3)
        processes = {keeper, *descendants(keeper)}
    finally:
        host.kill()
        await asyncio.to_thread(host.communicate)
    assert await settle(lambda: not any(map(alive, processes)))


@needs_reduced
async def test_the_folder_of_a_killed_host_is_removed_by_the_next_one_and_no_other() -> None:
    command = [sys.executable, "-c", _HOST, "reduced", *map(str, [PYTHON] if PYTHON else [])]
    with tempfile.TemporaryDirectory() as folder:
        # Runs have another user id if the host is root.
        Path(folder).chmod(0o755)
        hosts: list[subprocess.Popen[bytes]] = []

        async def left_by_the_next_host() -> set[Path]:
            environment = {**os.environ, "TMPDIR": folder}
            hosts.append(subprocess.Popen(command, stdout=subprocess.PIPE, env=environment))
            assert hosts[-1].stdout is not None
            assert await asyncio.to_thread(hosts[-1].stdout.readline)
            return set(Path(folder).iterdir())

        try:
            (first,) = await left_by_the_next_host()
            hosts[0].kill()
            await asyncio.to_thread(hosts[0].wait)
            (second,) = await left_by_the_next_host()
            assert second != first
            assert len(await left_by_the_next_host()) == 2
        finally:
            begun = {process for host in hosts for process in descendants(host.pid)}
            for host in hosts:
                host.kill()
                await asyncio.to_thread(host.communicate)
            # While processes run they may still write to the folder that will be removed.
            assert await settle(lambda: not any(map(alive, begun)))
