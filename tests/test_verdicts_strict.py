"""Strict grading: no operator of the program's own decides, whatever stands in for plain data."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.grading.grader import MODULES, grade
from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox, open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def held() -> AsyncIterator[LocalSandbox]:
    settings = LocalSandboxSettings(concurrency=2, modules=MODULES)
    async with open_local_sandbox(settings) as opened:
        yield opened


async def graded(sandbox: LocalSandbox, code: str, source: str, *, strict: bool) -> Execution:
    limits = SandboxLimits(wall_seconds=30, cpu_seconds=30)
    tests = PythonTests(source=source)
    program = Program(code=code, entry_point="f", tests=tests, limits=limits)
    return await grade(sandbox, program, strict=strict)


METHODS = """
    def __init__(self, *told): pass
    def __sub__(self, other): return 0.0
    __rsub__ = __add__ = __radd__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __sub__
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __contains__ = __lt__
    def __hash__(self): return hash(9)
    def __bool__(self): return True
    def __len__(self): return 9
    def __iter__(self): return iter((9,))
    def __reversed__(self): return iter((9,))
    def __int__(self): return 9
    __abs__ = __index__ = __floor__ = __trunc__ = __int__
    def __float__(self): return 9.0
    def __complex__(self): return 9+0j
    def __round__(self, digits=0): return 9
    def __neg__(self): return -9
    def __getitem__(self, at): return 9
    def __str__(self): return "9"
    __repr__ = __str__
    def __format__(self, spec): return "9"
    def __divmod__(self, other): return 9, 0
    def __bytes__(self): return b"9"
    def __array__(self, *told, **named): return 9
    def startswith(self, text): return True
    def isdigit(self): return True
    def count(self, item): return 9
    def all(self): return True
    def real(self): return 9
"""
LIARS = {
    "an object": f"class Liar:{METHODS}\ndef f(x): return Liar()\n",
    "a class in place of the function": f"class f:{METHODS}",
    "a class of two names": f"class Liar:{METHODS}\nf = Liar\n",
    "a class with a lying metaclass": f"class M(type):{METHODS}\n"
    "class C(metaclass=M): pass\ndef f(x): return C\n",
    "one that calls itself a function": f"class Liar:{METHODS}\n"
    "import sys\nnames = [name for name in sys.modules if name.endswith('inside.candidate')]\n"
    "handle = sys.modules[names[0]].Candidate._handle\n"
    "def lie(self, value):\n    told = handle(self, value)\n"
    "    if type(value) is Liar: told['handle'][1] = 'function'\n    return told\n"
    "sys.modules[names[0]].Candidate._handle = lie\ndef f(x): return Liar()\n",
}
RESTING = [
    "assert f(3) < f(4)",
    "assert f(3) >= f(4)",
    "assert abs(f(3) - f(4)) < 1e-6",
    "assert f(3) - f(4) == 0",
    "assert f(3) * f(4) == 0",
    "assert abs(f(3)) == 9",
    "assert round(f(3)) == 9",
    "assert round(f(3), 2) == 9",
    "assert int(f(3)) == 9",
    "assert float(f(3)) == 9",
    "assert complex(f(3)) == 9",
    "assert list(range(10))[f(3)] == 9",
    "assert range(10)[f(3)] == 9",
    "assert len(f(3)) == 9",
    "assert 9 in f(3)",
    "assert hash(f(3)) == hash(9)",
    "assert [x for x in f(3)] == [9]",
    "assert list(f(3)) == [9]",
    "assert [*f(3)] == [9]",
    "assert sum(f(3)) == 9",
    "assert any(f(3))",
    "assert list(reversed(f(3))) == [9]",
    "assert list(zip(f(3))) == [(9,)]",
    "(a,) = f(3)\nassert a == 9",
    "assert f(3)[0] == 9",
    "assert str(f(3)) == '9'",
    "assert repr(f(3)) == '9'",
    "assert f'{f(3)}' == '9'",
    "assert '%s' % f(3) == '9'",
    "assert ''.join(map(str, [f(3)])) == '9'",
    "assert -f(3) == -9",
    "assert divmod(f(3), f(4)) == (9, 0)",
    "assert f(3) != f(4)",
    "assert sorted([f(3), f(4)])",
    "assert max(f(3), f(4)) is not None",
    "import math\nassert math.floor(f(3)) == 9",
    "import math\nassert math.sqrt(f(3)) == 3",
    "import math\nassert math.isclose(f(3), 9)",
    "import unittest\nunittest.TestCase().assertLess(f(3), f(4))",
    "import pytest\nassert float(f(3)) == pytest.approx(9)",
    "import collections\nassert collections.Counter(f(3)) == {9: 1}",
    "import numpy\nassert numpy.allclose(f(3), 9)",
    "import numpy\nassert numpy.array(f(3)).sum() == 9",
    "import io\nsaid = io.StringIO()\nprint(f(3), file=said)\nassert said.getvalue() == '9\\n'",
    "import operator\nassert operator.lt(f(3), f(4))",
    "import statistics\nassert statistics.mean(f(3)) == 9",
    "match f(3):\n    case [9]: got = 9\n    case _: got = 0\nassert got == 9",
    "assert bytes(f(3)) == b'9'",
    "assert f(3).startswith('9')",
    "assert f(3).isdigit()",
    "assert f(3).count(9) == 9",
    "assert f(3).all()",
    "got = f(3) < f(4)\nassert got",
]
"""Checks that a function's value can pass by operators of its own alone."""
OF_OBJECTS = [
    "assert f(3)",
    "assert bool(f(3)) is True",
    "assert f(3) == f(4)",
    "assert {f(3): 1} == {f(4): 1}",
    "assert len({f(3), f(4)}) == 1",
    "import unittest\nunittest.TestCase().assertEqual(f(3), f(4))",
    "import unittest\nunittest.TestCase().assertTrue(f(3))",
    "import unittest\nunittest.TestCase().assertAlmostEqual(f(3), f(4))",
]
"""Further ones, which two classes pass rightly: they are equal where they are the same."""


