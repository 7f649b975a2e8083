"""Assertions across the boundary: what crosses to the tests and back."""

import pytest

from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.grading.grader import grade
from opencodeinterpreter.tools.grading.tests import CallCase, CaseTests, PythonTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def told(sandbox: LocalSandbox, code: str, tests: str) -> list[tuple[str, str]]:
    """Return status and the last line of the message of each test."""
    limits = SandboxLimits(wall_seconds=20)
    program = Program(code=code, tests=PythonTests(source=tests), limits=limits)
    execution = await grade(sandbox, program)
    assert execution.tests_by == "tests"
    return [
        (test.status, (test.message.splitlines() or [""])[-1]) for test in execution.tests or ()
    ]


CLASSES = """
import collections
import enum
import re


class Stack:
    made = 0

    def __init__(self, items=()):
        self.items = list(items)
        Stack.made += 1

    def push(self, item):
        self.items.append(item)
        return self

    def __len__(self):
        return len(self.items)

    def __iter__(self):
        return iter(self.items)

    def __getitem__(self, at):
        return self.items[at]

    def __contains__(self, item):
        return item in self.items

    def __add__(self, other):
        return Stack(self.items + list(other))

    def __lt__(self, other):
        return len(self) < len(other)

    def __enter__(self):
        return self

    def __exit__(self, *told):
        self.items.clear()

    def __repr__(self):
        return f"Stack({self.items})"


class Empty(LookupError):
    pass


class Color(enum.Enum):
    RED = 1


def pop(stack):
    if not stack.items:
        raise Empty("nothing to pop", 7)
    return stack.items.pop()


def sort(items):
    items.sort()


def naturals():
    n = 0
    while True:
        yield n
        n += 1


def count(text):
    return collections.Counter(text)


def match(text):
    return re.match("a", text)


def adder(n):
    return lambda x: x + n


limit = 10
"""
CROSSING = """
import pytest
import solution
from solution import *

stack = Stack([1, 2])
assert len(stack.push(3)) == 3
assert list(stack) == [1, 2, 3] and stack[-1] == 3 and 2 in stack
assert list(stack + Stack([4])) == [1, 2, 3, 4]
assert stack == stack and stack != Stack([1, 2, 3])
assert Stack() < stack
assert isinstance(stack, Stack) and not isinstance(stack, list)
assert repr(stack) == "Stack([1, 2, 3])"
stack.items = [9]
assert pop(stack) == 9 and stack.items == []
assert Stack.made == solution.Stack.made == 5
assert Color.RED is not None and Color.RED == Color.RED and Color.RED.value == 1
numbers = [3, 1, 2]
sort(numbers)
assert numbers == [1, 2, 3]
assert [n for n, _ in zip(naturals(), range(3))] == [0, 1, 2]
assert count("aab") == {"a": 2, "b": 1} and count("ab").most_common(1) == [("a", 1)]
assert match("ab") and match("ab").group() == "a" and match("b") is None
assert adder(2)(3) == 5
solution.limit = 11
assert solution.limit == 11
with stack.push(1) as same:
    assert len(same) == 1
assert not stack


def test_an_exception_of_its_own_is_one_of_its_bases_too():
    with pytest.raises(LookupError, match="nothing"):
        pop(Stack())
    with pytest.raises(Empty) as caught:
        pop(Stack())
    assert caught.value.args == ("nothing to pop", 7)


def test_built_in_exceptions_cross():
    with pytest.raises(TypeError, match="int"):
        Stack(5)
    with pytest.raises(AttributeError):
        Stack().nothing
"""


async def test_values_objects_and_exceptions_cross(sandbox: LocalSandbox) -> None:
    outcomes = await told(sandbox, CLASSES, CROSSING)
    assert outcomes == [("passed", "")] * len(outcomes)
    assert len(outcomes) == 20


async def test_an_object_has_no_place_among_numbers(sandbox: LocalSandbox) -> None:
    code = """
class Sly:
    def __sub__(self, other): return self
    __mul__ = __rmul__ = __add__ = __radd__ = __rsub__ = __sub__
    def __abs__(self): return self
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __lt__

def root(): return Sly()
"""
    tests = "from solution import root\nassert abs(2 * root() - 1) < 1e-4\nassert root() > 5"
    ((first, why), (second, _)) = await told(sandbox, code, tests)
    assert (first, second) == ("error", "error")
    assert "plain data is needed for that" in why


async def test_what_cannot_cross_is_said(sandbox: LocalSandbox) -> None:
    code = "def call(f): return f\n"
    tests = "import sys\nfrom solution import call\nassert call(sys) == 1\nassert call(3) == 3"
    first, second = await told(sandbox, code, tests)
    assert first[0] == "error"
    assert "module cannot be passed to the program" in first[1]
    assert second == ("passed", "")


async def test_the_tests_are_not_where_the_candidate_is(sandbox: LocalSandbox) -> None:
    code = """
import gc, os, sys

def secret():
    names = [name for name in sys.modules if "tester" in name or name == "pytest"]
    found = [each for each in gc.get_objects() if isinstance(each, dict) and "marked" in each]
    return names + found + [name for name in os.listdir(".") if name != "solution.py"]
"""
    # Of tests in Python the process of their second run has all, and it can pass none.
    tests = CaseTests(cases=(CallCase(args=(), expected=[]),))
    execution = await grade(sandbox, Program(code=code, tests=tests, entry_point="secret"))
    assert execution.passed


async def test_a_candidate_that_dies_leaves_later_tests_not_run(sandbox: LocalSandbox) -> None:
    code = "import os\ndef f(x):\n    if x == 1: os._exit(0)\n    return x\n"
    tests = "from solution import f\nassert f(0) == 0\nassert f(1) == 1\nassert f(2) == 2"
    assert [status for status, _ in await told(sandbox, code, tests)] == [
        "passed",
        "error",
        "not run",
    ]
