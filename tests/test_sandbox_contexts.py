"""Contexts: what is kept between cells, what a cell shows, and how a stuck cell is stopped."""

import asyncio
import base64
import hashlib
import os
import resource
import signal
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio

from opencodeinterpreter.tools.errors import InputError, SandboxError
from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox, open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from opencodeinterpreter.tools.sandbox.protocol import Context, ContextSandbox, RunExtras

pytestmark = pytest.mark.asyncio(loop_scope="module")
SHORT = SandboxLimits(wall_seconds=0.4)


@pytest_asyncio.fixture(loop_scope="module")
async def context(sandbox: LocalSandbox) -> AsyncIterator[Context]:
    made = await sandbox.create_context()
    yield made
    await sandbox.remove_context(made)


def summary(execution: Execution) -> str:
    """Return the status with its reason, then the results and the output."""
    error = execution.error.name if execution.error else ""
    shown = " ".join(str(result.text) for result in execution.results)
    parts = (execution.status, execution.reason, error, shown, execution.logs.stdout.strip())
    lost = "LOST" if execution.state_lost else ""
    return " ".join(part for part in (*parts, lost) if part)


async def test_the_local_sandbox_fits_the_protocol(sandbox: LocalSandbox) -> None:
    fitting: ContextSandbox = sandbox
    assert fitting.tier == "full"


async def test_variables_imports_and_files_stay(sandbox: LocalSandbox, context: Context) -> None:
    cells = {
        "import math\nx = 6": "ok",
        "def f(y): return x * y": "ok",
        "open('note', 'w').write('kept')": "ok 4",
        "print(open('note').read()); f(7), math.floor(2.5)": "ok (42, 2) kept",
        "x = 1; f(7)": "ok 7",
        "None": "ok",
        "__name__": "ok '__main__'",
    }
    for number, (code, expected) in enumerate(cells.items(), 1):
        told = await sandbox.run_code(code, context=context)
        assert (summary(told), told.execution_count) == (expected, number)


async def test_a_failed_cell_leaves_the_others_state(
    sandbox: LocalSandbox, context: Context
) -> None:
    for code, expected in (
        ("x = 1", "ok"),
        ("x = 2; 1 / 0", "error ZeroDivisionError"),
        ("x +", "error SyntaxError"),
        ("import sys; sys.exit(3)", "exited"),
        ("x", "ok 2"),
    ):
        assert summary(await sandbox.run_code(code, context=context)) == expected


async def test_a_traceback_quotes_an_earlier_cell(sandbox: LocalSandbox, context: Context) -> None:
    await sandbox.run_code("def f(x):\n    return 1 // x", context=context)
    error = (await sandbox.run_code("f(0)", context=context)).error
    assert error is not None
    assert '"<cell 1>", line 2, in f' in error.traceback
    assert "return 1 // x" in error.traceback
    assert "cell.py" not in error.traceback


async def test_input_and_files_are_a_cells_own(sandbox: LocalSandbox, context: Context) -> None:
    await sandbox.run_code("a = input()", context=context, stdin="one\ntwo\n")
    await sandbox.run_code("import sys; sys.stdin.detach()", context=context)
    files: dict[str, str | bytes] = {"d/b": b"\xff\x00", "t": "é"}
    code = "a, input(), open('d/b', 'rb').read(), open('t').read()"
    told = await sandbox.run_code(code, context=context, stdin="three\n", files=files)
    assert told.results[0].text == repr(("one", "three", b"\xff\x00", "é"))


