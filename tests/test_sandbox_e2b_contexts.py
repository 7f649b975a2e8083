"""Contexts on E2B keep their state, and report when it was lost."""

import asyncio
import importlib.util
from collections.abc import AsyncIterator

import pytest

from opencodeinterpreter.tools.errors import InputError, SandboxError
from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.sandbox.e2b.sandbox import E2BSandbox
from opencodeinterpreter.tools.sandbox.protocol import Context, FileInfo, RunExtras
from tests.e2b_fake import FakeE2B, opened
from tests.e2b_fake_faults import Die, Drop, Refuse, Silence

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("e2b_code_interpreter") is None, reason="needs the extra e2b"
)
SHORT = SandboxLimits(wall_seconds=0.3)


@pytest.fixture
async def fake() -> AsyncIterator[FakeE2B]:
    async with FakeE2B() as fake:
        yield fake


@pytest.fixture
async def sandbox(fake: FakeE2B) -> AsyncIterator[E2BSandbox]:
    async with opened(fake) as sandbox:
        yield sandbox


@pytest.fixture
async def context(sandbox: E2BSandbox) -> Context:
    return await sandbox.create_context()


async def shown(sandbox: E2BSandbox, context: Context, code: str) -> str:
    """Run a cell that must succeed; return what it shows."""
    told = await sandbox.run_code(code, context=context)
    assert told.status == "ok", told
    assert not told.state_lost
    return "".join(result.text or "" for result in told.results)


async def test_variables_stay_and_the_last_value_is_shown(
    sandbox: E2BSandbox, context: Context
) -> None:
    first = await sandbox.run_code("x = 20; print('hi')", context=context)
    second = await sandbox.run_code("x += 1; x * 2", context=context)
    assert (first.logs.stdout, first.results, first.execution_count) == ("hi\n", (), 1)
    assert (second.results[0].text, second.results[0].is_main_result) == ("42", True)
    assert (second.execution_count, second.exit_code, second.tier) == (2, 0, "e2b")


async def test_rich_results_come_in_every_form(sandbox: E2BSandbox, context: Context) -> None:
    told = await sandbox.run_code(
        "class Rich:\n"
        "    def __repr__(self): return 'plain\\ud800'\n"
        "    def _repr_html_(self): return '<b>rich</b>'\n"
        "    def _repr_png_(self): return 'iVBORw=='\n"
        "Rich()",
        context=context,
    )
    (result,) = told.results
    assert (result.text, result.html, result.png) == ("plain?", "<b>rich</b>", "iVBORw==")
    assert told == type(told).model_validate_json(told.model_dump_json())


async def test_an_error_is_told_and_the_state_stays(sandbox: E2BSandbox, context: Context) -> None:
    await shown(sandbox, context, "x = 7")
    told = await sandbox.run_code("print('before'); 1/0", context=context)
    assert told.error
    assert (told.status, told.error.name, told.error.value) == (
        "error",
        "ZeroDivisionError",
        "division by zero",
    )
    assert told.logs.stdout == "before\n"
    assert await shown(sandbox, context, "x") == "7"


async def test_a_cell_that_leaves_ends_the_cell_alone(
    sandbox: E2BSandbox, context: Context
) -> None:
    await shown(sandbox, context, "x = 7")
    left = [
        await sandbox.run_code(f"import sys; sys.exit({value})", context=context)
        for value in ("", "0", "3", "'so'")
    ]
    assert [(told.status, told.exit_code) for told in left] == [
        ("ok", 0),
        ("ok", 0),
        ("exited", 3),
        ("exited", 1),
    ]
    assert await shown(sandbox, context, "x") == "7"


async def test_a_cell_that_overruns_is_interrupted_and_keeps_its_variables(
    sandbox: E2BSandbox, context: Context
) -> None:
    code = "x = 7\nprint('so far')\nwhile True: pass"
    told = await sandbox.run_code(code, context=context, limits=SHORT)
    assert (told.status, told.reason, told.state_lost) == ("timeout", "wall", False)
    assert told.logs.stdout == "so far\n"
    assert await shown(sandbox, context, "x") == "7"


async def test_a_lost_probe_after_an_interrupt_costs_time_and_no_state(
    sandbox: E2BSandbox, context: Context, fake: FakeE2B
) -> None:
    await shown(sandbox, context, "x = 7")
    running = asyncio.create_task(
        sandbox.run_code("while True: pass", context=context, limits=SHORT)
    )
    await asyncio.sleep(0.1)
    fake.fail("execute", Silence())
    assert (await running).status == "timeout"
    assert await shown(sandbox, context, "x") == "7"


