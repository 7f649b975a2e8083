"""Runs on E2B report what a program did as the local sandbox does."""

import importlib.util
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.grading.tests import CallCase, CaseTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import SandboxRunner
from opencodeinterpreter.tools.sandbox.e2b.sandbox import E2BSandbox
from opencodeinterpreter.tools.sandbox.protocol import RunExtras
from tests.e2b_fake import FakeE2B, opened

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("e2b_code_interpreter") is None, reason="needs the extra e2b"
)


@pytest.fixture
async def fake() -> AsyncIterator[FakeE2B]:
    async with FakeE2B() as fake:
        yield fake


@pytest.fixture
async def sandbox(fake: FakeE2B) -> AsyncIterator[E2BSandbox]:
    async with opened(fake) as sandbox:
        yield sandbox


@dataclass(frozen=True)
class Ending:
    code: str
    status: str
    reason: str = ""
    exit_code: int | None = None
    error: str = ""
    limits: dict[str, Any] = field(default_factory=dict)


ENDINGS = {
    "ok": Ending("x = 1", "ok", exit_code=0),
    "error": Ending("1/0", "error", exit_code=1, error="ZeroDivisionError"),
    "syntax": Ending("x = = 1", "error", exit_code=1, error="SyntaxError"),
    "exit 0": Ending("import sys; sys.exit()", "ok", exit_code=0),
    "exit 3": Ending("import sys; sys.exit(3)", "exited", exit_code=3),
    "leaves at once": Ending("import os; os._exit(4)", "exited", exit_code=4),
    "signal": Ending("import os; os.abort()", "crashed", "SIGABRT"),
    "wall": Ending("import time; time.sleep(9)", "timeout", "wall", limits={"wall_seconds": 0.3}),
    "cpu": Ending("while True: pass", "timeout", "cpu", limits={"cpu_seconds": 0.2}),
    "memory": Ending(
        "kept = []\nwhile True: kept.append(bytearray(1 << 20))",
        "limit",
        "memory",
        limits={"memory_mb": 64},
    ),
    "address space": Ending(
        "bytearray(1 << 30)", "error", exit_code=1, error="MemoryError", limits={"memory_mb": 64}
    ),
    "output": Ending("while True: print('x' * 4000)", "limit", "output"),
    "file size": Ending(
        "open('f', 'wb').write(bytes(3 << 20))",
        "error",
        exit_code=1,
        error="OSError",
        limits={"disk_mb": 2},
    ),
    "garbage for an answer": Ending("import os; os.write(3, b'[]')", "exited", exit_code=0),
    "an endless answer": Ending(
        "import os\nwhile True: os.write(3, bytes(4096))", "limit", "frame"
    ),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
async def test_each_ending_has_its_status(sandbox: E2BSandbox, ending: Ending) -> None:
    told = await sandbox.run_code(ending.code, limits=SandboxLimits(**ending.limits))
    found = (told.status, told.reason, told.exit_code, told.error.name if told.error else "")
    assert found == (ending.status, ending.reason, ending.exit_code, ending.error)
    assert (told.tier, told.profile, told.execution_count) == ("e2b", "proc", None)
    assert told.seconds > 0


async def test_a_program_has_its_files_its_stdin_and_both_streams(sandbox: E2BSandbox) -> None:
    told = await sandbox.run_code(
        "import sys, pkg.inner\n"
        "print(pkg.inner.NAME, input(), open('data.bin', 'rb').read(), __name__)\n"
        "print('é\\udcff', file=sys.stderr)",
        files={"pkg/inner.py": "NAME = 'ünï'\n", "data.bin": b"\x00\xff"},
        stdin="läuft\n",
    )
    assert told.logs.stdout == "ünï läuft b'\\x00\\xff' __main__\n"
    assert told.logs.stderr == "é\\udcff\n"
    assert told.status == "ok"


async def test_tracebacks_show_the_programs_own_lines(sandbox: E2BSandbox) -> None:
    told = await sandbox.run_code("def f():\n    return {}['k']\nf()")
    assert told.error
    assert 'File "main.py", line 2, in f' in told.error.traceback
    assert "return {}['k']" in told.error.traceback
    assert "opencodeinterpreter" not in told.error.traceback


async def test_output_is_cut_and_the_rest_counted(sandbox: E2BSandbox) -> None:
    limits = SandboxLimits(output_bytes=1000)
    told = await sandbox.run_code("print('x' * 4999)", limits=limits)
    assert (told.status, len(told.logs.stdout), told.logs.stdout_dropped) == ("ok", 1000, 4000)


async def test_a_stopped_run_keeps_what_it_printed(sandbox: E2BSandbox) -> None:
    code = "import time\nprint('so far')\ntime.sleep(9)"
    told = await sandbox.run_code(code, limits=SandboxLimits(wall_seconds=1.5))
    assert (told.status, told.logs.stdout) == ("timeout", "so far\n")


async def test_files_are_collected_by_pattern(sandbox: E2BSandbox) -> None:
    told = await sandbox.run_code(
        "import os\n"
        "os.mkdir('out'); open('out/a.txt', 'w').write('a'); open('b.bin', 'wb').write(b'b')\n"
        "os.symlink('/dev/zero', 'out/endless'); open('out/big', 'wb').truncate(3 << 20)",
        extras=RunExtras(collect=["out/*"]),
    )
    found = [(artifact.path, artifact.size, artifact.content) for artifact in told.artifacts]
    assert found == [("out/a.txt", 1, "YQ=="), ("out/big", 3 << 20, None)]


async def test_a_seed_fixes_random_numbers_which_else_differ(sandbox: E2BSandbox) -> None:
    code = "import random; print(random.random())"
    told = [
        (await sandbox.run_code(code, extras=RunExtras(seed=seed))).logs.stdout
        for seed in (1, 1, None, None)
    ]
    assert told[0] == told[1]
    assert len(set(told)) == 3


async def test_nothing_a_run_starts_outlives_it(fake: FakeE2B) -> None:
    daemon = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(600)\n"
        "    os._exit(0)\n"
        "time.sleep(0.2)"
    )
    async with opened(fake, runs_per_sandbox=2) as sandbox:
        assert (await sandbox.run_code(daemon)).status == "ok"
        assert fake.last.alive
        assert fake.last.processes() == []