async def test_a_value_is_shown_in_all_its_forms(sandbox: LocalSandbox, context: Context) -> None:
    code = (
        "class Rich:\n"
        "    def __repr__(self): return 'plain'\n"
        "    def _repr_html_(self): return '<b>\\ud800</b>'\n"
        "    def _repr_png_(self): return b'png'\n"
        "    def _repr_json_(self): return {'a': [1, None]}\n"
        "    def _repr_latex_(self): raise ValueError\n"
        "    def _repr_svg_(self): return 'x' * 9_000_000\n"
        "Rich()"
    )
    (result,) = (await sandbox.run_code(code, context=context)).results
    told = result.model_dump(exclude_none=True, exclude={"extra"})
    assert told == {
        "is_main_result": True,
        "text": "plain",
        "html": "<b>?</b>",
        "png": base64.b64encode(b"png").decode(),
        "json_value": {"a": [1, None]},
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("raise ValueError", "ok (its repr raised ValueError)"),
        ("return 5", "ok (its repr raised TypeError)"),
        ("while True: pass", "timeout wall KeyboardInterrupt"),
        ("raise KeyboardInterrupt", "error KeyboardInterrupt"),
    ],
)
async def test_a_hostile_repr_is_told_too(
    sandbox: LocalSandbox, context: Context, body: str, expected: str
) -> None:
    code = f"class E:\n    def __repr__(self):\n        {body}\nE()"
    told = summary(await sandbox.run_code(code, context=context, limits=SHORT))
    assert told == expected.replace("wall KeyboardInterrupt", "wall")
    assert summary(await sandbox.run_code("1", context=context)) == "ok 1"


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time; time.sleep(60)",
        "import re; re.match(r'(a+)+$', 'a' * 40 + 'b')",
        "import threading; t = threading.Event(); t.wait()",
        "while True: print('x')",
    ],
)
async def test_a_stuck_cell_is_interrupted_and_its_variables_stay(
    sandbox: LocalSandbox, context: Context, code: str
) -> None:
    await sandbox.run_code("x = 41", context=context)
    told = await sandbox.run_code(code, context=context, limits=SHORT)
    assert (told.status, told.reason, told.state_lost) == ("timeout", "wall", False)
    assert summary(await sandbox.run_code("x + 1", context=context)) == "ok 42"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "import time\nwhile True:\n    try: time.sleep(9)\n    except BaseException: pass",
            "timeout wall",
        ),
        ("import signal; signal.signal(2, signal.SIG_IGN)\nwhile True: pass", "timeout wall"),
        ("sum(range(10 ** 15))", "timeout wall"),
        ("x = b'x' * (90 << 20)\nwhile True: pass", "limit memory"),
        ("import os; os._exit(3)", "exited"),
        ("import ctypes; ctypes.string_at(0)", "crashed SIGSEGV"),
        ("import os\nwhile True: os.write(3, b'x' * 9999)", "limit frame"),
    ],
)
async def test_where_state_is_lost_both_this_result_and_the_next_say_so(
    sandbox: LocalSandbox, code: str, expected: str
) -> None:
    small = SandboxLimits(memory_mb=64, wall_seconds=5)
    context = await sandbox.create_context(limits=small)
    await sandbox.run_code("x = 1; open('f', 'w').close()", context=context)
    limits = SHORT if "wall" in expected else None
    assert summary(await sandbox.run_code(code, context=context, limits=limits)) == (
        f"{expected} LOST"
    )
    code = "import os; print('x' in globals(), os.listdir())"
    after = await sandbox.run_code(code, context=context)
    assert (summary(after), after.execution_count) == ("ok False [] LOST", 1)
    assert not (await sandbox.run_code("1", context=context)).state_lost
    await sandbox.remove_context(context)


async def test_processor_time_and_output_are_counted_by_cell(
    sandbox: LocalSandbox, context: Context
) -> None:
    spin = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass"
    limits = SandboxLimits(cpu_seconds=0.5, output_bytes=5)
    for _ in range(3):
        code = spin.format(0.3) + "\nprint('123')"
        assert summary(await sandbox.run_code(code, context=context, limits=limits)) == "ok 123"
    told = await sandbox.run_code(spin.format(9), context=context, limits=limits)
    assert summary(told) == "timeout cpu"


async def test_a_cancelled_cell_is_interrupted_and_the_next_one_waits_for_that(
    sandbox: LocalSandbox, context: Context
) -> None:
    await sandbox.run_code("x = 5", context=context)
    running = asyncio.create_task(sandbox.run_code("while True: x += 0", context=context))
    await asyncio.sleep(0.1)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert summary(await sandbox.run_code("x", context=context)) == "ok 5"


async def test_cells_of_one_context_run_one_after_the_other(
    sandbox: LocalSandbox, context: Context
) -> None:
    await sandbox.run_code("import time; seen = []", context=context)
    code = "seen.append('in'); time.sleep(0.05); seen.append('out')"
    await asyncio.gather(*(sandbox.run_code(code, context=context) for _ in range(3)))
    told = await sandbox.run_code("''.join(seen)", context=context)
    assert told.results[0].text == "'inoutinoutinout'"


