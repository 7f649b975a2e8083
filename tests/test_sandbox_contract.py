"""What all sandboxes have in common: local in both tiers, and E2B against a fake server."""

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.sandbox.local.sandbox import open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from opencodeinterpreter.tools.sandbox.protocol import ContextSandbox, RunExtras
from tests.e2b_fake import FakeE2B, opened
from tests.sandbox_host import DEBIAN, REDUCED, serves

pytestmark = pytest.mark.asyncio(loop_scope="module")
KINDS = ["full", REDUCED, "e2b"]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=KINDS)
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[ContextSandbox]:
    async with AsyncExitStack() as stack:
        if request.param == "e2b":
            if importlib.util.find_spec("e2b_code_interpreter") is None:
                pytest.skip("needs the extra e2b")
            fake = await stack.enter_async_context(FakeE2B())
            yield await stack.enter_async_context(opened(fake))
        else:
            if not serves(DEBIAN):
                pytest.skip("needs a system Python of 3.11 or newer")
            local = open_local_sandbox(
                LocalSandboxSettings(interpreter=DEBIAN, tier=request.param, concurrency=2)
            )
            yield await stack.enter_async_context(local)


def summary(told: Execution) -> str:
    """Return the status with its reason, then the output."""
    error = told.error.name if told.error else ""
    parts = (told.status, told.reason, error, told.logs.stdout.strip())
    return " ".join(part for part in parts if part)


@pytest.mark.parametrize(
    ("code", "limits", "expected"),
    [
        ("print('x' + input())", {}, "ok xy"),
        ("1 / 0", {}, "error ZeroDivisionError"),
        ("import sys; sys.exit(3)", {}, "exited"),
        ("import os; os._exit(3)", {}, "exited"),
        ("import ctypes; ctypes.string_at(0)", {}, "crashed SIGSEGV"),
        ("print('said', flush=True)\nwhile True: pass", {"wall_seconds": 1}, "timeout wall said"),
        ("while True: pass", {"cpu_seconds": 0.3}, "timeout cpu"),
        ("x = []\nwhile True: x.append(b'x' * (1 << 20))", {"memory_mb": 64}, "limit memory"),
        ("while True: print('x' * 4000)", {"output_bytes": 3}, "limit output xxx"),
        ("bytearray(1 << 42)", {}, "error MemoryError"),
        ("open('x', 'wb').write(bytes(3 << 20))", {"disk_mb": 2}, "error OSError"),
        ("import part; print(part.word)", {}, "ok word"),
    ],
)
async def test_a_run_ends_alike(
    sandbox: ContextSandbox, code: str, limits: dict[str, float], expected: str
) -> None:
    told = await sandbox.run_code(
        code,
        files={"part.py": "word = 'word'"},
        stdin="y",
        limits=SandboxLimits.model_validate(limits),
    )
    assert summary(told) == expected
    assert told.tier == sandbox.tier
    assert Execution.model_validate_json(told.model_dump_json()) == told


async def test_runs_without_a_context_share_nothing(sandbox: ContextSandbox) -> None:
    await sandbox.run_code("import builtins; builtins.left = 1; open('left', 'w').close()")
    told = await sandbox.run_code(
        "import builtins, os; print(hasattr(builtins, 'left'), os.listdir())"
    )
    assert summary(told) == "ok False []"


async def test_what_is_printed_is_told_while_the_code_runs(sandbox: ContextSandbox) -> None:
    pieces: list[str] = []
    whole = asyncio.Event()

    def hear(piece: str) -> None:
        pieces.append(piece)
        if "".join(pieces) == "ééé\n":
            whole.set()

    code = "import time\nprint('é' * 3, flush=True)\ntime.sleep(60)"
    running = asyncio.create_task(sandbox.run_code(code, extras=RunExtras(on_stdout=hear)))
    await whole.wait()
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    context = await sandbox.create_context()
    for where in (None, context):
        pieces.clear()
        told = await sandbox.run_code(
            "print('x' * 9)",
            context=where,
            limits=SandboxLimits(output_bytes=4),
            extras=RunExtras(on_stdout=pieces.append),
        )
        assert ("".join(pieces), told.logs.stdout) == ("xxxx", "")
        assert told.logs.stdout_dropped == 6