async def test_a_cell_that_will_not_stop_loses_the_state_and_says_so_twice(
    sandbox: E2BSandbox, context: Context
) -> None:
    await shown(sandbox, context, "x = 7; open('f', 'w').close()")
    stubborn = "import time\nwhile True:\n    try: time.sleep(600)\n    except BaseException: pass"
    told = await sandbox.run_code(stubborn, context=context, limits=SHORT)
    assert (told.status, told.reason, told.state_lost) == ("timeout", "wall", True)
    after = await sandbox.run_code("import os; 'x' in dir(), os.listdir()", context=context)
    assert (after.state_lost, after.execution_count) == (True, 1)
    assert after.results[0].text == "(False, [])"
    assert await shown(sandbox, context, "1") == "1"


async def test_a_flood_of_output_ends_the_cell_and_keeps_its_beginning(
    sandbox: E2BSandbox, context: Context
) -> None:
    await shown(sandbox, context, "x = 7")
    limits = SandboxLimits(output_bytes=100)
    told = await sandbox.run_code("while True: print('y' * 60000)", context=context, limits=limits)
    assert (told.status, told.reason, told.logs.stdout) == ("limit", "output", "y" * 100)
    assert told.logs.stdout_dropped > 16 << 20
    assert await shown(sandbox, context, "x") == "7"


async def test_a_kernel_that_dies_is_told_twice_and_begins_anew(
    sandbox: E2BSandbox, context: Context
) -> None:
    await shown(sandbox, context, "x = 7")
    told = await sandbox.run_code("import os; os._exit(1)", context=context)
    assert (told.status, told.error, told.state_lost) == ("crashed", None, True)
    after = await sandbox.run_code("x", context=context)
    assert (after.status, after.state_lost, after.execution_count) == ("error", True, 1)
    assert await shown(sandbox, context, "1") == "1"


async def test_code_cannot_pass_its_own_error_off_as_a_crash(
    sandbox: E2BSandbox, context: Context
) -> None:
    code = "class ContextRestarting(Exception): pass\nraise ContextRestarting"
    told = await sandbox.run_code(code, context=context)
    assert (told.status, told.state_lost) == ("error", False)


async def test_code_that_breaks_its_kernel_loses_its_state_and_not_the_sandbox(
    sandbox: E2BSandbox, context: Context, fake: FakeE2B
) -> None:
    await shown(sandbox, context, "import builtins; x = 7; builtins.exec = None")
    told = await sandbox.run_code("'x' in dir(), input()", context=context, stdin="in")
    assert (told.results[0].text, told.state_lost) == ("(False, 'in')", True)
    assert await shown(sandbox, context, "1") == "1"
    assert len(fake.sandboxes) == 1