async def test_contexts_see_nothing_of_each_other(sandbox: LocalSandbox, context: Context) -> None:
    other = await sandbox.create_context()
    await sandbox.run_code("x = 1; open('f', 'w').close()", context=context)
    code = "import os; 'x' in globals(), os.listdir()"
    assert summary(await sandbox.run_code(code, context=other)) == "ok (False, [])"
    await sandbox.remove_context(other)


async def test_files_go_in_and_come_out(sandbox: LocalSandbox, context: Context) -> None:
    await sandbox.write_file(context, "in/data.bin", b"\x00\xff")
    code = "b = open('in/data.bin', 'rb').read(); open('in/twice', 'wb').write(b * 2)"
    await sandbox.run_code(code, context=context)
    assert await sandbox.read_file(context, "in/twice") == b"\x00\xff" * 2
    listed = [entry.path for entry in await sandbox.list_files(context, "in")]
    assert listed == ["in/data.bin", "in/twice"]
    assert [entry.kind for entry in await sandbox.list_files(context)] == ["folder"]


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "", "a//b", "link", "folder", "none", "p"])
async def test_no_path_leads_out_of_the_work_folder(
    sandbox: LocalSandbox, context: Context, path: str
) -> None:
    code = "import os; os.symlink('/etc/passwd', 'link'); os.mkdir('folder')"
    await sandbox.run_code(code, context=context)
    with pytest.raises(InputError):
        await sandbox.read_file(context, path)


async def test_files_that_a_program_left_are_collected(sandbox: LocalSandbox) -> None:
    code = (
        "import os; os.mkdir('out'); open('out/a.txt', 'w').write('A'); open('b.txt', 'w')\n"
        "open('big.txt', 'wb').write(bytes(3 << 20)); os.symlink('/etc/passwd', 'l.txt')\n"
        "import time; time.sleep(60)"
    )
    limits = SandboxLimits(wall_seconds=1)
    told = await sandbox.run_code(code, extras=RunExtras(collect=["*.txt"]), limits=limits)
    assert told.status == "timeout"
    assert [(a.path, a.size, a.content is not None) for a in told.artifacts] == [
        ("b.txt", 0, True),
        ("big.txt", 3 << 20, False),
        ("out/a.txt", 1, True),
    ]
    assert told.artifacts[2].sha256 == hashlib.sha256(b"A").hexdigest()
    assert Execution.model_validate_json(told.model_dump_json()) == told


async def test_a_fork_has_the_same_state_and_goes_its_own_way(
    sandbox: LocalSandbox, context: Context
) -> None:
    for code in (
        "import random; x = [1]",
        "y = random.random()",
        "x.append(2); 1 / 0",
        "x = x[:1]",
    ):
        await sandbox.run_code(code, context=context)
    await sandbox.write_file(context, "given", b"1")
    await sandbox.run_code("open('given', 'a').write('2')", context=context)
    twin = await sandbox.fork_context(context)
    code = "x, y, open('given').read()"
    ours, theirs = [
        (await sandbox.run_code(code, context=c)).results[0].text for c in (context, twin)
    ]
    assert ours == theirs
    await sandbox.run_code("x.append(9); open('given', 'w').write('z')", context=twin)
    assert (await sandbox.run_code(code, context=context)).results[0].text == ours
    await sandbox.remove_context(twin)


async def test_a_context_that_goes_otherwise_the_second_time_is_not_forked(
    sandbox: LocalSandbox, context: Context
) -> None:
    await sandbox.run_code("import time; assert time.time() < 0 or True", context=context)
    code = "import os; os.path.exists('gone') and 1 / 0; open('gone', 'w').close()"
    await sandbox.run_code(code, context=context)
    code = f"import time; assert time.time() < {__import__('time').time() + 0.3}; time.sleep(0.4)"
    await sandbox.run_code(code, context=context)
    with pytest.raises(SandboxError, match="step 3 of it ended as error"):
        await sandbox.fork_context(context)


async def test_a_restart_empties_a_context(sandbox: LocalSandbox, context: Context) -> None:
    await sandbox.run_code("x = 1", context=context)
    await sandbox.restart_context(context)
    told = await sandbox.run_code("'x' in globals()", context=context)
    assert (summary(told), told.execution_count) == ("ok False", 1)