async def test_the_kernel_bounds_a_run_s_own_processor_time(sandbox: ContextSandbox) -> None:
    code = "import resource; print(*resource.getrlimit(resource.RLIMIT_CPU))"
    for seconds, bound in ((1.5, "3 3"), (40, "41 41"), (7, "8 8")):
        told = await sandbox.run_code(code, limits=SandboxLimits(cpu_seconds=seconds))
        assert told.logs.stdout.strip() == bound


async def test_a_context_keeps_its_state_and_shows_values(sandbox: ContextSandbox) -> None:
    context = await sandbox.create_context()
    seen = []
    for code in ("x = 20", "x += 1\nx * 2", "1 / 0", "open('f', 'w').write('kept')", "x"):
        told = await sandbox.run_code(code, context=context)
        shown = [result.text for result in told.results if result.is_main_result]
        seen.append((summary(told), told.execution_count, shown))
    assert seen == [
        ("ok", 1, []),
        ("ok", 2, ["42"]),
        ("error ZeroDivisionError", 3, []),
        ("ok", 4, ["4"]),
        ("ok", 5, ["21"]),
    ]
    assert await sandbox.read_file(context, "f") == b"kept"
    await sandbox.write_file(context, "d/g", b"\xff")
    assert [entry.path for entry in await sandbox.list_files(context)] == ["d", "f"]
    told = await sandbox.run_code("open('d/g', 'rb').read()", context=context)
    assert told.results[0].text == repr(b"\xff")
    await sandbox.remove_context(context)
    with pytest.raises(InputError):
        await sandbox.run_code("1", context=context)


async def test_a_stuck_cell_keeps_the_state(sandbox: ContextSandbox) -> None:
    context = await sandbox.create_context()
    await sandbox.run_code("x = 1", context=context)
    limits = SandboxLimits(wall_seconds=1)
    told = await sandbox.run_code("import time; time.sleep(60)", context=context, limits=limits)
    assert (told.status, told.reason, told.state_lost) == ("timeout", "wall", False)
    told = await sandbox.run_code("x", context=context)
    assert (told.results[0].text, told.state_lost) == ("1", False)
    await sandbox.remove_context(context)


async def test_a_lost_state_is_told(sandbox: ContextSandbox) -> None:
    context = await sandbox.create_context()
    await sandbox.run_code("x = 1", context=context)
    assert (await sandbox.run_code("import os; os._exit(1)", context=context)).state_lost
    told = await sandbox.run_code("'x' in globals()", context=context)
    assert (told.state_lost, told.results[0].text) == (True, "False")
    assert not (await sandbox.run_code("1", context=context)).state_lost
    await sandbox.remove_context(context)


async def test_a_fork_goes_its_own_way(sandbox: ContextSandbox) -> None:
    context = await sandbox.create_context()
    await sandbox.run_code("x = [1]; open('f', 'w').write('a')", context=context)
    twin = await sandbox.fork_context(context)
    await sandbox.run_code("x.append(2); open('f', 'a').write('b')", context=twin)
    told = [
        (await sandbox.run_code("x, open('f').read()", context=one)).results[0].text
        for one in (context, twin)
    ]
    assert told == ["([1], 'a')", "([1, 2], 'ab')"]


async def test_files_are_collected_and_seeds_obeyed(sandbox: ContextSandbox) -> None:
    code = "import random; open('out.txt', 'w').write(str(random.random()))"
    drawn = []
    for seed in (3, 3, None):
        (artifact,) = (
            await sandbox.run_code(code, extras=RunExtras(collect=["*.txt"], seed=seed))
        ).artifacts
        assert artifact.path == "out.txt"
        drawn.append(artifact.content)
    assert drawn[0] == drawn[1] != drawn[2]
