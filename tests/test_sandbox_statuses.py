"""What an execution reports: each status, each limit, streams, files."""

import pytest

from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")


def summary(execution: Execution) -> str:
    """Return the status with its reason, in one line."""
    error = execution.error.name if execution.error else ""
    parts = (execution.status, execution.reason, execution.exit_code, error)
    return " ".join(str(part) for part in parts if part not in ("", None))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("print(1)", "ok 0"),
        ("", "ok 0"),
        ("import sys; sys.exit()", "ok 0"),
        ("import sys; sys.exit(3)", "exited 3"),
        ("import sys; sys.exit('sorry')", "exited 1"),
        ("import os; os._exit(0)", "exited 0"),
        ("import os; os._exit(9)", "exited 9"),
        ("1 / 0", "error 1 ZeroDivisionError"),
        ("print(", "error 1 SyntaxError"),
        ("x = '\0'", "error 1 SyntaxError"),
        ("raise KeyboardInterrupt", "error 1 KeyboardInterrupt"),
        ("import ctypes; ctypes.string_at(0)", "crashed SIGSEGV"),
        ("import os; os.abort()", "crashed SIGABRT"),
        ("import faulthandler, os; faulthandler.enable(); os.abort()", "crashed SIGABRT"),
        ("import ctypes; ctypes.CDLL(None).abort()", "crashed SIGABRT"),
        ("bytearray(1 << 40)", "error 1 MemoryError"),
        ("def f(n): return f(n + 1)\nf(0)", "error 1 RecursionError"),
        ("input()", "error 1 EOFError"),
        ("open('big', 'wb').write(bytes(100 << 20))", "error 1 OSError"),
    ],
)
async def test_each_ending_has_its_own_status(
    sandbox: LocalSandbox, code: str, expected: str
) -> None:
    told = summary(await sandbox.run_code(code))
    # A NUL in source is a ValueError before Python 3.12.
    assert told.replace("ValueError", "SyntaxError") == expected


@pytest.mark.parametrize(
    ("code", "limits", "expected"),
    [
        ("import time; time.sleep(60)", SandboxLimits(wall_seconds=0.3), "timeout wall"),
        ("while True: pass", SandboxLimits(cpu_seconds=0.2), "timeout cpu"),
        ("x = b'x' * (100 << 20)\nwhile True: pass", SandboxLimits(memory_mb=64), "limit memory"),
        ("while True: print('x' * 9999)", SandboxLimits(output_bytes=10), "limit output"),
        (
            "import os\nwhile True: os.write(3, b'x' * 9999)",
            SandboxLimits(),
            "limit frame",
        ),
    ],
)
async def test_each_limit_that_ends_a_run_is_named(
    sandbox: LocalSandbox, code: str, limits: SandboxLimits, expected: str
) -> None:
    assert summary(await sandbox.run_code(code, limits=limits)) == expected


@pytest.mark.parametrize(
    "code",
    [
        "import time\nwhile True:\n    try:\n        time.sleep(9)\n    except BaseException: pass",
        "import re; re.match(r'(a+)+$', 'a' * 40 + 'b')",
        "import signal, os; signal.pthread_sigmask(0, range(1, 60)); os.kill(1, 19)\nwhile 1: pass",
        "import os, time\nos.close(3)\ntime.sleep(60)",
        "import atexit, time; atexit.register(time.sleep, 60)",
        "import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()",
    ],
)
async def test_nothing_holds_out_against_the_wall_limit(sandbox: LocalSandbox, code: str) -> None:
    execution = await sandbox.run_code(code, limits=SandboxLimits(wall_seconds=0.3))
    assert summary(execution) == "timeout wall"
    assert execution.seconds < 9


async def test_what_was_printed_before_a_timeout_is_kept(sandbox: LocalSandbox) -> None:
    code = "import sys, time; print('out'); print('err', file=sys.stderr); time.sleep(60)"
    logs = (await sandbox.run_code(code, limits=SandboxLimits(wall_seconds=0.3))).logs
    assert (logs.stdout, logs.stderr) == ("out\n", "err\n")


async def test_output_beyond_the_limit_is_counted(sandbox: LocalSandbox) -> None:
    limits = SandboxLimits(output_bytes=10)
    logs = (await sandbox.run_code("print('x' * 99_999)", limits=limits)).logs
    assert (logs.stdout, logs.stdout_dropped) == ("x" * 10, 99_990)


async def test_output_that_is_no_text_is_made_printable(sandbox: LocalSandbox) -> None:

    code = "import os, sys; os.write(1, b'\\xff\\n'); sys.stderr.write(chr(0xd800))"
    logs = (await sandbox.run_code(code)).logs
    assert (logs.stdout, logs.stderr) == ("\ufffd\n", "\\ud800")


async def test_a_traceback_names_the_programs_own_lines_only(sandbox: LocalSandbox) -> None:
    error = (await sandbox.run_code("def f(x):\n    return 1 // x\n\nf(0)")).error
    assert error is not None
    assert error.value == "integer division or modulo by zero"
    lines = [line.strip() for line in error.traceback.splitlines()]
    assert [line for line in lines if line.startswith("File")] == [
        'File "main.py", line 4, in <module>',
        'File "main.py", line 2, in f',
    ]
    assert "return 1 // x" in lines