def functions(checks: list[str]) -> str:
    """Return a file with a test function for each check."""
    found = ["from solution import f"]
    for number, check in enumerate(checks):
        body = check.replace("\n", "\n    ")
        found.append(f"def test_{number}():\n    {body}")
    return "\n".join(found)


@pytest.mark.parametrize("liar", LIARS)
async def test_a_pass_by_operators_of_a_value_is_none(held: LocalSandbox, liar: str) -> None:
    checks = [*RESTING, *(OF_OBJECTS if "metaclass" not in liar else ())]
    if "function" in liar and "calls itself" in liar:
        checks.remove("assert f(3)")  # any function is true, so this is plainly so
        checks = [check for check in checks if "bool" not in check and "assertTrue" not in check]
    execution = await graded(held, LIARS[liar], functions(checks), strict=True)
    outcomes = execution.tests or ()
    assert len(outcomes) == len(checks)
    passed = [
        check
        for check, test in zip(checks, outcomes, strict=True)
        if test.status in ("passed", "skipped")
    ]
    assert passed == []


OUTSIDE = {
    "set-up code": "got = f(3) < f(4)\ndef test_it():\n    assert got",
    "set-up code of two tests": "got = f(3) < f(4)\nassert got\nassert got",
    "a fixture": "import pytest\n@pytest.fixture(scope='module')\ndef got():\n"
    "    return f(3) < f(4)\ndef test_it(got):\n    assert got",
    "setup_module": "def setup_module():\n    global got\n    got = f(3) < f(4)\n"
    "def test_it():\n    assert got",
    "a class": "class TestIt:\n    got = f(3) < f(4)\n    def test_it(self):\n        assert self.got",
    "a comparison at the top": "assert f(3) < f(4)",
    "an equality at the top": "import unittest\nunittest.TestCase().assertEqual(f(3), f(4))",
}


