"""Tests that pass on copies of a program's values run once more in one process with the program."""

import pytest

from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import SandboxRunner

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEEN: dict[str, tuple[str, str, str]] = {
    "rows that are one list": (
        "def grid(n): return [[0] * n] * n",
        "def grid(n): return [[0] * n for _ in range(n)]",
        "g = grid(2)\ng[0][0] = 1\nassert g == [[1, 0], [0, 0]]",
    ),
    "values that are one list": (
        "def table(keys): return dict.fromkeys(keys, [])",
        "def table(keys): return {key: [] for key in keys}",
        "t = table('ab')\nt['a'].append(1)\nassert t == {'a': [1], 'b': []}",
    ),
    "a shallow copy": (
        "def copied(xs): return list(xs)",
        "import copy\ndef copied(xs): return copy.deepcopy(xs)",
        "xs = [[1]]\ncopied(xs)[0].append(2)\nassert xs == [[1]]",
    ),
    "a default argument that is returned": (
        "def fresh(xs=[]): return xs",
        "def fresh(xs=None): return xs or []",
        "fresh().append(1)\nassert fresh() == []",
    ),
    "a cached list": (
        "import functools\n@functools.cache\ndef primes(): return [2, 3]",
        "def primes(): return [2, 3]",
        "primes().clear()\nassert primes() == [2, 3]",
    ),
    "an argument that is kept": (
        "class Bag:\n    def __init__(self, xs): self.xs = xs\n    def size(self): return len(self.xs)",
        "class Bag:\n    def __init__(self, xs): self.xs = list(xs)\n"
        "    def size(self): return len(self.xs)",
        "xs = [1]\nbag = Bag(xs)\nxs.append(2)\nassert bag.size() == 1",
    ),
    "a list of an object's own": (
        "class Bag:\n    def __init__(self): self.xs = [1]\n    def all(self): return self.xs",
        "class Bag:\n    def __init__(self): self.xs = [1]\n    def all(self): return list(self.xs)",
        "bag = Bag()\nbag.all().append(2)\nassert bag.all() == [1]",
    ),
    "an array": (
        "def f(a):\n    a[0] = 7\n    a.append(8)",
        "def f(a): pass",
        "import array\na = array.array('i', [1, 2])\nf(a)\nassert a.tolist() == [1, 2]",
    ),
    "a list of a class of the tests": (
        "def f(a): a.sort()",
        "def f(a): sorted(a)",
        "class Own(list): pass\na = Own([2, 1])\nf(a)\nassert a == [2, 1]",
    ),
    "a dict of a class of the tests": (
        "def f(a):\n    a['x'] = 7\n    return a",
        "def f(a): return a",
        "class Own(dict): pass\na = Own(x=1)\nassert f(a) is a\nassert a == {'x': 1}",
    ),
    "a patched function": (
        "def quiet():\n    print('x')\n    return 1",
        "def quiet(): return 1",
        "from unittest.mock import patch\nwith patch('builtins.print') as said:\n"
        "    assert quiet() == 1\n    said.assert_not_called()",
    ),
    "a log": (
        "import logging\ndef f():\n    logging.warning('bad')\n    return 1",
        "def f(): return 1",
        "def test_it(caplog):\n    assert f() == 1\n    assert not caplog.records",
    ),
    "a cause": (
        "def f():\n    try: {}['a']\n    except KeyError as e: raise ValueError('v') from e",
        "def f(): raise ValueError('v')",
        "import pytest\ndef test_it():\n    with pytest.raises(ValueError) as raised: f()\n"
        "    assert raised.value.__cause__ is None",
    ),
}
NOT_SEEN: dict[str, tuple[str, str, str]] = {
    "a state of the interpreter": (
        "import random\ndef f():\n    random.seed(1)\n    return 1",
        "def f(): return 1",
        "import random\nbefore = random.getstate()\nassert f() == 1\n"
        "assert random.getstate() == before",
    ),
    "an abstract class": (
        "class O: pass\ndef f(): return O()",
        "def f(): return [1]",
        "from collections.abc import Iterable\nassert isinstance(f(), Iterable)",
    ),
    "a view of an array": (
        "def head(a): return a[:2]",
        "def head(a): return a[:2].copy()",
        "import numpy\na = numpy.arange(4)\nhead(a)[0] = 9\nassert a[0] == 0",
    ),
}


