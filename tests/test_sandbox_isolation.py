"""What code in the sandbox cannot reach. Each test checks the effect on the host."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def refused(sandbox: LocalSandbox, code: str) -> str:
    """Run `code`, which must fail; return the name of its exception."""
    execution = await sandbox.run_code(code, limits=SandboxLimits(wall_seconds=20))
    assert execution.status == "error", execution
    assert execution.error is not None
    return execution.error.name


async def test_no_packet_reaches_a_server_of_the_host(sandbox: LocalSandbox) -> None:
    heard: list[object] = []

    async def hear(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(1)
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        for family in ("AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET"):
            for kind in ("SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW"):
                code = f"import socket; socket.socket(socket.{family}, socket.{kind})"
                assert await refused(sandbox, code) == "PermissionError"
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
        assert await refused(sandbox, code) == "PermissionError"
    assert heard == []


async def test_a_datagram_pair_cannot_send_to_the_host(
    sandbox: LocalSandbox, tmp_path: Path
) -> None:
    path = str(tmp_path / "canary")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as canary:
        canary.bind(path)
        canary.setblocking(False)
        for kind in ("SOCK_DGRAM", "SOCK_STREAM"):
            code = (
                "import socket\n"
                f"one, two = socket.socketpair(socket.AF_UNIX, socket.{kind})\n"
                f"one.sendto(b'x', {path!r})"
            )
            assert await refused(sandbox, code) == "PermissionError"
        with pytest.raises(BlockingIOError):
            canary.recv(1)


@pytest.mark.parametrize(
    "code",
    [
        "open({path!r}, 'w')",
        "open('/usr/planted', 'w')",
        "open('/planted', 'w')",
        "open('/box/planted', 'w')",
        "open('/etc/passwd', 'a')",
        "import os; open(os.__file__, 'a')",
        "import os; os.chmod(os.__file__, 0o777)",
        "import os; os.utime(os.__file__)",
        "import os; os.symlink({path!r}, 'link'); open('link', 'w')",
        "import os; os.link(os.__file__, 'link')",
        "import os; os.rename('/box/run', '/box/other')",
        "import os; os.mknod('device', 0o60600, os.makedev(8, 0))",
    ],
)
async def test_nothing_is_written_outside_the_work_folder(
    sandbox: LocalSandbox, tmp_path: Path, code: str
) -> None:
    canary = tmp_path / "canary"
    canary.write_text("as it was")
    canary.chmod(0o666)
    tmp_path.chmod(0o777)
    before = Path(os.__file__).stat()
    assert await refused(sandbox, code.format(path=str(canary))) in (
        "PermissionError",
        "FileNotFoundError",
        "OSError",
    )
    assert canary.read_text() == "as it was"
    assert not Path("/usr/planted").exists()
    assert (Path(os.__file__).stat().st_mtime, before.st_mode) == (before.st_mtime, before.st_mode)


async def test_the_hosts_files_cannot_be_read(sandbox: LocalSandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("TOP-SECRET")
    secret.chmod(0o644)
    for path in (str(secret), "/etc/shadow", "/proc/self/environ", "/proc/1/mem", __file__):
        assert await refused(sandbox, f"open({path!r}).read()") == "FileNotFoundError"


async def test_the_hosts_environment_and_arguments_are_not_there(sandbox: LocalSandbox) -> None:
    code = "import os, sys; print(sorted(os.environ), sys.argv, sys.orig_argv)"
    told = (await sandbox.run_code(code)).logs.stdout
    threads = "'MKL_NUM_THREADS', 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'"
    names = f"['HOME', 'LANG', {threads}, 'PATH', 'TMPDIR', 'USER']"
    assert told == f"{names} ['main.py'] ['python']\n"


async def test_the_hosts_name_and_editable_installs_are_not_there(sandbox: LocalSandbox) -> None:
    code = (
        "import os, socket, sys\n"
        "print(socket.gethostname(), os.uname().nodename)\n"
        "print([name for name in sys.modules if name.startswith('__editable__')])"
    )
    assert (await sandbox.run_code(code)).logs.stdout == "sandbox sandbox\n[]\n"


async def test_the_hosts_processes_cannot_be_seen_or_signalled(sandbox: LocalSandbox) -> None:
    victim = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        for target in (victim.pid, os.getpid(), sandbox.zygote_pid, -1, 0):
            for call in (
                f"os.kill({target}, 9)",
                f"signal.pidfd_send_signal(os.pidfd_open({target}), 9)",
                f"ctypes.CDLL(None, use_errno=True).ptrace(16, {target}, 0, 0) == -1 or print('!')",
            ):
                run = await sandbox.run_code(f"import ctypes, os, signal\n{call}")
                assert run.logs.stdout == ""
        assert victim.poll() is None
    finally:
        victim.communicate(b"\n")


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.fork()",
        "import os; os.execv('/bin/sh', ['sh'])",
        "import subprocess; subprocess.run(['/bin/true'])",
        "import os; os.memfd_create('x')",
        "import os; os.setuid(0)",
        "import os; os.chroot('.')",
        "import fcntl, os; fcntl.flock(os.open(os.__file__, 0), fcntl.LOCK_EX)",
        "import fcntl, os; fcntl.lockf(os.open(os.__file__, 0), fcntl.LOCK_SH)",
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (9999, 9999))",
        "open('/dev/mem')",
        "import os; [os.open('x', os.O_CREAT) for _ in range(999)]",
        "for n in range(9999): open(str(n), 'w').close()",
    ],
)
async def test_what_a_program_has_no_business_with_fails(sandbox: LocalSandbox, code: str) -> None:
    assert await refused(sandbox, code) in (
        "PermissionError",
        "OSError",
        "ValueError",
        "FileNotFoundError",
    )


@pytest.mark.parametrize(
    ("name", "numbers"),
    {
        # x86-64, aarch64: asm/unistd_64.h, asm-generic/unistd.h
        "add_key": (248, 217),
        "bpf": (321, 280),
        "inotify_init1": (294, 26),
        "io_uring_setup": (425, 425),
        "keyctl": (250, 219),
        "mount": (165, 40),
        "move_mount": (429, 429),
        "open_by_handle_at": (304, 265),
        "perf_event_open": (298, 241),
        "pidfd_getfd": (438, 438),
        "process_vm_readv": (310, 270),
        "ptrace": (101, 117),
        "seccomp": (317, 277),
        "setns": (308, 268),
        "shmget": (29, 194),
        "mq_open": (240, 180),
        "unshare": (272, 97),
        "userfaultfd": (323, 282),
    }.items(),
)
async def test_dangerous_system_calls_are_denied(
    sandbox: LocalSandbox, name: str, numbers: tuple[int, int]
) -> None:
    number = numbers[os.uname().machine == "aarch64"]
    code = (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        f"print(libc.syscall({number}, 0, 0, 0, 0, 0), ctypes.get_errno())"
    )
    assert (await sandbox.run_code(code)).logs.stdout == "-1 1\n"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x86-64 alone has a second table")
async def test_a_call_by_the_x32_table_kills(sandbox: LocalSandbox) -> None:
    code = "import ctypes; ctypes.CDLL(None).syscall(0x40000000 + 1, 1, b'x', 1)"
    execution = await sandbox.run_code(code)
    assert (execution.status, execution.reason) == ("crashed", "SIGSYS")


async def test_a_program_holds_no_privilege(sandbox: LocalSandbox) -> None:
    """The capabilities, read from the host."""
    code = "import os, time; print(os.getresuid()); time.sleep(1)"
    run = asyncio.create_task(sandbox.run_code(code))
    (init,) = children(sandbox.zygote_pid)
    status = ""
    while "Seccomp:\t2" not in status and not run.done():
        await asyncio.sleep(0.02)
        for process in children(init):
            status = Path(f"/proc/{process}/status").read_text()
    assert (await run).logs.stdout == "(1000, 1000, 1000)\n"
    told = dict(line.split(":", 1) for line in status.splitlines())
    assert int(told["CapEff"], 16) == int(told["CapPrm"], 16) == int(told["CapInh"], 16) == 0
    assert (told["NoNewPrivs"].strip(), told["Seccomp"].strip()) == ("1", "2")
    assert told["Uid"].split()[0] != "0"


def children(pid: int | None) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]
