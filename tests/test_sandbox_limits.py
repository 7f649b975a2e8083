"""Limits in each tier and profile: what the host reports, and how precise they are."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox, open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from tests.sandbox_host import DEBIAN, descendants, needs_reduced, serves

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not serves(DEBIAN), reason="needs a system Python of 3.11 or newer"),
]
THREADS = (
    "import threading, time\n"
    "def start(n):\n"
    "    for _ in range(n): threading.Thread(target=time.sleep, args=(0.5,)).start()\n"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def full() -> AsyncIterator[LocalSandbox]:
    async with open_local_sandbox(
        LocalSandboxSettings(interpreter=DEBIAN, concurrency=2)
    ) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reduced() -> AsyncIterator[LocalSandbox]:
    async with open_local_sandbox(
        LocalSandboxSettings(interpreter=DEBIAN, tier="reduced", concurrency=2)
    ) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proc() -> AsyncIterator[LocalSandbox]:
    async with open_local_sandbox(
        LocalSandboxSettings(interpreter=DEBIAN, profile="proc", concurrency=2, ready=0)
    ) as opened:
        yield opened


def summary(execution: Execution) -> str:
    error = execution.error.name if execution.error else ""
    parts = (execution.status, execution.reason, error, " ".join(execution.limits_hit))
    return " ".join(part for part in parts if part)


@pytest.mark.parametrize(
    ("code", "limits", "expected"),
    [
        ("open('x', 'wb').write(bytes(3 << 20))", {"disk_mb": 2}, "error OSError disk"),
        (
            "import os\nfor n in range(9999): open(os.environ['TMPDIR'] + f'/{n}', 'w').close()",
            {},
            "error OSError disk",
        ),
        (
            "for n in range(2): open(f'{n}', 'wb').write(bytes(3 << 19))",
            {"disk_mb": 2},
            "error OSError disk",
        ),
        (THREADS + "start(99)", {"processes": 10}, "error RuntimeError processes"),
        ("pass", {"processes": 1}, "ok processes"),
        ("bytearray(1 << 40)", {}, "error MemoryError"),
        ("x = b'x' * (99 << 20)\nwhile True: pass", {"memory_mb": 64}, "limit memory"),
        ("import time; time.sleep(9)", {"wall_seconds": 0.2}, "timeout wall"),
        ("while True: pass", {"cpu_seconds": 0.2}, "timeout cpu"),
    ],
)
async def test_each_limit_of_the_full_tier_is_named(
    full: LocalSandbox, code: str, limits: dict[str, float], expected: str
) -> None:
    execution = await full.run_code(code, limits=SandboxLimits.model_validate(limits))
    told = summary(execution)
    # A quick run may end before the first check.
    assert told in (expected, expected.removesuffix(" processes"))
    assert (execution.tier, execution.profile) == ("full", "pure")


async def test_threads_of_one_run_leave_room_for_those_of_another(full: LocalSandbox) -> None:
    limits = SandboxLimits(processes=20)
    hungry, modest = await asyncio.gather(
        full.run_code(THREADS + "start(99)", limits=limits),
        full.run_code(THREADS + "time.sleep(0.02); start(15)", limits=limits),
    )
    assert hungry.error is not None
    assert (hungry.error.name, modest.status) == ("RuntimeError", "ok")


@needs_reduced
@pytest.mark.parametrize(
    ("code", "limits", "expected"),
    [
        ("print(1)", {}, "ok"),
        (
            "for n in range(9): open(f'{n}', 'wb').write(bytes(1 << 20))\nwhile True: pass",
            {"disk_mb": 4},
            "limit disk",
        ),
        ("open('x', 'wb').write(bytes(3 << 20))", {"disk_mb": 2}, "error OSError"),
        (
            "import os, time\nfor n in range(9):\n"
            "    open(os.environ['TMPDIR'] + f'/{n}', 'wb').write(bytes(1 << 20))\n"
            "time.sleep(60)",
            {"disk_mb": 4},
            "limit disk",
        ),
        (
            "import time\nfor n in range(5000): open(f'{n}', 'w').close()\ntime.sleep(60)",
            {"disk_mb": 4},
            "limit disk",
        ),
        pytest.param(
            "import os, time; os.mkdir('hidden', 0o300); time.sleep(60)",
            {},
            "limit disk",
            marks=pytest.mark.skipif(os.geteuid() == 0, reason="root sees into every folder"),
        ),
        (
            "import os, time\nfor n in range(3000): os.mkdir('d'); os.chdir('d')\ntime.sleep(60)",
            {},
            "limit disk",
        ),
        (
            "import os, time\nheld = []\nfor n in range(9):\n"
            "    held.append(open('x', 'wb', 0)); os.unlink('x'); held[-1].write(bytes(1 << 20))\n"
            "time.sleep(60)",
            {"disk_mb": 4},
            "limit disk",
        ),
        (
            # A mapping keeps a file that has no name and is not open: nobody knows its size.
            "import ctypes, os, time\n"
            "file = os.open('x', os.O_RDWR | os.O_CREAT)\n"
            "map = ctypes.CDLL(None).mmap\n"
            "map.restype = ctypes.c_void_p\n"
            "map.argtypes = (*(ctypes.c_size_t,) * 6,)\n"
            "os.write(file, b'x'); map(0, 4096, 1, 2, file, 0); os.unlink('x'); os.close(file)\n"
            "time.sleep(60)",
            {},
            "limit disk",
        ),
        (
            "import mmap, os\nfile = open('x', 'w+b'); file.truncate(1 << 20)\n"
            "held = mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE)\n"
            "os.unlink('x'); file.close()\n"
            "import time; time.sleep(0.3)",
            {},
            "ok",
        ),
        ("x = b'x' * (99 << 20)\nwhile True: pass", {"memory_mb": 64}, "limit memory"),
        ("while True: pass", {"cpu_seconds": 0.2}, "timeout cpu"),
        (
            THREADS.replace("0.5", "60") + "start(20)\ntime.sleep(60)",
            {"processes": 10},
            "limit processes processes",
        ),
        ("import os; os.kill(os.getpid(), 11)", {}, "crashed SIGSEGV"),
        ("import os; os.abort()", {}, "crashed SIGABRT"),
    ],
)
async def test_each_limit_of_the_reduced_tier_is_named(
    reduced: LocalSandbox, code: str, limits: dict[str, float], expected: str
) -> None:
    execution = await reduced.run_code(code, limits=SandboxLimits.model_validate(limits))
    assert summary(execution) == expected
    assert execution.tier == "reduced"


@needs_reduced
async def test_what_the_reduced_tier_denies_is_denied_and_the_rest_works(
    reduced: LocalSandbox,
) -> None:
    code = (
        "import asyncio, os, tempfile, threading\n"
        "with tempfile.TemporaryFile() as f: f.write(b'x')\n"
        "t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()\n"
        "asyncio.run(asyncio.to_thread(print, 'loop'))\n"
        "open('a', 'w').close(); os.rename('a', 'b')\n"
        "try: os.chmod('b', 0o777)\nexcept PermissionError: print('no chmod')"
    )
    assert (await reduced.run_code(code)).logs.stdout == "thread\nloop\nno chmod\n"


async def test_the_reduced_tier_knows_no_processes() -> None:
    with pytest.raises(InputError, match="profile proc: the reduced tier has only"):
        async with open_local_sandbox(LocalSandboxSettings(tier="reduced", profile="proc")):
            raise AssertionError("opened")


async def test_programs_run_inside_a_run_of_the_proc_profile(proc: LocalSandbox) -> None:
    code = (
        "import multiprocessing, os, subprocess\n"
        "open('s.sh', 'w').write('echo from $1; wc -c < s.sh')\n"
        "print(subprocess.run(['sh', 's.sh', 'shell'], capture_output=True, text=True).stdout)\n"
        "print(subprocess.check_output(['python3', '-c', 'print(6 * 7)'], text=True))\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool: print(pool.map(abs, [-1, -2]))\n"
    )
    told = await proc.run_code(code)
    assert told.logs.stdout.split() == ["from", "shell", "26", "42", "[1,", "2]"], told
    assert told.profile == "proc"


async def test_a_fork_beside_a_thread_leaves_the_child_with_its_own_one_only(
    proc: LocalSandbox,
) -> None:
    code = (
        "import os, threading, time\n"
        "print(threading.main_thread().native_id == threading.get_native_id())\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "print(threading.active_count())\n"
        "if os.fork() == 0:\n"
        "    print(threading.active_count())\n"
        "else:\n"
        "    os.wait()\n"
    )
    told = await proc.run_code(code)
    assert told.logs.stdout.split() == ["True", "2", "1"], told


async def test_nothing_that_a_run_starts_outlives_it(proc: LocalSandbox) -> None:
    assert proc.zygote_pid is not None
    code = (
        "import os, time\n"
        "for _ in range(5):\n"
        "    if os.fork() == 0:\n        os.setsid(); os.fork(); time.sleep(600)\n"
        "time.sleep(0.1)"
    )
    await proc.run_code("pass")
    before = len(descendants(proc.zygote_pid))
    assert (await proc.run_code(code)).status == "ok"
    for _ in range(500):
        if len(descendants(proc.zygote_pid)) <= before:
            break
        await asyncio.sleep(0.02)
    assert len(descendants(proc.zygote_pid)) <= before


@pytest.mark.parametrize(
    ("code", "limits", "expected"),
    [
        (
            "import os, time\nfor _ in range(99): os.fork() == 0 and time.sleep(9)",
            {"processes": 10},
            "error BlockingIOError processes",
        ),
        (
            "import os, time\nfor _ in range(3):\n    if os.fork() == 0:\n"
            "        x = b'x' * (40 << 20); time.sleep(60)\ntime.sleep(60)",
            {"memory_mb": 80},
            "limit memory",
        ),
        (
            "import os, socket, time\nfor _ in range(3):\n    if os.fork() == 0:\n"
            "        held = [socket.socketpair() for _ in range(120)]; time.sleep(60)\n"
            "time.sleep(60)",
            {"memory_mb": 120},
            "limit memory",
        ),
        (
            # Each process has the descriptors of its parent, and none of them twice the memory.
            "import os, socket, time\nheld = [socket.socketpair() for _ in range(60)]\n"
            "for _ in range(9):\n    if os.fork() == 0: time.sleep(0.3); os._exit(0)\n"
            "time.sleep(0.3)",
            {"memory_mb": 300},
            "ok",
        ),
        (
            "import os, socket, time\nheld = [open('/dev/null') for _ in range(200)]\n"
            "for _ in range(20):\n    if os.fork() == 0: time.sleep(60)\n"
            "time.sleep(60)",
            {"memory_mb": 300},
            "limit memory",
        ),
        (
            "import os, time\nfor _ in range(3):\n"
            "    if os.fork() == 0:\n        while True: pass\n"
            "time.sleep(60)",
            {"cpu_seconds": 0.5},
            "timeout cpu",
        ),
        (
            # Nobody waits for the processes of the chain, so the kernel forgets their time.
            "import os, signal, time\n"
            "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
            "for _ in range(3):\n"
            "    if os.getpid() == 1: os.fork()\n"
            "while True:\n"
            "    began = time.process_time()\n"
            "    while time.process_time() < began + 0.03: pass\n"
            "    if os.getpid() == 1: time.sleep(60)\n"
            "    if os.fork(): os._exit(0)",
            {"cpu_seconds": 0.2, "wall_seconds": 60},
            "timeout cpu",
        ),
        (
            "import subprocess; subprocess.run(['sleep', '60'])",
            {"wall_seconds": 0.3},
            "timeout wall",
        ),
    ],
)
async def test_limits_count_all_processes_of_a_run_together(
    proc: LocalSandbox, code: str, limits: dict[str, float], expected: str
) -> None:
    told = summary(await proc.run_code(code, limits=SandboxLimits.model_validate(limits)))
    assert told in (expected, expected.removesuffix(" processes"))


async def test_a_child_of_a_run_aborts_as_everywhere(proc: LocalSandbox) -> None:
    code = (
        "import os, subprocess, sys\n"
        "for die in (os.abort, lambda: os.kill(os.getpid(), 6)):\n"
        "    child = os.fork()\n"
        "    if child == 0: die()\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "print(subprocess.run([sys.executable, '-c', 'import os; os.abort()']).returncode)\n"
        "os.abort()"
    )
    told = await proc.run_code(code)
    assert told.logs.stdout.split() == ["-6", "-6", "-6"], told
    assert summary(told) == "crashed SIGABRT"


async def test_the_time_of_children_that_were_waited_for_counts(proc: LocalSandbox) -> None:
    code = (
        "import os, time\n"
        "while True:\n"
        "    if os.fork() == 0:\n"
        "        while time.process_time() < 0.02: pass\n"
        "        os._exit(0)\n"
        "    os.wait()"
    )
    told = await proc.run_code(code, limits=SandboxLimits(cpu_seconds=1, wall_seconds=60))
    assert summary(told) == "timeout cpu"
    assert told.seconds < 50


async def test_many_short_processes_that_are_waited_for_count_once(proc: LocalSandbox) -> None:
    code = (
        "import os, time\n"
        "while sum(os.times()[:4]) < 0.8:\n"
        "    if os.fork() == 0:\n"
        "        while time.process_time() < 0.003: pass\n"
        "        os._exit(0)\n"
        "    os.wait()"
    )
    told = await proc.run_code(code, limits=SandboxLimits(cpu_seconds=1, wall_seconds=60))
    assert summary(told) == "ok"


async def test_limits_are_kept_closely(full: LocalSandbox) -> None:
    """Wide bounds, since the machine may be busy."""
    wall = await full.run_code(
        "import time; time.sleep(60)", limits=SandboxLimits(wall_seconds=0.5)
    )
    assert 0.5 <= wall.seconds < 1.5
    code = (
        "import time\nsaid = 0\nwhile True:\n    now = time.process_time()\n"
        "    if now > said + 0.01: said = now; print(now, flush=True)"
    )
    cpu = await full.run_code(code, limits=SandboxLimits(cpu_seconds=0.5))
    assert 0.4 < float(cpu.logs.stdout.splitlines()[-2]) < 0.8
    code = "x = []\nwhile True:\n    x.append(b'x' * (1 << 20)); print(len(x), flush=True)"
    memory = await full.run_code(code, limits=SandboxLimits(memory_mb=64))
    assert memory.reason == "memory"
    assert 50 < int(memory.logs.stdout.split()[-1]) < 160