@pytest.mark.parametrize(
    "body",
    ["raise ValueError('x')", "while True: pass", "return 5", "return 'x' * 50_000_000"],
)
async def test_an_exception_with_hostile_text_is_still_told(
    sandbox: LocalSandbox, body: str
) -> None:
    code = f"class E(Exception):\n    def __str__(self):\n        {body}\nraise E"
    endless = "while" in body
    limits = SandboxLimits(wall_seconds=0.5 if endless else 30)
    execution = await sandbox.run_code(code, limits=limits)
    if endless:
        assert summary(execution) == "timeout wall"
    else:
        assert summary(execution) == "error 1 E"
        assert execution.error is not None
        assert len(execution.error.value) <= 8000
        assert len(execution.error.traceback) <= 9000


async def test_stdin_and_files_reach_the_program(sandbox: LocalSandbox) -> None:
    files = {"data/a.txt": "é\r\n", "helper.py": "def double(x): return 2 * x"}
    code = (
        "import helper, os\n"
        "print(helper.double(int(input())), repr(open('data/a.txt', newline='').read()))\n"
        "print(sorted(os.listdir()), __name__)"
    )
    execution = await sandbox.run_code(code, files=files, stdin="21\n")
    assert execution.logs.stdout == "42 'é\\r\\n'\n['data', 'helper.py'] __main__\n"


async def test_stdin_of_several_mebibytes_arrives_whole(sandbox: LocalSandbox) -> None:
    code = "import sys; print(len(sys.stdin.read()))"
    assert (await sandbox.run_code(code, stdin="x" * (5 << 20))).logs.stdout == f"{5 << 20}\n"


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "/box/x", "a\0b", ""])
async def test_a_file_that_would_land_elsewhere_is_the_programs_error(
    sandbox: LocalSandbox, name: str
) -> None:
    assert (await sandbox.run_code("print('ran')", files={name: "x"})).status == "error"


async def test_runs_see_nothing_of_each_other(sandbox: LocalSandbox) -> None:
    leave = (
        "import builtins, json, os, tempfile\n"
        "builtins.mark = json.mark = 1\nos.environ['MARK'] = '1'\n"
        "open('left', 'w').close(); tempfile.mkstemp()"
    )
    look = (
        "import builtins, json, os, tempfile\n"
        "print(hasattr(builtins, 'mark'), hasattr(json, 'mark'), 'MARK' in os.environ,\n"
        "      os.listdir('.'), os.listdir(tempfile.gettempdir()))"
    )
    assert (await sandbox.run_code(leave)).status == "ok"
    assert (await sandbox.run_code(look)).logs.stdout == "False False False [] []\n"


async def test_hashes_are_alike_and_random_numbers_are_not(sandbox: LocalSandbox) -> None:
    code = "import random; print(hash('x')); print(random.random())"
    one, two = [(await sandbox.run_code(code)).logs.stdout.split() for _ in range(2)]
    assert one[0] == two[0]
    assert one[1] != two[1]


async def test_asyncio_threads_and_scratch_files_work(sandbox: LocalSandbox) -> None:
    code = (
        "import asyncio, tempfile, threading\n"
        "async def main():\n"
        "    return await asyncio.gather(asyncio.sleep(0.01, 1), asyncio.to_thread(int, '2'))\n"
        "print(asyncio.run(main()))\n"
        "with tempfile.TemporaryFile() as file: print(file.write(b'xyz'))\n"
        "thread = threading.Thread(target=print, args=('thread',)); thread.start()"
    )
    assert (await sandbox.run_code(code)).logs.stdout == "[1, 2]\n3\nthread\n"


async def test_a_forged_answer_is_taken_for_what_it_is_a_claim(sandbox: LocalSandbox) -> None:
    """A run may lie about its end, but can neither break nor stall the host's reading."""
    frame = r"b'\x00\x00\x00\x0c{\"ok\": true}'"
    code = f"import os, time\nos.write(3, {frame})\ntime.sleep(60)"
    execution = await sandbox.run_code(code)
    assert execution.status == "ok"
    assert execution.seconds < 9


@pytest.mark.parametrize(
    "sent",
    [
        r"b'\x00'",
        r"b'\x00\x00\x00\xffhalf'",
        r"b'\xff\xff\xff\xff'",
        r"b'\x00\x00\x00\x02[]'",
        r"b'\x00\x00\x00\x02{}'",
        r"b'\x00\x00\x00\x03{]}'",
        r"b'\x00\x01\x00\x00' + b'[' * 65536",
        r"b'\x00\x00\x00\x0d{\"failed\": 1}'",
        r"b'\x00\x00\x00\x12{\"error\": \"\ud800\"}'",
    ],
)
async def test_a_broken_answer_is_never_the_sandboxs_failure(
    sandbox: LocalSandbox, sent: str
) -> None:
    execution = await sandbox.run_code(f"import os; os.write(3, {sent}); os._exit(4)")
    assert summary(execution) == "exited 4"
