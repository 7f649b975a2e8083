"""Assertions that would never run, or could never fail: each is refused with its line."""

import ast
from pathlib import Path

import pytest

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.grading.inside.never_run import never_run
from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import SandboxRunner

RIGHT = "def double(x):\n    return 2 * x\n"
GOOD = "import pytest\nfrom solution import double\ndef test_two():\n    assert double(2) == 4\n"
"""Four lines with one test that runs."""
CHECK = "assert double(5) == 10"
CASE = "import unittest\nclass T(unittest.TestCase):\n"

NEVER = {
    # the same name twice
    "a test that is defined anew": (f"def test_it():\n    {CHECK}\ndef test_it():\n    pass", 6),
    "a test class that is defined anew": (
        f"class TestIt:\n    def test_it(self):\n        {CHECK}\n"
        "class TestIt:\n    def test_more(self):\n        pass",
        7,
    ),
    "a method that is defined anew": (
        f"class TestIt:\n    def test_it(self):\n        {CHECK}\n    def test_it(self):\n        pass",
        7,
    ),
    "a test without assertion, defined anew": (
        "def test_it():\n    double('a')\ndef test_it():\n    pass",
        5,
    ),
    "a parametrized test that is defined anew": (
        f"@pytest.mark.parametrize('x', [1])\ndef test_it(x):\n    {CHECK}\ndef test_it():\n    pass",
        7,
    ),
    "a test that is deleted": (f"def test_it():\n    {CHECK}\ndel test_it", 6),
    "a test whose name is used anew": (f"def test_it():\n    {CHECK}\ntest_it = None", 6),
    # tests that nothing collects
    "a test in a function": (f"def outer():\n    def test_it():\n        {CHECK}\nouter()", 7),
    "a test in a test": (
        f"def test_outer():\n    def test_it():\n        {CHECK}\n    assert double(1) == 2",
        7,
    ),
    "a test class in a function": (
        f"def test_outer():\n    class TestIt:\n        def test_it(self):\n            {CHECK}",
        8,
    ),
    "another name": (f"def check_it():\n    {CHECK}", 6),
    "a name in capitals": (f"def Test_it():\n    {CHECK}", 6),
    "a method of another name": (f"class TestIt:\n    def check_it(self):\n        {CHECK}", 7),
    "a method of another name in a TestCase": (
        f"{CASE}    def check_it(self):\n        self.assertEqual(double(5), 10)",
        8,
    ),
    "a class of another name": (f"class Double:\n    def test_it(self):\n        {CHECK}", 7),
    "a class with __init__": (
        f"class TestIt:\n    def __init__(self):\n        pass\n    def test_it(self):\n        {CHECK}",
        9,
    ),
    "a class that is no test": (
        f"class TestIt:\n    __test__ = False\n    def test_it(self):\n        {CHECK}",
        8,
    ),
    "a parametrized function of another name": (
        f"@pytest.mark.parametrize('x', [1])\ndef check_it(x):\n    {CHECK}",
        7,
    ),
    "a fixture that nobody asks for": (f"@pytest.fixture\ndef ten():\n    {CHECK}", 7),
    "a helper": (f"def helper():\n    {CHECK}", 6),
    "a helper of a helper": (
        f"def inner():\n    {CHECK}\ndef outer():\n    inner()",
        6,
    ),
    "a helper that calls itself": (f"def helper(n):\n    {CHECK}\n    helper(n - 1)", 6),
    "a lambda": ("import numpy\ncheck = lambda x: numpy.testing.assert_equal(double(5), 10)", 6),
    "a check beside other tests": ("def check(candidate):\n    assert candidate(5) == 10", 6),
    # what is always true, or asserts nothing
    "or a number": (f"def test_it():\n    {CHECK} or 20", 6),
    "or True": (f"def test_it():\n    {CHECK} or True", 6),
    "a list with an item": ("def test_it():\n    assert [double(5) == 10]", 6),
    "a dict with an item": ("def test_it():\n    assert {'five': double(5) == 10}", 6),
    "a text around a comparison": ("def test_it():\n    assert f'is {double(5) == 10}'", 6),
    "a list that gets a name": ("def test_it():\n    assert (found := [double(5) == 10])", 6),
    "a function that is not called": (
        "def same():\n    return double(5) == 10\ndef test_it():\n    assert same",
        8,
    ),
    "a method that is not called": (
        "class TestIt:\n    def same(self):\n        return double(5) == 10\n"
        "    def test_it(self):\n        assert self.same",
        9,
    ),
    "a length that is at least 0": ("def test_it():\n    assert len([double(5)]) >= 0", 6),
    "all of nothing": ("def test_it():\n    assert all(double(x) == 9 for x in [])", 6),
    "a helper that only compares": (
        "def same(a, b):\n    return a == b\ndef test_it():\n    same(double(5), 10)",
        8,
    ),
    "isclose": ("import math\ndef test_it():\n    math.isclose(double(5), 10)", 7),
    "numpy.array_equal": (
        "import numpy\ndef test_it():\n    numpy.array_equal(double(5), 10)",
        7,
    ),
    "isinstance": ("def test_it():\n    isinstance(double(5), int)", 6),
    "operator.eq": ("import operator\ndef test_it():\n    operator.eq(double(5), 10)", 7),
    "a method that compares": ("def test_it():\n    double(5).__eq__(10)", 6),
    "all that is not asserted": ("def test_it():\n    all(double(x) == 2 * x for x in (1, 2))", 6),
    "raises without with": ("def test_it():\n    pytest.raises(ValueError)\n    double(1)", 6),
    "assertRaises without with": (
        f"{CASE}    def test_it(self):\n        self.assertRaises(OSError)",
        8,
    ),
    "assertTrue with two values": (
        f"{CASE}    def test_it(self):\n        self.assertTrue(double(5), 10)",
        8,
    ),
    "a mock's misspelt assertion": (
        "from unittest.mock import Mock\ndef test_it():\n    call = Mock()\n    call(double(5))\n"
        "    call.called_once_with(10)",
        9,
    ),
    "an exception that is logged": (
        f"import logging\ndef test_it():\n    try:\n        {CHECK}\n"
        "    except Exception as error:\n        logging.exception(error)",
        8,
    ),
    "a range of nothing": (f"def test_it():\n    for x in range(0):\n        {CHECK}", 7),
    "pairs with nothing": (f"def test_it():\n    for x, y in zip([1], []):\n        {CHECK}", 7),
    "an empty table": (f"TABLE = {{}}\ndef test_it():\n    for x in TABLE:\n        {CHECK}", 8),
    # code that does not run
    "a main guard": (f"if __name__ == '__main__':\n    {CHECK}", 6),
    "a main guard in a function": (
        f"def test_it():\n    if __name__ == '__main__':\n        {CHECK}",
        7,
    ),
    "the other side of a main guard": (
        f"if __name__ != '__main__':\n    pass\nelse:\n    {CHECK}",
        8,
    ),
    "a test under a main guard": (
        f"if __name__ == '__main__':\n    def test_it():\n        {CHECK}",
        7,
    ),
    "a helper called under a main guard": (
        f"def helper():\n    {CHECK}\nif __name__ == '__main__':\n    helper()",
        6,
    ),
    "if False": (f"if False:\n    {CHECK}", 6),
    "if 0 in a test": (f"def test_it():\n    if 0:\n        {CHECK}", 7),
    "if not True": (f"def test_it():\n    if not True:\n        {CHECK}", 7),
    "the other side of if True": (f"if True:\n    pass\nelse:\n    {CHECK}", 8),
    "if TYPE_CHECKING": (f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {CHECK}", 7),
    "while False": (f"def test_it():\n    while False:\n        {CHECK}", 7),
    "an empty loop": (f"def test_it():\n    for x in []:\n        {CHECK}", 7),
    "after a return": (f"def test_it():\n    return\n    {CHECK}", 7),
    "after a raise": (f"def test_it():\n    raise SystemExit\n    {CHECK}", 7),
    "after a continue": (
        f"def test_it():\n    for x in (1, 2):\n        continue\n        {CHECK}",
        8,
    ),
    "after a skip": (f"def test_it():\n    pytest.skip('later')\n    {CHECK}", 7),
    "after two returns": (
        f"def test_it():\n    if double(1):\n        return\n    else:\n        return\n    {CHECK}",
        10,
    ),
    "a coroutine that nobody awaits": (
        f"async def check():\n    {CHECK}\ndef test_it():\n    check()",
        6,
    ),
    "a generator that nobody reads": (
        f"def check():\n    yield 1\n    {CHECK}\ndef test_it():\n    check()",
        7,
    ),
    "a coroutine in a TestCase": (f"{CASE}    async def test_it(self):\n        {CHECK}", 8),
    "a test that yields": (f"def test_it():\n    yield\n    {CHECK}", 7),
    # what cannot fail
    "a return": ("def test_it():\n    return double(5) == 10", 6),
    "a return of a call": ("def test_it():\n    return all([double(5)])", 6),
    "a return beside an assertion": (
        "def test_it():\n    assert double(1) == 2\n    return double(5) == 10",
        7,
    ),
    "a comparison": ("def test_it():\n    double(5) == 10", 6),
    "a comparison at the top": ("double(5) == 10", 5),
    "a generator": ("def test_it():\n    assert (double(x) == 0 for x in [1, 2])", 6),
    "a filter": ("def test_it():\n    assert filter(lambda x: double(x) == 0, [1, 2])", 6),
    "a map": ("assert map(lambda x: double(x) == 0, [1, 2])", 5),
    "a lambda that is asserted": ("def test_it():\n    assert lambda: double(5) == 11", 6),
    "a text": ("def test_it():\n    assert 'double(5) == 11'", 6),
    "an assertion of a mock that is not called": (
        "def test_it(mocker=__import__('unittest.mock').mock.Mock()):\n"
        "    double(mocker)\n    mocker.assert_called",
        7,
    ),
    "an assertion of a case that is not called": (
        f"{CASE}    def test_it(self):\n        double(5)\n        self.assertTrue",
        9,
    ),
    "a mock's assertion without its beginning": (
        "from unittest.mock import Mock\ndef test_it():\n    m = Mock()\n"
        "    assert m.called_once_with(double(5))",
        8,
    ),
    "a tuple": ("def test_it():\n    assert (double(5) == 10, 'ten')", 6),
    "an except": (f"def test_it():\n    try:\n        {CHECK}\n    except:\n        pass", 7),
    "an except of all exceptions": (
        f"def test_it():\n    try:\n        {CHECK}\n    except Exception as e:\n        print(e)",
        7,
    ),
    "an except of the assertion": (
        f"def test_it():\n    try:\n        {CHECK}\n    except AssertionError:\n        return",
        7,
    ),
    "a suppress": (
        f"import contextlib\ndef test_it():\n    with contextlib.suppress(Exception):\n        {CHECK}",
        8,
    ),
    "a return in a finally": (
        f"def test_it():\n    try:\n        {CHECK}\n    finally:\n        return",
        7,
    ),
    "a map that nothing reads": (
        "def same(x):\n    assert double(x) == 2 * x\ndef test_it():\n    map(same, [1, 2])",
        8,
    ),
    "a generator that nothing reads": (
        "def same(x):\n    assert double(x) == 2 * x\ndef test_it():\n    (same(x) for x in [1])",
        8,
    ),
    # other ways to run tests
    "a doctest run": ("import doctest, solution\ndoctest.testmod(solution)", 6),
    "examples of a test": (
        'def test_it():\n    """It doubles.\n\n    >>> double(5)\n    10\n    """',
        6,
    ),
    "a mark of all tests": ("pytestmark = pytest.mark.skip(reason='later')", 5),
    "a list of marks of all tests": ("pytestmark = [pytest.mark.skip]", 5),
}
"""What follows a test that runs, and the line that is told."""

RUNS = {
    "a name that also is a function's": "def same():\n    return 1\ndef test_it():\n"
    "    same = double(5) == 10\n    assert same",
    "a coroutine that a decorator runs": "import asyncio, unittest\ndef run(test):\n"
    "    return lambda self: asyncio.run(test(self))\nclass T(unittest.TestCase):\n    @run\n"
    f"    async def test_it(self):\n        {CHECK}",
    "a property that is asserted": "class TestIt:\n    @property\n    def same(self):\n        return double(5) == 10\n"
    "    def test_it(self):\n        assert self.same",
    "a table that is filled": "TABLE = {}\nTABLE[1] = 2\ndef test_it():\n"
    "    for x, y in TABLE.items():\n        assert double(x) == y",
    "all that reads checks": "def check(x):\n    assert double(x) == 2 * x\n    return True\n"
    "def test_it():\n    all(check(x) for x in (1, 2))",
    "raises with a function": "def test_it():\n    pytest.raises(TypeError, double)",
    "one of two values": "def test_it():\n    assert double(5) == 10 or double(5) == 11",
    "a predicate in raises": "def test_it():\n    with pytest.raises(TypeError):\n"
    "        isinstance(double(5), 5)",
    "a helper": f"def helper():\n    {CHECK}\ndef test_it():\n    helper()",
    "a helper's helper": f"def inner():\n    {CHECK}\ndef outer():\n    inner()\ndef test_it():\n    outer()",
    "a helper in a list": f"def helper():\n    {CHECK}\ndef test_it():\n    for f in [helper]:\n        f()",
    "a helper in a parametrized test": f"def helper():\n    {CHECK}\n"
    "@pytest.mark.parametrize('f', [helper])\ndef test_it(f):\n    f()",
    "a helper by its name": f"def helper():\n    {CHECK}\ndef test_it():\n    globals()['helper']()",
    "a helper at the top": f"def helper():\n    {CHECK}\nhelper()",
    "a helper in a function": f"def test_it():\n    def helper():\n        {CHECK}\n    helper()",
    "a helper that is used and defined anew": f"def helper():\n    {CHECK}\nhelper()\n"
    f"def helper():\n    {CHECK}\nhelper()",
    "a helper that calls a program's function back": "def test_it():\n    def seen(x):\n"
    "        assert x == 1\n    assert list(map(seen, [1])) == [None]",
    "a lambda": "import numpy\ncheck = lambda x: numpy.testing.assert_equal(double(x), 2 * x)\ncheck(5)",
    "a method of a test class": f"class TestIt:\n    def check(self):\n        {CHECK}\n"
    "    def test_it(self):\n        self.check()",
    "a base class": f"class Base:\n    def test_it(self):\n        {CHECK}\nclass TestIt(Base):\n    x = 1",
    "a mixin of a TestCase": f"import unittest\nclass Mixin:\n    def test_it(self):\n        {CHECK}\n"
    "class T(Mixin, unittest.TestCase):\n    x = 1",
    "a class in a class": f"class TestOuter:\n    class TestInner:\n        def test_it(self):\n            {CHECK}",
    "setup and teardown": f"class TestIt:\n    def setup_method(self):\n        {CHECK}\n"
    "    def test_it(self):\n        assert True",
    "setUp": f"{CASE}    def setUp(self):\n        {CHECK}\n    def test_it(self):\n        pass",
    "a helper class": f"class Checker:\n    def check(self):\n        {CHECK}\ndef test_it():\n    Checker().check()",
    "a context manager of the tests": "class Expect:\n    def __enter__(self):\n        return double(5)\n"
    "    def __exit__(self, *told):\n        assert True\ndef test_it():\n    with Expect() as n:\n        assert n == 10",
    "a generator as a context": f"import contextlib\n@contextlib.contextmanager\ndef expecting():\n    yield\n    {CHECK}\n"
    "def test_it():\n    with expecting():\n        pass",
    "a fixture": f"@pytest.fixture\ndef ten():\n    {CHECK}\n    return 10\ndef test_it(ten):\n    assert ten == 10",
    "a fixture of all tests": f"@pytest.fixture(autouse=True)\ndef ten():\n    {CHECK}",
    "a fixture by name": f"@pytest.fixture\ndef ten():\n    {CHECK}\n@pytest.mark.usefixtures('ten')\ndef test_it():\n    pass",
    "a property": "class C:\n    @property\n    def x(self):\n        assert double(5) == 10\n        return 1\n"
    "    @x.setter\n    def x(self, value):\n        assert value == 1\ndef test_it():\n    c = C()\n    c.x = c.x",
    "a conditional import": "try:\n    import numpy\nexcept ImportError:\n    numpy = None\n"
    f"def test_it():\n    if numpy is not None:\n        {CHECK}\n    {CHECK}",
    "a condition on the version": f"import sys\nif sys.version_info >= (3, 8):\n    {CHECK}\nelse:\n    {CHECK}",
    "two definitions of a helper": f"import sys\nif sys.platform == 'win32':\n    def helper():\n        assert False\n"
    f"else:\n    def helper():\n        {CHECK}\ndef test_it():\n    helper()",
    "a skip of one test": f"@pytest.mark.skip(reason='later')\ndef test_it():\n    {CHECK}",
    "a skip by a condition": f"import sys\ndef test_it():\n    if sys.platform == 'win32':\n        pytest.skip('no')\n    {CHECK}",
    "an early return": f"def test_it():\n    if double(1) != 2:\n        assert False\n        return\n    {CHECK}",
    "a return at the end": f"def test_it():\n    {CHECK}\n    return",
    "a try that expects": "def test_it():\n    try:\n        double(None)\n    except TypeError:\n        pass\n"
    "    else:\n        raise AssertionError('no error')",
    "an except that raises": f"def test_it():\n    try:\n        {CHECK}\n    except AssertionError:\n        print('no')\n        raise",
    "an earlier except": f"def test_it():\n    try:\n        {CHECK}\n    except AssertionError:\n        raise\n"
    "    except Exception:\n        pass",
    "an except of another exception": f"def test_it():\n    try:\n        {CHECK}\n    except KeyError:\n        pass",
    "raises": "def test_it():\n    with pytest.raises(TypeError):\n        double(None) < 3",
    "a comparison that must not raise": "def test_it():\n    with pytest.raises(TypeError):\n        1 < 'a'",
    "a coroutine": f"import asyncio\nasync def check():\n    {CHECK}\ndef test_it():\n    asyncio.run(check())",
    "a coroutine test": f"async def check():\n    {CHECK}\nasync def test_it():\n    await check()",
    "an IsolatedAsyncioTestCase": "import unittest\nclass T(unittest.IsolatedAsyncioTestCase):\n"
    f"    async def test_it(self):\n        {CHECK}",
    "a generator": f"def each():\n    yield 1\n    {CHECK}\ndef test_it():\n    assert list(each()) == [1]",
    "subtests": f"{CASE}    def test_it(self):\n        for x in (1, 2):\n            with self.subTest(x=x):\n"
    "                self.assertEqual(double(x), 2 * x)",
    "unittest's main": f"{CASE}    def test_it(self):\n        self.assertEqual(double(5), 10)\n"
    "if __name__ == '__main__':\n    unittest.main()",
    "pytest's main": "if __name__ == '__main__':\n    pytest.main([__file__])",
    "a loop": "for x, y in [(1, 2), (2, 4)]:\n    assert double(x) == y",
    "while True": f"def test_it():\n    n = 0\n    while True:\n        n += 1\n        {CHECK}\n        if n == 2: break",
    "an overloaded function": "from functools import singledispatch\n@singledispatch\ndef check(x):\n    assert x\n"
    "@check.register\ndef _(x: int):\n    assert double(x) == 2 * x\ndef test_it():\n    check(5)",
    "a decorated helper": "import functools\ndef twice(f):\n    @functools.wraps(f)\n    def wrapper(*a):\n"
    f"        assert f(*a) is None\n        f(*a)\n    return wrapper\n@twice\ndef test_it():\n    {CHECK}",
    "an example in a helper's docstring": 'def helper(x):\n    """Return x.\n\n    >>> helper(1)\n    1\n    """\n'
    f"    return x\ndef test_it():\n    {CHECK}",
    "a test that is not one": f"def test_it():\n    {CHECK}\ndef testing_value():\n    return 1\n"
    "testing_value.__test__ = False\nassert testing_value() == 1",
    "a class with __call__": f"class Check:\n    def __call__(self):\n        {CHECK}\ndef test_it():\n    Check()()",
    "a main guard without assertion": "if __name__ == '__main__':\n    print(double(5))",
    "a map of its own": "def map(f, xs):\n    return [f(x) for x in xs]\ndef test_it():\n"
    "    assert map(double, [1])",
    "whether a mock was called": "from unittest.mock import Mock\ndef test_it():\n    m = Mock()\n"
    "    m(double(1))\n    assert m.called",
    "a generator that is read": "def test_it():\n    assert all(double(x) == 2 * x for x in [1, 2])",
    "a tuple in a comparison": "def test_it():\n    assert (double(1), double(2)) == (2, 4)",
    "an assertion in parentheses": "def test_it():\n    assert (double(5) == 10), 'ten'",
}
"""Right files, each of which follows a test that runs."""


@pytest.mark.parametrize("form", NEVER)
def test_the_text_tells_what_never_runs(form: str) -> None:
    source, line = NEVER[form]
    found = never_run(ast.parse(f"{GOOD}{source}\n"), None)
    assert [idle.line for idle in found] == [line], found


@pytest.mark.parametrize("form", RUNS)
def test_the_text_of_a_right_file_tells_of_nothing(form: str) -> None:
    assert never_run(ast.parse(f"{GOOD}{RUNS[form]}\n"), None) == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("form", [*NEVER][::6])
async def test_an_assertion_that_never_runs_is_refused(runner: SandboxRunner, form: str) -> None:
    source, line = NEVER[form]
    tests = PythonTests(source=f"{GOOD}{source}\n")
    with pytest.raises(InputError, match=rf"tests\.py, line {line}: this assertion (would|could) "):
        await runner.check(tests, "double", None)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("form", [*NEVER][::6])
async def test_it_makes_no_program_right_where_nobody_checked(
    runner: SandboxRunner, form: str
) -> None:
    tests = PythonTests(source=f"{GOOD}{NEVER[form][0]}\n")
    execution = await runner.run(Program(code=RIGHT, tests=tests, entry_point="double"))
    assert not execution.passed


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("form", [*RUNS][::4])
async def test_a_right_file_is_accepted_and_passes(runner: SandboxRunner, form: str) -> None:
    tests = PythonTests(source=f"{GOOD}{RUNS[form]}\n")
    await runner.check(tests, "double", None)
    execution = await runner.run(Program(code=RIGHT, tests=tests, entry_point="double"))
    assert execution.passed, execution.tests


NOTHING = {
    "a skip of the module": "import pytest\npytest.skip('no', allow_module_level=True)\n"
    f"from solution import double\ndef test_it():\n    {CHECK}",
    "a module that is not there": "import pytest\npytest.importorskip('nowhere')\n"
    f"from solution import double\ndef test_it():\n    {CHECK}",
    "a mark": f"import pytest\nfrom solution import double\n@pytest.mark.skip\ndef test_it():\n    {CHECK}",
    "a condition that holds": "import pytest\nfrom solution import double\n"
    f"@pytest.mark.skipif(True, reason='no')\ndef test_it():\n    {CHECK}",
    "a skipped TestCase": "import unittest\nfrom solution import double\n@unittest.skip('no')\n"
    f"class T(unittest.TestCase):\n    def test_it(self):\n        {CHECK}",
    "no parameters": f"{GOOD}@pytest.mark.parametrize('x', [])\ndef test_it(x):\n    {CHECK}",
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("form", NOTHING)
async def test_a_file_that_runs_nothing_is_refused(runner: SandboxRunner, form: str) -> None:
    with pytest.raises(InputError, match=r"tests\.py"):
        await runner.check(PythonTests(source=NOTHING[form]), "double", None)


@pytest.mark.asyncio(loop_scope="module")
async def test_tests_that_a_conftest_deselects_are_refused(runner: SandboxRunner) -> None:
    conftest = "def pytest_collection_modifyitems(items):\n    items[:] = items[:1]\n"
    source = f"{GOOD}def test_it():\n    {CHECK}\n"
    tests = PythonTests(source=source, files={"conftest.py": conftest})
    with pytest.raises(InputError, match="line 6: this assertion would never run"):
        await runner.check(tests, "double", None)


def test_our_own_tests_have_no_assertion_that_never_runs() -> None:
    for path in Path(__file__).parent.glob("test_*.py"):
        found = never_run(ast.parse(path.read_text(encoding="utf-8")), None)
        assert found == [], path.name