@pytest.mark.parametrize("place", OUTSIDE)
async def test_an_operator_outside_of_the_tests_counts_as_well(
    held: LocalSandbox, place: str
) -> None:
    source = f"from solution import f\n{OUTSIDE[place]}\n"
    assert not (await graded(held, LIARS["an object"], source, strict=True)).passed
    told = await graded(held, LIARS["an object"], source, strict=False)
    assert told.passed
    assert any(test.word in ("<", "==") for test in told.tests or ())


RIGHT = {
    "plain data": ("def f(x): return x * x", "assert f(3) == 9 and f(3) < 10 and f(0) == 0"),
    "a generator": (
        "def f(n):\n    yield from range(n)",
        "assert list(f(3)) == [0, 1, 2]\nassert next(f(3)) == 0\nassert sum(f(3)) == 3",
    ),
    "a map": ("def f(xs): return map(str, xs)", "assert list(f([1, 2])) == ['1', '2']"),
    "a function": (
        "def f(n): return lambda x: x + n",
        "assert f(3)(4) == 7\nassert callable(f(3))",
    ),
    "a match": (
        "import re\ndef f(text): return re.match('a', text)",
        "assert f('ab').group() == 'a'\nassert f('b') is None",
    ),
    "an object's attributes": (
        "class P:\n    def __init__(self, x): self.x = x\ndef f(x): return P(x)",
        "from solution import P\nassert f(3).x == 3 and isinstance(f(3), P)",
    ),
    "a class of a name in capitals": (
        "class Stack:\n    def __init__(self): self.items = []\n"
        "    def push(self, x): self.items.append(x)\n    def pop(self): return self.items.pop()\n"
        "    def __len__(self): return len(self.items)\n    def __str__(self): return 'S'\n"
        "    def count(self, x): return self.items.count(x)\n    def __iter__(self):\n"
        "        return iter(self.items)\n    def __getitem__(self, at): return self.items[at]\n"
        "f = None",
        "from solution import Stack\nstack = Stack()\nstack.push(5)\nassert len(stack) == 1\n"
        "assert stack[0] == 5 and list(stack) == [5] and stack.count(5) == 1\n"
        "assert str(stack) == 'S'\nassert stack.pop() == 5",
    ),
    "an exception": (
        "class Bad(Exception):\n    code = 7\ndef f():\n    raise Bad('no')",
        "import pytest\nfrom solution import Bad\ndef test_it():\n"
        "    with pytest.raises(Bad, match='no') as told:\n        f()\n"
        "    assert told.value.code == 7",
    ),
    "an enum": (
        "import enum\nclass C(enum.Enum):\n    RED = 1\ndef f(): return C.RED",
        "from solution import C\nassert f() is C.RED and f().value == 1 and f().name == 'RED'",
    ),
    "a coroutine": (
        "async def f(x): return 2 * x",
        "import asyncio\nassert asyncio.run(f(2)) == 4",
    ),
}


@pytest.mark.parametrize("kind", RIGHT)
async def test_a_right_program_passes_strictly(held: LocalSandbox, kind: str) -> None:
    code, checks = RIGHT[kind]
    execution = await graded(held, code, f"from solution import f\n{checks}\n", strict=True)
    assert [test for test in execution.tests or () if test.status != "passed"] == []


async def test_an_iterator_that_goes_on_after_its_end_fails_as_in_pytest(
    held: LocalSandbox,
) -> None:
    code = "class I:\n    n = 0\n    def __iter__(self): return self\n    def __next__(self):\n"
    code += "        self.n += 1\n        if self.n % 3 == 0: raise StopIteration\n        return self.n\n"
    code += "def f(): return I()\n"
    source = "from solution import f\ndef test_it():\n    it = f()\n    assert list(it) == [1, 2]\n"
    execution = await graded(held, code, f"{source}    assert list(it) == []\n", strict=True)
    assert not execution.passed
