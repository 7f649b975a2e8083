"""A run makes the kernel keep no memory that no limit counts, and learns nothing of its peer."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.sandbox.inside.bpf import ALLOW
from opencodeinterpreter.tools.sandbox.inside.profiles import table
from opencodeinterpreter.tools.sandbox.inside.syscall_table import MACHINES, NUMBERS, number
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox, open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from tests.kernel_memory import BOUNDED, KEEPS_NOTHING
from tests.sandbox_host import DEBIAN, needs_reduced, serves

SETTINGS = [("pure", "full"), ("proc", "full"), ("pure", "reduced")]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(("profile", "tier"), SETTINGS)
def test_each_allowed_call_is_known_for_what_it_makes_the_kernel_keep(
    profile: str, tier: str, machine: str
) -> None:
    actions = table(profile, tier, machine)
    allowed = {
        name
        for name in NUMBERS
        if (at := number(name, machine)) is not None
        and (actions.get(at) == ALLOW or isinstance(actions.get(at), tuple))
    }
    assert allowed - BOUNDED.keys() - KEEPS_NOTHING == set()


def test_no_call_is_in_both_tables_or_unknown() -> None:
    assert BOUNDED.keys() & KEEPS_NOTHING == set()
    assert (BOUNDED.keys() | KEEPS_NOTHING) - NUMBERS.keys() == set()


FULL, PROC = (pytest.param(("full", profile), id=profile) for profile in ("pure", "proc"))
REDUCED_PURE = pytest.param(("reduced", "pure"), id="reduced", marks=needs_reduced)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[FULL, PROC, REDUCED_PURE])
async def bounded(request: pytest.FixtureRequest) -> AsyncIterator[LocalSandbox]:
    tier, profile = request.param
    settings = LocalSandboxSettings(interpreter=DEBIAN, tier=tier, profile=profile, concurrency=1)
    async with open_local_sandbox(settings) as opened:
        yield opened


_START = """
import ctypes, errno, fcntl, mmap, os, signal, socket
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
def pick(x86, arm):
    return arm if os.uname().machine == "aarch64" else x86
def refused(action):
    try:
        action()
    except OSError as error:
        print(errno.errorcode[error.errno])
    else:
        print("allowed")
def mapped(flags, descriptor=-1):
    failed = libc.mmap(None, 1 << 21, 1, flags, descriptor, 0) == 2 ** 64 - 1
    print(errno.errorcode[ctypes.get_errno()] if failed else "allowed")
