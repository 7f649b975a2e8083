"""A run in its own cgroup: what its processes use together is counted exactly."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.sandbox.local import cgroups
from opencodeinterpreter.tools.sandbox.local.cgroups import NoCgroupsError, open_cgroups
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox, open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from tests.sandbox_host import DEBIAN, serves


def _why_not() -> str:
    try:
        opened = open_cgroups()
    except NoCgroupsError as error:
        return str(error)
    asyncio.run(opened.close())
    return ""


pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not serves(DEBIAN), reason="needs a system Python of 3.11 or newer"),
]
WHY_NOT = _why_not()
needs_cgroups = pytest.mark.skipif(bool(WHY_NOT), reason=f"needs cgroup v2: {WHY_NOT}")
SETTINGS = LocalSandboxSettings(interpreter=DEBIAN, profile="proc", concurrency=2)
WALL = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proc() -> AsyncIterator[LocalSandbox]:
    async with open_local_sandbox(SETTINGS) as opened:
        yield opened


def left() -> set[Path]:
    """Return the cgroups of sandboxes."""
    base = cgroups._base()
    return {path for path in base.glob("opencodeinterpreter-*") if path.name != cgroups._OWN}


@needs_cgroups
@pytest.mark.parametrize(
    ("code", "limits", "expected"),
    [
        (
            # Nobody waits for the processes of the chain.
            "import os, signal, time\n"
            "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
            "def burn():\n"
            "    began = time.process_time()\n"
            "    while time.process_time() < began + 0.03: pass\n"
            "if os.fork() == 0:\n"
            "    while True:\n"
            "        burn()\n"
            "        if os.fork(): os._exit(0)\n"
            "time.sleep(60)",
            {"cpu_seconds": 1},
            ("timeout", "cpu"),
        ),
        (
            # The memory goes from process to process.
            "import os, signal, time\n"
            "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
            "if os.fork() == 0:\n"
            "    x = bytearray(b'x') * (90 << 20)\n"
            "    while True:\n"
            "        if os.fork(): os._exit(0)\n"
            "time.sleep(60)",
            {"memory_mb": 64},
            ("limit", "memory"),
        ),
        (
            "import os, socket, time\n"
            "def fill():\n"
            "    held = []\n"
            "    for _ in range(120):\n"
            "        for s in socket.socketpair():\n"
            "            s.setblocking(False); held.append(s)\n"
            "            try:\n"
            "                while True: s.send(b'x' * 4096)\n"
            "            except OSError: pass\n"
            "    time.sleep(60)\n"
            "for _ in range(4): os.fork() or fill()\n"
            "time.sleep(60)",
            {"memory_mb": 64},
            ("limit", "memory"),
        ),
        (
            # More than the kernel allows at once, before the host looks.
            "x = [bytearray(b'x') * (1 << 20) for _ in range(150)]",
            {"memory_mb": 64, "disk_mb": 1},
            ("limit", "memory"),
        ),
        (
            "import os, time\nfor _ in range(99): os.fork() == 0 and time.sleep(60)",
            {"processes": 10},
            ("error", ""),
        ),
        (
            # Pages that processes share count once.
            "import os, time\n"
            "x = bytearray(b'x') * (30 << 20)\n"
            "for _ in range(5): os.fork() or (time.sleep(0.5), os._exit(0))\n"
            "for _ in range(5): os.wait()",
            {"memory_mb": 64},
            ("ok", ""),
        ),
        ("open('x', 'wb').write(bytes(40 << 20))", {"memory_mb": 32}, ("ok", "")),
    ],
)
async def test_what_all_processes_use_is_counted(
    proc: LocalSandbox, code: str, limits: dict[str, float], expected: tuple[str, str]
) -> None:
    wanted = {"wall_seconds": WALL, "cpu_seconds": WALL, **limits}
    told = await proc.run_code(code, limits=SandboxLimits.model_validate(wanted))
    assert (told.status, told.reason) == expected, told
    assert told.seconds < WALL - 5


@needs_cgroups
async def test_no_cgroup_is_left_behind() -> None:
    before = left()
    async with open_local_sandbox(SETTINGS) as sandbox:
        context = await sandbox.create_context()
        await sandbox.run_code("import os\nos.fork() or __import__('time').sleep(60)")
        await sandbox.run_code("x = 1", context=context)
        (own,) = left() - before
        assert any(own.glob("run-*"))
    assert left() == before


@pytest.fixture
def killed_host() -> Iterator[Path]:
    """A cgroup whose creator was killed."""
    code = (
        "import os, signal, sys\n"
        "from opencodeinterpreter.tools.sandbox.local.cgroups import open_cgroups\n"
        "opened = open_cgroups(); print(opened._folder, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    folder = Path(told.stdout.strip())
    assert folder.exists()
    yield folder
    with suppress(OSError):
        folder.rmdir()


@needs_cgroups
async def test_the_cgroup_of_a_killed_host_is_removed_by_the_next_one(killed_host: Path) -> None:
    await open_cgroups().close()
    # It could be one that is just being created.
    assert killed_host.exists()
    os.utime(killed_host, (0, 0))
    await open_cgroups().close()
    assert not killed_host.exists()


async def test_without_cgroups_the_profile_proc_runs_as_ever() -> None:
    async with open_local_sandbox(SETTINGS) as sandbox:
        told = await sandbox.run_code("import os\nprint(os.fork() == 0 and os._exit(0) or 1)")
    assert (told.status, told.logs.stdout) == ("ok", "1\n")


@pytest.mark.skipif(not WHY_NOT, reason="cgroups can be had")
async def test_why_there_are_no_cgroups_is_told() -> None:
    with pytest.raises(NoCgroupsError, match=r"cgroup"):
        open_cgroups()
