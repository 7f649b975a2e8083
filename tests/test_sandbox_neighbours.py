"""A run that takes all it can get changes nothing for an honest run beside it."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox, open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from opencodeinterpreter.tools.sandbox.protocol import Profile, RunExtras, Tier
from tests.sandbox_attacks import HOGS, hog
from tests.sandbox_host import DEBIAN, REDUCED, needs_reduced, readable_by_all, serves

pytestmark = pytest.mark.skipif(not serves(DEBIAN), reason="needs a system Python of 3.11 or newer")
HONEST = """
import ctypes, fcntl, mmap, os, select, signal, socket, tempfile, threading, time
print(fcntl.fcntl(1, 1032), fcntl.fcntl(2, 1032))
ends = [os.pipe() for _ in range(5)]
for _, end in ends: print(os.write(end, b'x' * 60_000))
a, b = socket.socketpair()
print(a.send(b'x' * 50_000), fcntl.fcntl(a, 1), a.getsockopt(1, 7) > 100_000)
poll = select.epoll()
for end, _ in ends: poll.register(end, select.EPOLLIN)
print(len(poll.poll(1)))
signal.pthread_sigmask(0, [40])
try:
    for _ in range(50): os.kill(os.getpid(), 40)
except PermissionError: print('one tier has no real-time signals')
print(len(list(iter(lambda: signal.sigtimedwait([40], 0), None))))
signal.signal(signal.SIGALRM, lambda *_: print('alarm'))
signal.setitimer(0, 0.01); time.sleep(0.05)
threads = [threading.Thread(target=time.sleep, args=(0.01,)) for _ in range(8)]
for t in threads: t.start()
for t in threads: t.join()
with tempfile.TemporaryFile() as file: print(file.write(bytes(4 << 20)))
print(len(bytearray(b'x') * (20 << 20)), len(mmap.mmap(-1, 1 << 20)))
for n in range(50): open(f'{n}', 'w').close()
print('y' * 30_000)
"""
LIMITS = SandboxLimits(wall_seconds=60, cpu_seconds=30, output_bytes=1 << 20)
HOGS_LIMITS = SandboxLimits(wall_seconds=30, cpu_seconds=4, memory_mb=96)
_SETTINGS: list[tuple[Tier, Profile]] = [("full", "pure"), ("full", "proc"), ("reduced", "pure")]
_ALL = [pytest.param(*s, marks=[needs_reduced] * (s[0] == "reduced")) for s in _SETTINGS]
_QUICK = ("pipes made large", "pending signals", "socket buffers made large")


def verdict(told: Execution) -> tuple[object, ...]:
    return told.status, told.reason, told.logs.stdout, told.logs.stderr, told.error


async def beside(sandbox: LocalSandbox, name: str) -> tuple[object, ...]:
    """Return the verdict on the honest program while the hog `name` holds all it could get."""
    holds = asyncio.Event()
    running = asyncio.create_task(
        sandbox.run_code(
            hog(name), limits=HOGS_LIMITS, extras=RunExtras(on_stdout=lambda _: holds.set())
        )
    )
    held = asyncio.create_task(holds.wait())
    try:
        await asyncio.wait([running, held], timeout=4, return_when=asyncio.FIRST_COMPLETED)
        return verdict(await sandbox.run_code(HONEST, limits=LIMITS))
    finally:
        held.cancel()
        running.cancel()
        await asyncio.wait([running, held])


async def changed(tier: Tier, profile: Profile, names: list[str]) -> dict[str, str]:
    """Return what the hogs of these names changed."""
    found: dict[str, str] = {}
    settings = LocalSandboxSettings(interpreter=DEBIAN, tier=tier, profile=profile, concurrency=3)
    async with open_local_sandbox(settings) as sandbox:
        alone = verdict(await sandbox.run_code(HONEST, limits=LIMITS))
        assert alone[0] == "ok", alone
        for name in names:
            told = await beside(sandbox, name)
            if told != alone:
                found[name] = str(told)[:400]
    return found


@pytest.mark.parametrize("name", _QUICK)
async def test_an_honest_run_beside_a_hog_ends_as_it_does_alone(name: str) -> None:
    assert await changed("full", "pure", [name]) == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="runs of an ordinary user share that user's quota")
@pytest.mark.parametrize("tier", ["full", REDUCED])
async def test_the_pipes_of_many_hogs_leave_those_of_an_honest_run_as_they_are(tier: Tier) -> None:
    """Twelve hogs take more than all processes of one user may have."""
    settings = LocalSandboxSettings(interpreter=DEBIAN, tier=tier, concurrency=2)
    async with open_local_sandbox(settings) as sandbox:
        alone = verdict(await sandbox.run_code(HONEST, limits=LIMITS))
        for _ in range(12):
            code = "import os\ntry:\n    while True: os.pipe()\nexcept OSError: pass"
            await sandbox.run_code(code, context=await sandbox.create_context())
        assert verdict(await sandbox.run_code(HONEST, limits=LIMITS)) == alone


def test_there_are_many_hogs() -> None:
    assert len(HOGS) >= 30


@pytest.mark.slow
@pytest.mark.parametrize(("tier", "profile"), _ALL)
async def test_an_honest_run_beside_each_hog_ends_as_it_does_alone(
    tier: Tier, profile: Profile
) -> None:
    assert await changed(tier, profile, list(HOGS)) == {}


_SHARES_PIPES = "processes with pipes"
"""A hog in `proc` that can use up an ordinary user's quota of pipes, as docs/security.md says."""
_AS_USER = """
import asyncio, concurrent.futures.thread, os, sys
sys.path.insert(0, os.getcwd())
import tests.test_sandbox_neighbours as these
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
tier, profile = sys.argv[1:]
names = [name for name in these.HOGS if profile != "proc" or name != these._SHARES_PIPES]
print(asyncio.run(these.changed(tier, profile, names)))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="this process is an ordinary user's already")
@pytest.mark.skipif(not readable_by_all(Path(__file__)), reason="others cannot read the checkout")
@pytest.mark.parametrize(("tier", "profile"), _ALL)
def test_so_does_that_of_an_ordinary_user(tier: Tier, profile: Profile) -> None:
    command = [sys.executable, "-c", _AS_USER, tier, profile]
    root = Path(__file__).parent.parent
    told = subprocess.run(
        command, capture_output=True, text=True, timeout=600, check=False, cwd=root
    )
    assert told.stdout == "{}\n", told.stdout + told.stderr
