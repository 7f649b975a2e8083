"""Calls of a candidate: which answers arrive, and when."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.tools.benchmarks.calls import (
    CalledProgram,
    CallLimits,
    CallSet,
    Claim,
    as_texts,
    call,
)
from opencodeinterpreter.tools.benchmarks.grading import MODULES
from opencodeinterpreter.tools.benchmarks.inside import callee
from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.grading.grader import grade
from opencodeinterpreter.tools.grading.inside import wire
from opencodeinterpreter.tools.grading.shipping import ship
from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox, open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")


SANDBOX_SETTINGS = LocalSandboxSettings(concurrency=1)


def calls(inputs: Sequence[Any], each: float, total: float) -> CallSet:
    """Return calls with one argument each."""
    texts = as_texts([[argument] for argument in inputs])
    return CallSet(texts, CallLimits([each] * len(texts), total))


class Heard:
    """The claims about one set."""

    def __init__(self) -> None:
        self.claims: dict[int, Claim] = {}
        self.ended: Execution | None = None

    def kinds(self, count: int) -> list[str]:
        """What came of each call, empty where nothing was heard."""
        return [self.claims[at].kind if at in self.claims else "" for at in range(count)]

    def values(self, count: int) -> list[Any]:
        """What each call gave, `None` where nothing was heard."""
        return [
            wire.read(self.claims[at].text) if at in self.claims else None for at in range(count)
        ]


Enough = Callable[[Sequence[Heard]], bool]


async def called(
    sandbox: LocalSandbox,
    program: CalledProgram,
    *sets: CallSet,
    enough: Enough = lambda heard: False,
) -> list[Heard]:
    """Call the candidate; return what was heard of each set."""
    heard = [Heard() for _ in sets]

    def hear(claim: Claim) -> bool:
        heard[claim.at].claims.setdefault(claim.number, claim)
        return enough(heard)

    ended = await call(sandbox, program, sets, hear)
    for each in heard:
        each.ended = ended
    return heard


async def test_a_run_is_ended_once_enough_was_heard(sandbox: LocalSandbox) -> None:
    code = "import time\ndef f(x):\n    if x == 1: time.sleep(600)\n    return x\n"
    (answers,) = await called(
        sandbox,
        CalledProgram(code, "f"),
        calls([0, 1, 2], 1000.0, 1000.0),
        enough=lambda heard: 0 in heard[0].claims,
    )
    assert answers.kinds(3) == ["value", "", ""]
    assert answers.ended is None


async def test_a_call_that_takes_too_long_is_ended_alone(sandbox: LocalSandbox) -> None:
    code = (
        "import time\n"
        "def f(x):\n"
        "    if x == 1:\n"
        "        while True: pass\n"
        "    if x == 2: time.sleep(600)\n"
        "    return x\n"
    )
    program = CalledProgram(code, "f", stop_early=False)
    (answers,) = await called(sandbox, program, calls([0, 1, 2, 3], 0.1, 10.0))
    assert answers.kinds(4) == ["value", "timeout", "timeout", "value"]
    assert answers.ended
    assert answers.ended.status == "exited"


EVASIVE = "import signal\nsignal.setitimer = signal.signal = print\n"
EVASIVE += "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])\n"


async def test_the_limit_of_all_calls_holds_where_a_candidate_evades_that_of_one(
    sandbox: LocalSandbox,
) -> None:
    code = f"{EVASIVE}def f(x):\n    while x: pass\n    return x\n"
    (answers,) = await called(sandbox, CalledProgram(code, "f"), calls([0, 1], 0.1, 1.0))
    assert answers.kinds(2)[1] == ""
    assert answers.ended
    assert (answers.ended.status, answers.ended.reason) == ("timeout", "cpu")


async def test_sets_are_loaded_anew_in_one_process(sandbox: LocalSandbox) -> None:
    code = (
        "import math, sys\n"
        "told = []\n"
        "math.loaded = getattr(math, 'loaded', 0) + 1\n"
        "def f(x):\n"
        "    sys.setrecursionlimit(sys.getrecursionlimit() + 1)\n"
        "    told.append(x)\n"
        "    return math.loaded, sys.getrecursionlimit() - x, told\n"
    )
    sets = [calls([1, 2], 1.0, 9.0), calls([1, 2], 1.0, 9.0)]
    base, plus = await called(sandbox, CalledProgram(code, "f"), *sets)
    first = base.values(2)
    assert [value[0] for value in first] == [1, 1]
    assert [value[2] for value in first] == [[1], [1, 2]]
    assert plus.values(2) == [(2, *value[1:]) for value in first]


async def test_an_exception_ends_its_set_and_not_the_next(sandbox: LocalSandbox) -> None:
    code = "def f(x):\n    return 1 / x\n"
    sets = [calls([1, 0, 2], 1.0, 9.0), calls([4, 0, 5], 1.0, 9.0)]
    heard = await called(sandbox, CalledProgram(code, "f"), *sets)
    assert [answers.kinds(3) for answers in heard] == [["value", "error", ""]] * 2


async def test_a_set_that_outlasts_its_time_ends_the_process(sandbox: LocalSandbox) -> None:
    code = (
        "def endless():\n"
        "    while True: pass\n"
        "def f(x):\n"
        "    while x:\n"
        "        try: endless()\n"
        "        except Exception: pass\n"
        "    return x\n"
    )
    sets = [calls([0, 1, 2], 0.1, 0.5), calls([0], 600.0, 600.0)]
    base, plus = await called(sandbox, CalledProgram(code, "f"), *sets)
    assert base.kinds(3) == ["value", "", ""]
    assert callee.LOADING not in plus.claims
    assert plus.ended
    assert plus.ended.status == "exited"


async def test_a_set_that_evades_its_time_is_ended_though_the_next_has_more(
    sandbox: LocalSandbox,
) -> None:
    code = f"{EVASIVE}def f(x):\n    while x: pass\n    return x\n"
    sets = [calls([1], 0.1, 0.3), calls([0], 600.0, 600.0)]
    base, plus = await called(sandbox, CalledProgram(code, "f"), *sets)
    assert base.kinds(1) == [""]
    assert callee.LOADING not in plus.claims
    assert plus.ended is None


@pytest.mark.parametrize("interpreter", [sys.executable, "/usr/bin/python3"])
async def test_a_sandbox_that_holds_the_graders_modules_is_not_sent_them(interpreter: str) -> None:
    if not Path(interpreter).exists():
        pytest.skip(f"there is no {interpreter}")
    code = "import sys\ndef f(x):\n    return x, sys.version_info[:2] > (3, 10)\n"
    async with open_local_sandbox(
        LocalSandboxSettings(interpreter=Path(interpreter), modules=MODULES)
    ) as own:
        program = await ship(own, wire, callee)
        (answers,) = await called(own, CalledProgram(code, "f"), calls([1], 1.0, 9.0))
        tests = PythonTests(
            source="from solution import f\nassert f(2) == (2, True)\nassert f(2) == 2"
        )
        graded = await grade(own, Program(code=code, entry_point="f", tests=tests))
    assert len(program) < 120
    assert answers.values(1) == [(1, True)]
    if interpreter == sys.executable:
        assert [test.status for test in graded.tests or ()] == ["passed", "failed"]
    else:
        assert graded.tests is not None
        assert "tests in Python need pytest" in graded.tests[0].message


async def test_a_sandbox_that_lacks_one_of_them_is_sent_all(sandbox: LocalSandbox) -> None:
    async with open_local_sandbox(LocalSandboxSettings(modules=[wire])) as own:
        assert await ship(own, wire, callee) == await ship(sandbox, wire, callee)
        (answers,) = await called(own, CalledProgram("f = abs", "f"), calls([-1], 1.0, 9.0))
    assert answers.values(1) == [1]


async def test_a_run_that_waits_for_its_turn_is_not_late(sandbox: LocalSandbox) -> None:
    before = asyncio.create_task(sandbox.run_code("import time; time.sleep(1.5)"))
    await asyncio.sleep(0.1)
    sets = [calls([1], 0.1, 0.3), calls([2], 0.1, 0.3)]
    heard = await called(sandbox, CalledProgram("def f(x):\n    return x\n", "f"), *sets)
    assert [answers.values(1) for answers in heard] == [[1], [2]]
    await before


@pytest.mark.parametrize(
    "line",
    [
        "[0,--1,",
        "[0,-,",
        "[0,1_0,",
        "[9,0,",
        "[-1,0,",
        "[0",
        "[\u0663,0,",
        "[0," + "9" * 5000 + ",",
    ],
)
async def test_a_forged_line_that_is_not_about_a_call_is_ignored(
    sandbox: LocalSandbox, line: str
) -> None:
    code = (
        "import os\n"
        "for fd in range(3, 20):\n"
        "    try: os.write(fd, " + repr((line + '"value",0.5,7]\n').encode()) + ")\n"
        "    except OSError: pass\n"
        "def f(x):\n    return x\n"
    )
    (answers,) = await called(sandbox, CalledProgram(code, "f"), calls([1, 2], 1.0, 9.0))
    assert answers.values(2) == [1, 2]


async def test_a_run_that_was_heard_of_is_not_done_again() -> None:
    async with open_local_sandbox(LocalSandboxSettings(concurrency=1)) as own:

        def end_all(_: Sequence[Heard]) -> bool:
            os.kill(own.zygote_pid or 0, signal.SIGKILL)
            return False

        code = "import time\ndef f(x):\n    time.sleep(600 * x)\n    return x\n"
        sets = [calls([0, 1], 1000.0, 1000.0)]
        with pytest.raises(SandboxError, match="died during a run whose output was passed on"):
            await called(own, CalledProgram(code, "f"), *sets, enough=end_all)
