"""A test of which no assertion ran proves nothing, nor does one that loops over an empty result."""

from typing import NamedTuple

import pytest

from opencodeinterpreter.tools.grading.grader import grade
from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox
from tests.sampling import every

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRIMES = """
def primes(top):
    return [n for n in range(2, top) if all(n % m for m in range(2, n))]

def notify(call):
    call(3)

async def later(x):
    return x + 1
"""
NOTHING = """
def primes(top):
    return []

def notify(call):
    pass

async def later(x):
    return x
"""


class Idle(NamedTuple):
    """Tests that a right program passes, and of which one assertion does not run for `NOTHING`."""

    tests: str
    line: int
    """That assertion's, or that of the loop around it."""


IDLE = {
    "loop": Idle("def test_a():\n    for p in primes(9):\n        assert p in (2, 3, 5, 7)\n", 3),
    "loop beside another assertion": Idle(
        "def test_a():\n    found = primes(9)\n    assert isinstance(found, list)\n"
        "    for p in found:\n        assert p in (2, 3, 5, 7)\n",
        5,
    ),
    "sorted like itself": Idle(
        "def test_a():\n    found = primes(9)\n    assert found == sorted(found)\n"
        "    for p in found:\n        assert p in (2, 3, 5, 7)\n",
        5,
    ),
    "loop over pairs": Idle(
        "def test_a():\n    for p, want in zip(primes(9), [2, 3, 5, 7]):\n"
        "        assert p == want\n",
        3,
    ),
    "loop at the top level": Idle("for p in primes(9):\n    assert p in (2, 3, 5, 7)\n", 2),
    "all": Idle("def test_a():\n    assert all(p in (2, 3, 5, 7) for p in primes(9))\n", 3),
    "all at the top level": Idle("assert all([p in (2, 3, 5, 7) for p in primes(9)])\n", 2),
    "condition": Idle(
        "def test_a():\n    found = primes(9)\n    if found:\n        assert found[0] == 2\n", 5
    ),
    "while": Idle(
        "def test_a():\n    found = primes(9)\n    while found:\n"
        "        assert found.pop() in (2, 3, 5, 7)\n",
        5,
    ),
    "method of unittest": Idle(
        "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n"
        "        for p in primes(9):\n            with self.subTest(p=p):\n"
        "                self.assertIn(p, (2, 3, 5, 7))\n",
        5,
    ),
    "helper": Idle(
        "def each(found):\n    for p in found:\n        assert p in (2, 3, 5, 7)\n"
        "def test_a():\n    each(primes(9))\n",
        4,
    ),
    "function that the program should call": Idle(
        "def test_a():\n    def take(x):\n        assert x == 3\n    notify(take)\n", 4
    ),
    "generator that the program should read": Idle(
        "async def test_a():\n    async def items():\n        for p in primes(9):\n"
        "            yield p\n    async for p in items():\n        assert p in (2, 3, 5, 7)\n",
        6,
    ),
}

SOUND = {
    "length": "def test_a():\n    assert len(primes(2)) == 0\n    for p in primes(2):\n"
    "        assert p > 1\n",
    "emptiness": "def test_a():\n    found = primes(2)\n    assert not found\n"
    "    for p in found:\n        assert p > 1\n",
    "equal lengths": "def test_a():\n    found, want = primes(2), []\n"
    "    assert len(found) == len(want)\n    for p, q in zip(found, want):\n"
    "        assert p == q\n",
    "one of several parameters": "import pytest\n@pytest.mark.parametrize('top', [2, 9])\n"
    "def test_a(top):\n    for p in primes(top):\n        assert p < top\n",
    "what must not happen": "def test_a():\n    for p in primes(9):\n        if p % 2 == 0 and p > 2:\n"
    "            assert False\n    assert primes(3) == [2]\n",
    "errors": "import pytest\ndef test_a():\n    try:\n        primes(9)\n    except ValueError:\n"
    "        pytest.fail('raised')\n",
    "another machine": "import sys\ndef test_a():\n    if sys.platform == 'win32':\n"
    "        assert primes(3) == []\ndef test_b():\n    assert primes(3) == [2]\n",
    "helper with branches": "def same(a, b):\n    if isinstance(a, float):\n"
    "        assert abs(a - b) < 1e-9\n    else:\n        assert a == b\n"
    "def test_a():\n    same(primes(3), [2])\n",
    "nested helper": "def same(a, b):\n    assert len(a) == len(b)\n    for x, y in zip(a, b):\n"
    "        assert x == y\ndef test_a():\n    same(primes(2), [])\n",
    "doc": "def test_a():\n    '''It has a text.'''\n    assert test_a.__doc__ == 'It has a text.'\n"
    "    assert primes(3) == [2]\n",
    "skipped on the way": "import pytest\ndef test_a():\n    if primes(3):\n"
    "        pytest.skip('not here')\n    assert primes(2)\ndef test_b():\n"
    "    assert primes(3) == [2]\n",
    "nothing to assert": "def test_a():\n    primes(9)\n",
}


async def graded(sandbox: LocalSandbox, code: str, tests: str) -> list[str]:
    source = PythonTests(source=f"from solution import *\n{tests}")
    done = await grade(sandbox, Program(code=code, tests=source))
    return [f"{each.name}: {each.message}" for each in done.tests or () if each.status == "error"]


@pytest.mark.parametrize("name", every(2, IDLE))
async def test_assertions_that_did_not_run_fail_an_empty_answer(
    sandbox: LocalSandbox, name: str
) -> None:
    assert await graded(sandbox, PRIMES, IDLE[name].tests) == []
    lost = await graded(sandbox, NOTHING, IDLE[name].tests)
    assert f"tests.py, line {IDLE[name].line}" in [text.partition(":")[0] for text in lost]
    assert all("this assertion did not run" in text for text in lost)


@pytest.mark.parametrize("name", every(2, SOUND))
async def test_an_assertion_may_be_idle_if_another_one_decides(
    sandbox: LocalSandbox, name: str
) -> None:
    assert await graded(sandbox, PRIMES, SOUND[name]) == []