async def test_a_cancelled_cell_is_stopped_and_the_next_one_runs(
    sandbox: E2BSandbox, context: Context
) -> None:
    await shown(sandbox, context, "x = 7")
    running = asyncio.create_task(sandbox.run_code("while True: x += 1", context=context))
    await asyncio.sleep(0.1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await shown(sandbox, context, "x > 7, [x := 1]") == "(True, [1])"


async def test_cells_of_one_context_run_one_after_the_other(
    sandbox: E2BSandbox, context: Context
) -> None:
    await shown(sandbox, context, "log = []")
    code = "import time; log.append('in'); time.sleep(0.1); log.append('out')"
    await asyncio.gather(*(shown(sandbox, context, code) for _ in range(3)))
    assert await shown(sandbox, context, "log") == repr(["in", "out"] * 3)


async def test_stdin_and_a_seed_are_a_cells_own(sandbox: E2BSandbox, context: Context) -> None:
    code = "import random, sys\nprint(input('name? '), repr(sys.stdin.read()), random.random())"
    told = [
        (
            await sandbox.run_code(
                code, context=context, stdin="Ann\nrest", extras=RunExtras(seed=1)
            )
        ).logs.stdout
        for _ in range(2)
    ]
    assert told[0] == told[1]
    assert told[0].startswith("name? Ann 'rest' ")
    empty = await sandbox.run_code("input()", context=context)
    assert empty.error
    assert empty.error.name == "EOFError"


async def test_files_go_in_and_out(sandbox: E2BSandbox, context: Context) -> None:
    await sandbox.write_file(context, "in/data.bin", b"\x00\xff")
    told = await sandbox.run_code(
        "data = open('in/data.bin', 'rb').read() + open('more', 'rb').read()\n"
        "open('out.txt', 'wb').write(data)",
        context=context,
        files={"more": "é"},
        extras=RunExtras(collect=["*.txt"]),
    )
    assert [artifact.path for artifact in told.artifacts] == ["out.txt"]
    assert await sandbox.read_file(context, "out.txt") == b"\x00\xff\xc3\xa9"
    assert await sandbox.list_files(context) == (
        FileInfo(path="in", kind="folder"),
        FileInfo(path="more", kind="file", size=2),
        FileInfo(path="out.txt", kind="file", size=4),
    )
    assert await sandbox.list_files(context, "in") == (
        FileInfo(path="in/data.bin", kind="file", size=2),
    )
    for path in ("none", "in", "../x", "/etc/passwd"):
        with pytest.raises(InputError, match=path):
            await sandbox.read_file(context, path)
    with pytest.raises(InputError, match="none"):
        await sandbox.list_files(context, "none")


async def test_memory_is_bounded_for_the_contexts_life(sandbox: E2BSandbox) -> None:
    context = await sandbox.create_context(limits=SandboxLimits(memory_mb=32))
    told = await sandbox.run_code("bytearray(1 << 30)", context=context)
    assert told.error
    assert told.error.name == "MemoryError"


async def test_a_restart_empties_a_context(sandbox: E2BSandbox, context: Context) -> None:
    await shown(sandbox, context, "x = 7; open('f', 'w').close()")
    await sandbox.restart_context(context)
    assert await sandbox.list_files(context) == ()
    told = await sandbox.run_code("'x' in dir()", context=context)
    assert (told.results[0].text, told.execution_count, told.state_lost) == ("False", 1, False)


async def test_a_fork_goes_its_own_way(
    sandbox: E2BSandbox, context: Context, fake: FakeE2B
) -> None:
    await shown(sandbox, context, "x = [7]; open('f', 'w').write('f')")
    twin = await sandbox.fork_context(context)
    assert twin != context
    assert await shown(sandbox, twin, "x.append(8); x, open('f').read()") == "([7, 8], 'f')"
    assert await shown(sandbox, context, "x") == "[7]"
    draw = "import random; random.random()"
    assert await shown(sandbox, context, draw) != await shown(sandbox, twin, draw)
    assert len(fake.alive) == 2


async def test_a_removed_context_is_gone_with_its_sandbox(
    sandbox: E2BSandbox, context: Context, fake: FakeE2B
) -> None:
    running = asyncio.create_task(sandbox.run_code("while True: pass", context=context))
    await asyncio.sleep(0.1)
    await sandbox.remove_context(context)
    await sandbox.remove_context(context)
    with pytest.raises(SandboxError):
        await running
    with pytest.raises(InputError, match=context.id):
        await sandbox.run_code("1", context=context)
    await fake.down_to(0)


async def test_there_are_no_more_contexts_than_settings_allow(fake: FakeE2B) -> None:
    async with opened(fake, contexts=1) as sandbox:
        context = await sandbox.create_context()
        with pytest.raises(SandboxError, match="`contexts`"):
            await sandbox.create_context()
        with pytest.raises(SandboxError, match="`contexts`"):
            await sandbox.fork_context(context)
        await sandbox.remove_context(context)
        await sandbox.create_context()


async def test_a_sandbox_that_died_between_cells_is_replaced_and_that_is_told(
    sandbox: E2BSandbox, context: Context, fake: FakeE2B
) -> None:
    await shown(sandbox, context, "x = 7")
    fake.last.kill()
    told = await sandbox.run_code("'x' in dir()", context=context)
    assert (told.results[0].text, told.execution_count, told.state_lost) == ("False", 1, True)
    assert await shown(sandbox, context, "1") == "1"


@pytest.mark.parametrize("fault", [Drop(after=1), Die(after=1), Refuse(500)], ids=repr)
async def test_a_cell_that_loses_its_sandbox_is_an_error_and_the_next_one_tells(
    sandbox: E2BSandbox, context: Context, fake: FakeE2B, fault: Drop | Die | Refuse
) -> None:
    await shown(sandbox, context, "x = 7")
    fake.fail("execute", fault)
    with pytest.raises(SandboxError, match="run a cell"):
        await sandbox.run_code("import time; time.sleep(0.1); x", context=context)
    told = await sandbox.run_code("'x' in dir()", context=context)
    assert (told.results[0].text, told.state_lost) == ("False", True)
    await fake.down_to(1)