a, b = socket.socketpair()
"""


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.skipif(not serves(DEBIAN), reason="needs a system Python of 3.11 or newer")
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("for n in (7, 8, 26, 32, 33, 50): refused(lambda: a.setsockopt(1, n, 1 << 24))", "EPERM"),
        ("for n in (17, 31, 59, 77): refused(lambda: a.getsockopt(1, n, 4))", "EPERM"),
        ("refused(lambda: socket.socket(fileno=os.dup(3)).getsockopt(1, 77, 4))", "EPERM"),
        ("refused(lambda: socket.send_fds(a, [b'x'], [0]))", "EPERM"),
        ("refused(lambda: os.write(0, b'x')); refused(lambda: os.ftruncate(0, 1))", "EPERM"),
        ("refused(lambda: fcntl.fcntl(os.pipe()[1], 1031, 1 << 20))", "EPERM"),
        ("for kind in (1, 3): mapped(0x20 | kind)", "EPERM"),
        ("mapped(0x40022)", "EPERM"),
        ("refused(lambda: mmap.mmap(-1, 4096, flags=2 | 0x20).madvise(12))", "EPERM"),
        ("for name in ('listxattr', 'getxattr'):\n"
         "    refused(lambda: getattr(os, name)(os.__file__, *['user.x'][: name == 'getxattr']))",
         "ENOTSUP"),
        ("refused(lambda: os.setxattr('.', 'user.x', b''))", "EPERM"),
        ("mapped(1, os.open('/dev/null', 0))", "ENODEV"),
        ("import resource; print(resource.getrlimit(resource.RLIMIT_MSGQUEUE))", "(0, 0)"),
        ("import resource; print(resource.getrlimit(resource.RLIMIT_CORE))", "(1, 1)"),
    ],
)  # fmt: skip
async def test_what_no_limit_would_count_is_refused(
    bounded: LocalSandbox, code: str, expected: str
) -> None:
    told = await bounded.run_code(_START + code)
    assert told.status == "ok", told
    assert set(told.logs.stdout.splitlines()) == {expected}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.skipif(not serves(DEBIAN), reason="needs a system Python of 3.11 or newer")
async def test_signals_and_timers_are_few(bounded: LocalSandbox) -> None:
    code = _START + (
        "signal.pthread_sigmask(0, range(34, 65))\n"
        "try:\n"
        "    for _ in range(2000): os.kill(os.getpid(), 40)\n"
        "except PermissionError: print('no real-time signals')\n"
        "print(len(list(iter(lambda: signal.sigtimedwait([40], 0), None))) in (0, 256))\n"
        "t = ctypes.create_string_buffer(8)\n"
        "print(len(list(iter(lambda: libc.syscall(pick(222, 107), 1, None, t), -1))))"
    )
    told = (await bounded.run_code(code)).logs.stdout
    expected = {"full": "True\n256\n", "reduced": "no real-time signals\nTrue\n0\n"}
    assert told == expected[bounded.tier]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.skipif(not serves(DEBIAN), reason="needs a system Python of 3.11 or newer")
async def test_the_zero_device_gives_bytes_and_no_memory(bounded: LocalSandbox) -> None:
    code = _START + (
        "try:\n    d = os.open('/dev/zero', os.O_RDWR)\n"
        "except PermissionError:\n    print('absent')\n"
        "else:\n    print(os.read(d, 3)); mapped(1, d); mapped(2, d)"
    )
    expected = {"full": "b'\\x00\\x00\\x00'\nENODEV\nENODEV\n", "reduced": "absent\n"}
    assert (await bounded.run_code(code)).logs.stdout == expected[bounded.tier]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.skipif(not serves(DEBIAN), reason="needs a system Python of 3.11 or newer")
async def test_page_tables_count_as_memory(bounded: LocalSandbox) -> None:
    """Each mapping is a page of zeros, which needs no memory, and three pages of tables."""
    code = _START + (
        "import time\n"
        "for n in range(20_000):\n"
        "    at = libc.mmap((1 << 42) + n * (1 << 30), 4096, 1, 0x100022, -1, 0)\n"
        "    if at == 2 ** 64 - 1: break\n"
        "    ctypes.string_at(at, 1)\n"
        "time.sleep(60)"
    )
    limits = SandboxLimits(memory_mb=32, wall_seconds=30, cpu_seconds=30)
    told = await bounded.run_code(code, limits=limits)
    assert (told.status, told.reason) == ("limit", "memory")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.skipif(not serves(DEBIAN), reason="needs a system Python of 3.11 or newer")
async def test_memory_without_a_file_serves_a_program_as_ever(bounded: LocalSandbox) -> None:
    code = (
        "import mmap\n"
        "class Own(mmap.mmap): pass\n"
        "for m in (mmap.mmap(-1, 99), Own(-1, 99, mmap.MAP_SHARED), mmap.mmap(fileno=-1, length=99,"
        " access=mmap.ACCESS_WRITE)):\n"
        "    m.write(b'abc'); m.resize(9999); print(m[:4], isinstance(m, mmap.mmap))\n"
        "try: mmap.mmap(-1, 99, access=mmap.ACCESS_READ)[0] = 1\n"
        "except TypeError: print('read only')\n"
        "open('x', 'wb').write(b'abcd')\n"
        "with open('x', 'r+b') as f, mmap.mmap(f.fileno(), 0) as m: m[0] = 65; m.flush()\n"
        "print(open('x').read())"
    )
    told = await bounded.run_code(code)
    assert told.logs.stdout.splitlines() == [*["b'abc\\x00' True"] * 3, "read only", "Abcd"], told


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.skipif(not serves(DEBIAN), reason="needs a system Python of 3.11 or newer")
async def test_processes_share_memory_without_a_file() -> None:
    code = (
        "import mmap, os\n"
        "m, n = mmap.mmap(-1, 99), mmap.mmap(-1, 99, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)\n"
        "if os.fork() == 0: m[0] = n[0] = 65; os._exit(0)\n"
        "os.wait(); print(m[:2], n[:2], os.listdir())\n"
        "try: mmap.mmap(-1, 99 << 20)\n"
        "except OSError as error: print(error.strerror)"
    )
    settings = LocalSandboxSettings(interpreter=DEBIAN, profile="proc", concurrency=1)
    async with open_local_sandbox(settings) as sandbox:
        told = await sandbox.run_code(code)
    assert told.logs.stdout == "b'A\\x00' b'A\\x00' []\nFile too large\n", told