async def test_a_run_that_kills_its_watcher_has_crashed_and_its_sandbox_is_given_up(
    fake: FakeE2B,
) -> None:
    async with opened(fake, runs_per_sandbox=9) as sandbox:
        code = "import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(600)"
        assert (await sandbox.run_code(code)).status == "crashed"
        first = fake.last
        assert (await sandbox.run_code("print(1)")).status == "ok"
        assert not first.alive
        await fake.quiet()


async def test_runs_have_a_sandbox_each_unless_settings_say_otherwise(fake: FakeE2B) -> None:
    async with opened(fake) as sandbox:
        for _ in range(2):
            await sandbox.run_code("pass")
        assert sandbox.tier == "e2b"
    assert len(fake.sandboxes) == 2
    async with opened(fake, runs_per_sandbox=2) as sandbox:
        await sandbox.run_code("open('here', 'w')")
        told = await sandbox.run_code("import os; print(os.listdir())")
        assert (told.logs.stdout, told.tier) == ("[]\n", "e2b shared")
    assert len(fake.sandboxes) == 3


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../../up", "nul\0"])
async def test_a_path_that_leaves_the_work_folder_is_refused(
    sandbox: E2BSandbox, fake: FakeE2B, path: str
) -> None:
    with pytest.raises(InputError, match="work folder"):
        await sandbox.run_code("pass", files={path: "text"})
    assert not fake.sandboxes


async def test_the_grader_grades_through_it(sandbox: E2BSandbox) -> None:
    cases = (CallCase(args=(2,), expected=4), CallCase(args=(3,), expected=10))
    program = Program(
        code="def f(n):\n    return n * n", tests=CaseTests(cases=cases), entry_point="f"
    )
    told = await SandboxRunner(sandbox).run(program)
    assert told.tests
    assert [test.status for test in told.tests] == ["passed", "failed"]