async def run(runner: SandboxRunner, code: str, checks: str) -> Execution:
    source = f"from solution import *\n{checks}\n"
    return await runner.run(Program(code=code, tests=PythonTests(source=source)))


@pytest.mark.parametrize("kind", NOT_SEEN)
async def test_a_wrong_program_that_only_pytest_itself_notices_is_not_solved(
    runner: SandboxRunner, kind: str
) -> None:
    wrong, right, checks = NOT_SEEN[kind]
    execution = await run(runner, wrong, checks)
    assert not execution.passed
    failed = [test for test in execution.tests or () if test.status != "passed"]
    assert "in one process with the program" in failed[0].message
    assert (await run(runner, right, checks)).passed


@pytest.mark.parametrize("kind", SEEN)
async def test_what_both_processes_hold_is_noticed_by_the_examiner(
    runner: SandboxRunner, kind: str
) -> None:
    wrong, right, checks = SEEN[kind]
    execution = await run(runner, wrong, checks)
    assert not execution.passed
    messages = [test.message for test in execution.tests or () if test.status != "passed"]
    assert not any("in one process with the program" in message for message in messages)
    assert (await run(runner, right, checks)).passed


REPORTS = {
    "none": "pass",
    "all passed": "print('{\"outcomes\": []}')",
    "no JSON": "os.write(fd, b'x\\n')",
    "too deep": "os.write(fd, b'[' * 100000 + b'\\n')",
    "another shape": 'os.write(fd, b\'{"outcomes": [1, {"status": 5}]}\\n\')',
    "a long integer": 'os.write(fd, b\'{"outcomes": \' + b"9" * 5000 + b"}\\n")',
    "half a character": 'os.write(fd, b\'{"outcomes": [{"name": "\\\\ud800", "status": "failed",\''
    ' b\'"message": "\\\\ud800"}]}\\n\')',
}


@pytest.mark.parametrize("report", REPORTS)
async def test_a_program_that_ends_the_process_with_a_report_of_its_own_gains_nothing(
    runner: SandboxRunner, report: str
) -> None:
    """It shares the process with pytest, so it can write to every descriptor there is."""
    code = (
        "import os, sys\ndef double(x):\n    if 'tests' in sys.modules:\n"
        "        for fd in range(1, 64):\n            try:\n"
        f"                {REPORTS[report]}\n            except OSError: pass\n"
        "        os._exit(0)\n    return x + 2\n"
    )
    checks = "def test_two(): assert double(2) == 4\ndef test_five(): assert double(5) == 10"
    execution = await run(runner, code, checks)
    assert not execution.passed
    assert execution.model_dump_json()


async def test_what_the_examiner_failed_is_never_passed_by_the_second_run(
    runner: SandboxRunner,
) -> None:
    code = "import sys\ndef double(x):\n    return 2 * x if 'tests' in sys.modules else x + 2\n"
    execution = await run(runner, code, "assert double(2) == 4\nassert double(5) == 10")
    assert [test.status for test in execution.tests or ()] == ["passed", "failed"]


async def test_an_endless_loop_in_the_second_run_ends_at_the_program_s_limit(
    runner: SandboxRunner,
) -> None:
    code = "import sys\ndef f():\n    while 'tests' in sys.modules: pass\n    return 1\n"
    tests = PythonTests(source="from solution import f\nassert f() == 1\n")
    limits = SandboxLimits(wall_seconds=4, cpu_seconds=2)
    execution = await runner.run(Program(code=code, tests=tests, limits=limits))
    assert not execution.passed and execution.tests
    assert execution.tests[-1].status in ("timeout", "error")


async def test_a_function_of_the_program_that_is_named_like_a_test_is_none(
    runner: SandboxRunner,
) -> None:
    code = "def test_twice(xs): return len(xs) != len(set(xs))\nclass TestBed:\n    size = 1\n"
    checks = "assert test_twice([1, 1])\nassert not test_twice([1])\nassert TestBed.size == 1"
    execution = await run(runner, code, checks)
    assert [test.status for test in execution.tests or ()] == ["passed"] * 3
