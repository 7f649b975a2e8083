"""Opening the sandbox: as root or not, with other interpreters, and when it must refuse."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.sandbox.inside import landlock
from opencodeinterpreter.tools.sandbox.inside.seal import LEAST_LANDLOCK
from opencodeinterpreter.tools.sandbox.local import refusal
from opencodeinterpreter.tools.sandbox.local.sandbox import open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from opencodeinterpreter.tools.sandbox.probe import probe
from tests.sandbox_host import DEBIAN, readable_by_all, serves


async def test_the_probe_reports_the_tier_and_all_that_held() -> None:
    report = await probe()
    assert report.tier == "full"
    assert report.refusal == ""
    held = {check.name for check in report.checks if check.ok}
    assert held >= {"system", "network", "host sockets", "read", "write", "signals", "programs"}


@pytest.mark.skipif(not serves(DEBIAN), reason="needs a system Python of 3.11 or newer")
@pytest.mark.parametrize("below_tmp", [False, True])
async def test_packages_of_a_named_venv_can_be_imported(tmp_path: Path, below_tmp: bool) -> None:
    venv = tmp_path / "venv" if below_tmp else Path("/var/tmp") / f"venv-{os.getpid()}"
    subprocess.run([DEBIAN, "-m", "venv", "--without-pip", venv], check=True)
    try:
        (site,) = venv.glob("lib/python3.*/site-packages")
        (site / "planted.py").write_text("word = 'found'")
        async with open_local_sandbox(
            LocalSandboxSettings(interpreter=venv / "bin/python", concurrency=1)
        ) as sandbox:
            code = "import planted, tempfile; tempfile.TemporaryFile(); print(planted.word)"
            assert (await sandbox.run_code(code)).logs.stdout == "found\n"
    finally:
        subprocess.run(["rm", "-rf", venv], check=True)


def test_a_host_that_is_process_1_of_a_container_gets_the_full_tier() -> None:
    """A run is also process 1, in its own namespace, and may signal itself."""
    code = (
        "import asyncio, os\n"
        "from opencodeinterpreter.tools.sandbox.probe import probe\n"
        "print(os.getpid(), asyncio.run(probe()))"
    )
    namespaces = [] if os.geteuid() == 0 else ["--user", "--map-current-user"]
    command = ["unshare", "--pid", "--fork", *namespaces, sys.executable, "-c", code]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert told.startswith("1 tier='full'")
    assert "the host's processes can't be signalled" in told


async def test_this_project_is_not_importable_in_a_run() -> None:
    async with open_local_sandbox(LocalSandboxSettings(concurrency=1)) as sandbox:
        execution = await sandbox.run_code("import opencodeinterpreter")
    assert execution.error is not None
    assert execution.error.name == "ModuleNotFoundError"


@pytest.mark.parametrize("interpreter", ["/nowhere/python", "/bin/false", "/etc/passwd"])
async def test_an_interpreter_that_does_not_start_is_named(interpreter: str) -> None:
    with pytest.raises(SandboxError, match=rf"{interpreter} did not start.*name a working Python"):
        async with open_local_sandbox(LocalSandboxSettings(interpreter=Path(interpreter))):
            raise AssertionError("opened")


_AS_NOBODY = """
import asyncio, concurrent.futures.thread, os, sys
from pathlib import Path
from opencodeinterpreter.tools.sandbox.local.sandbox import open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from opencodeinterpreter.tools.sandbox.probe import probe

os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)

async def main():
    report = await probe(Path(sys.argv[1]))
    print(report.tier, report.refusal)
    async with open_local_sandbox(LocalSandboxSettings(interpreter=Path(sys.argv[1]))) as sandbox:
        run = await sandbox.run_code("import os; print(os.getuid(), os.access('/etc/shadow', 4))")
        print(run.status, run.logs.stdout)
        run = await sandbox.run_code("import socket; socket.socket()")
        print(run.error.name)

asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(not serves(DEBIAN), reason="needs a system Python of 3.11 or newer")
def test_an_ordinary_user_gets_the_full_tier() -> None:
    if not readable_by_all(Path(refusal.__file__)):
        pytest.skip("the checkout lies where only root can read")
    command = [sys.executable, "-c", _AS_NOBODY, str(DEBIAN)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert told.stdout.split() == ["full", "ok", "1000", "False", "PermissionError"], told.stderr


_CONFINED = """
import asyncio, ctypes, json, struct, sys
from pathlib import Path
from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.sandbox.local.sandbox import open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from opencodeinterpreter.tools.sandbox.probe import probe

def load(*steps):
    program = b"".join(struct.pack("<HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, header, 0, 0) == 0

libc = ctypes.CDLL(None, use_errno=True)
denied, clone = json.loads(sys.argv[1])
for number in denied:
    load((0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, 0x50001), (6, 0, 0, 0x7FFF0000))
if clone:
    load(
        (0x20, 0, 0, 0), (0x15, 0, 3, clone), (0x20, 0, 0, 16), (0x45, 0, 1, 0x7E020000),
        (6, 0, 0, 0x50001), (6, 0, 0, 0x7FFF0000),
    )

async def main():
    report = await probe(Path(sys.argv[2]))
    print(report.tier, report.refusal)
    settings = LocalSandboxSettings(interpreter=Path(sys.argv[2]), tier="reduced")
    try:
        async with open_local_sandbox(settings) as sandbox:
            run = await sandbox.run_code("print(6 * 7)")
            print(run.tier, run.status, run.logs.stdout)
    except SandboxError as refused:
        print(refused)

asyncio.run(main())
"""


def confined(denied: list[int], clone: int = 0) -> str:
    """Return what a probe and a reduced sandbox report if these calls are denied."""
    return subprocess.run(
        [sys.executable, "-c", _CONFINED, json.dumps([denied, clone]), str(DEBIAN)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


@pytest.mark.skipif(not serves(DEBIAN), reason="needs a system Python of 3.11 or newer")
def test_a_filter_like_dockers_gives_a_refusal_and_the_reduced_tier_where_it_is_named() -> None:
    # unshare, setns, mount, umount2, pivot_root, mount_setattr, open_tree, bpf, perf_event_open
    x86 = [272, 308, 165, 166, 155, 442, 428, 321, 298]
    arm = [97, 268, 40, 39, 41, 442, 428, 280, 241]
    on_arm = os.uname().machine == "aarch64"
    told = confined(arm if on_arm else x86, 220 if on_arm else 56)
    assert told.startswith("None the sandbox cannot isolate code here: step `unshare")
    assert "name the weaker tier `reduced`" in told
    if landlock.version() < LEAST_LANDLOCK:
        assert "the tier `reduced` does not work either: " in told
        assert "use Linux 6.2 or newer with Landlock enabled" in told.splitlines()[-1]
    else:
        assert "the tier `reduced` works here" in told
        assert told.endswith("reduced ok 42\n\n")


@pytest.mark.parametrize(
    ("name", "numbers", "step"),
    [
        ("unshare", (272, 97), "unshare"),
        ("pivot_root", (155, 41), "pivot_root"),
        ("mount_setattr", (442, 442), "mount_setattr"),
    ],
)
def test_a_container_that_forbids_a_step_is_refused_with_cause_and_cure(
    name: str, numbers: tuple[int, int], step: str
) -> None:
    number = numbers[os.uname().machine == "aarch64"]
    told = confined([number])
    assert told.startswith("None the sandbox cannot isolate code here")
    assert f"step `{step}" in told
    assert "errno 1" in told
    assert told.count(";") >= 1


def test_the_refusal_on_another_system_says_what_to_do() -> None:
    assert "needs Linux, this is darwin" in refusal.wrong_system("darwin")


def test_the_hosts_side_imports_nothing_that_only_linux_has() -> None:
    code = (
        "import sys\n"
        "import opencodeinterpreter.tools.runner, opencodeinterpreter.tools.sandbox.probe\n"
        "print(*sorted(name.rpartition('.')[2] for name in sys.modules if 'sandbox.' in name))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told_names = set(told.stdout.split())
    assert {"local", "proof", "run"} <= told_names
    assert not told_names & {"cell", "landlock", "root", "seal", "syscalls", "zygote"}