async def test_a_context_that_is_gone_is_named(sandbox: LocalSandbox) -> None:
    context = await sandbox.create_context()
    await sandbox.remove_context(context)
    await sandbox.remove_context(context)
    with pytest.raises(InputError, match=f"context {context.id}: not open"):
        await sandbox.run_code("1", context=context)


async def test_a_zygote_that_dies_takes_the_state_and_the_next_result_says_so() -> None:
    async with open_local_sandbox(LocalSandboxSettings(concurrency=1)) as sandbox:
        context = await sandbox.create_context()
        await sandbox.run_code("x = 1", context=context)
        assert sandbox.zygote_pid is not None
        os.kill(sandbox.zygote_pid, signal.SIGKILL)
        told = ""
        # Until the host notices the death, a cell may fail, or succeed and then lose its state.
        while "False" not in told:
            with suppress(SandboxError):
                told = summary(await sandbox.run_code("'x' in globals()", context=context))
        assert told == "ok False LOST"


async def test_beyond_the_most_contexts_the_one_longest_idle_loses_its_state() -> None:
    async with open_local_sandbox(LocalSandboxSettings(concurrency=2, contexts=2)) as sandbox:
        one, two, three = [await sandbox.create_context() for _ in range(3)]
        for context in (one, two):
            await sandbox.run_code("x = 1; open('file', 'w').close()", context=context)
        busy = asyncio.create_task(sandbox.run_code("import time; time.sleep(0.5); x", context=one))
        await asyncio.sleep(0.1)
        assert summary(await sandbox.run_code("3", context=three)) == "ok 3"
        assert summary(await busy) == "ok 1"
        await sandbox.write_file(two, "new", b"")
        code = "import os; 'x' in globals(), os.listdir()"
        assert summary(await sandbox.run_code(code, context=two)) == "ok (False, ['new']) LOST"
        assert summary(await sandbox.run_code("1", context=two)) == "ok 1"


async def test_a_context_too_many_is_refused_while_all_are_at_work() -> None:
    async with open_local_sandbox(LocalSandboxSettings(concurrency=2, contexts=1)) as sandbox:
        one, two = [await sandbox.create_context() for _ in range(2)]
        busy = asyncio.create_task(sandbox.run_code("import time; time.sleep(1)", context=one))
        await asyncio.sleep(0.2)
        with pytest.raises(SandboxError, match="all 1 contexts of this sandbox are busy"):
            await sandbox.run_code("1", context=two)
        assert summary(await busy) == "ok"


async def test_threads_that_spin_between_cells_end_the_context() -> None:
    limits = SandboxLimits(cpu_seconds=0.3)
    async with open_local_sandbox(LocalSandboxSettings(concurrency=1)) as sandbox:
        context = await sandbox.create_context(limits=limits)
        code = (
            "import threading\ndef spin():\n    while True: pass\n"
            "threading.Thread(target=spin, daemon=True).start()"
        )
        assert summary(await sandbox.run_code(code, context=context)) == "ok"
        # On a busy machine the thread needs longer to use its time.
        for seconds in (1, 2, 4, 8, 16):
            await asyncio.sleep(seconds)
            told = await sandbox.run_code("1", context=context)
            if told.state_lost:
                break
        assert told.state_lost


async def test_seeds_fix_random_numbers_and_nothing_else_does(sandbox: LocalSandbox) -> None:
    code = "import random; print(random.random())"
    runs = [
        await sandbox.run_code(code, extras=RunExtras(seed=seed)) for seed in (1, 1, 2, None, None)
    ]
    drawn = [run.logs.stdout for run in runs]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 4


async def test_a_context_keeps_a_bounded_number_of_bytes_for_a_fork(
    sandbox: LocalSandbox, context: Context
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(60):
        told = await sandbox.run_code(f"x = {number}", stdin="x" * 1_900_000, context=context)
        assert told.status == "ok"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
    assert summary(await sandbox.run_code("x", context=context)) == "ok 59"
    with pytest.raises(SandboxError, match="only 16 are kept"):
        await sandbox.fork_context(context)
    small = await sandbox.create_context()
    await sandbox.run_code("x = 1", context=small)
    twin = await sandbox.fork_context(small)
    assert summary(await sandbox.run_code("x", context=twin)) == "ok 1"
