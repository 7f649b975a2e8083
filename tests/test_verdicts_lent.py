"""Objects of the tests that a program gets: it cannot change what they record, do or keep."""

import pytest

from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import SandboxRunner

pytestmark = pytest.mark.asyncio(loop_scope="module")

ONE = "from unittest.mock import Mock\nfrom solution import f\ndef test():\n    m = Mock(); f(m)\n"
MOCKED = {
    "its class forgets": (
        ONE + "    m.send.assert_called_once_with('right')",
        "def f(m):\n    s = m.send\n    s('wrong'); type(s).reset_mock(s); s('right')",
    ),
    "its class is told to check nothing": (
        ONE + "    m.send.assert_called_once_with('right')",
        "def f(m):\n    s = m.send\n    type(s).configure_mock(s, assert_called_once_with=print)",
    ),
    "its class says that it was called": (
        ONE + "    assert m.called",
        "def f(m): type(m).called = 1",
    ),
    "its class counts": (
        ONE + "    assert m.call_count == 3",
        "def f(m): type(m).call_count = 3",
    ),
    "its class lists calls": (
        ONE + "    assert m.mock_calls == ['x']",
        "def f(m): type(m).mock_calls = ['x']",
    ),
    "its class answers": (
        ONE + "    assert m() == 5",
        "def f(m): type(m).configure_mock(m, return_value=5)",
    ),
    "another mock in place of a check": (
        ONE + "    m.assert_called_once_with(1)",
        "def f(m): type(m).attach_mock(m, m.foo, 'assert_called_once_with')",
    ),
}
LOG = """
from solution import render
EXPECTED = {3: 9, 4: 16}
class Log:
    def __init__(self): self.lines = []
    def info(self, message, *args): self.lines.append(message.format(*args))
def test_values():
    for n, want in EXPECTED.items():
        log = Log()
        assert render(log, n) == want
        assert log.lines == [f"done {n}"]
"""
CHECK = "import functools\nfrom solution import run\ndef check(n, x):\n    assert x == n\n    return x\n"
FAKE = """
import functools
from solution import f
def _is(self, wanted, got): return wanted == got
class Fake:
    verify = functools.partialmethod(_is, [1])
    def __init__(self): self.seen = []
    @property
    def total(self): return len(self.seen)
    @functools.cached_property
    def kept(self): return len(self.seen)
class Around:
    def __init__(self): self._inner = Fake()
    def __getattr__(self, name): return getattr(self._inner, name)
"""
REACHED = {
    "a format reads the tests' globals": (
        LOG,
        "def render(log, n):\n    log.info('{0.info.__func__.__globals__[EXPECTED]}', log)\n"
        "    table = eval(log.lines.pop())\n    log.info('done {}', n)\n    return table[n]",
    ),
    "a format of a function": (
        "from solution import run\nEXPECTED = 7\nseen = []\n"
        "def log(message, *args):\n    seen.append(message.format(*args))\n    return seen[-1]\n"
        "def test(): assert run(log) == EXPECTED",
        "def run(log): return eval(log('{0.__globals__[EXPECTED]}', log))",
    ),
    "the arguments of a partial function": (
        CHECK + "def test(): assert run(functools.partial(check, 1234)) == 1234",
        "def run(check): return check(check.args[0])",
    ),
    "the keywords of a partial function": (
        CHECK + "def test(): assert run(functools.partial(check, n=1234)) == 1234",
        "def run(check): return check(x=check.keywords['n'])",
    ),
    "a property of its class": (
        FAKE + "def test():\n    a = Fake(); f(a)\n    assert a.total == 7",
        "def f(a): type(a).total = 7",
    ),
    "a cached property": (
        FAKE + "def test():\n    a = Fake(); f(a)\n    assert a.kept == 7",
        "def f(a): a.kept = 7",
    ),
    "a partial method": (
        FAKE + "def test():\n    a = Fake(); f(a)\n    assert a.verify([2])",
        "def f(a): a.verify = lambda *given: True",
    ),
    "a partial method of its class": (
        FAKE + "def test():\n    a = Fake(); f(a)\n    assert a.verify([2])",
        "def f(a): type(a).verify = lambda *given: True",
    ),
    "a method of what it stands for": (
        FAKE + "def test():\n    a = Around(); f(a)\n    assert a.verify([2])",
        "def f(a): a.verify = lambda *given: True",
    ),
    "an object of the tests": (
        FAKE + "def test():\n    a = Around(); f(a)\n    assert a.verify([2])",
        "class Own:\n    def verify(self, got): return True\ndef f(a): a._inner = Own()",
    ),
    "the default of a function that checks": (
        "from solution import f\ndef test():\n    def check(x, wanted=3): assert x == wanted\n"
        "    f(check)",
        "import inspect\ndef f(check): check(inspect.signature(check).parameters['wanted'].default)",
    ),
    "the default of a function in a loop": (
        "from solution import f\ndef same(x, y): assert x == y\ndef test():\n"
        "    for want in (3, 4):\n        f(lambda x, want=want: same(x, want))",
        "import inspect\ndef f(check): check(inspect.signature(check).parameters['want'].default)",
    ),
    "the attributes of a mock": (
        ONE + "    m.assert_called_once()",
        "def f(m): vars(m)['_mock_call_count'] = 1",
    ),
    "the attributes of a mock, stored": (
        ONE + "    m.assert_called_once()",
        "from opencodeinterpreter.tools.grading.inside.candidate import _candidate as c\n"
        "def f(m): c()._borrowed._ask('store', m._number, 'call_count', 1)",
    ),
    "a copy of a mock": (
        ONE + "    m.assert_called_once()",
        "import copy\ndef f(m): copy.copy(m)()",
    ),
    "a method among the attributes": (
        FAKE + "def test():\n    a = Fake(); f(a)\n    assert a.verify([2])",
        "def f(a): vars(a)['verify'] = lambda *given: True",
    ),
    "an operator that compares": (
        FAKE + "def test():\n    a = Fake()\n    assert f(a) == Fake()",
        "def f(a):\n    type(a).__eq__ = lambda *given: True\n    return a",
    ),
    "a class that an annotation names": (
        "from solution import f\nclass Config:\n    limit = 3\ndef use(c: Config): return c\n"
        "def test(): assert f(use) == Config.limit",
        "import inspect\ndef f(use):\n    [p] = inspect.signature(use).parameters.values()\n"
        "    p.annotation.limit = 7\n    return 7",
    ),
    "a base class": (
        "from solution import f\nclass Base:\n    limit = 3\nclass Own(Base): pass\n"
        "def test(): assert f(Own()) == Base.limit",
        "def f(own):\n    type(own).__mro__[1].limit = 7\n    return 7",
    ),
    "a call": (
        "from solution import f\nclass Check:\n    def same(self, x): return x == 3\n"
        "def test():\n    c = Check()\n    assert f(c) and (c if callable(c) else c.same)(f(c))",
        "def f(c):\n    type(c).__call__ = lambda *given: True\n    return 7",
    ),
    "an exit": (
        FAKE + "def test():\n    with f(Fake)(): assert False == f",
        "def f(kind):\n    kind.__enter__ = lambda self: self\n"
        "    kind.__exit__ = lambda *given: True\n    return kind",
    ),
    "the defaults of a function": (
        "from solution import f\ndef check(x, wanted=3): assert x == wanted\n"
        "def test():\n    f(check)\n    check(f)",
        "def f(check): check.__defaults__ = (f,)",
    ),
}


@pytest.mark.parametrize("name", [*MOCKED, *REACHED])
async def test_a_program_that_changes_or_reads_the_tests_through_an_object_fails(
    runner: SandboxRunner, name: str
) -> None:
    source, code = (MOCKED | REACHED)[name]
    # It hides what it does in the second run, which would notice some of these.
    forging = "try:\n    import _pytest.python as p\n    p.Function.runtest = lambda self: None\n"
    hidden = f"{forging}except ImportError:\n    pass\n{code}"
    assert not (await runner.run(Program(code=hidden, tests=PythonTests(source=source)))).passed


RIGHT = {
    "an object is not called": (
        "from solution import resolve\nclass User: pass\nu = User()\n"
        "def test():\n    assert resolve(u) is u\n    assert resolve(lambda: 3) == 3",
        "def resolve(v): return v() if callable(v) else v",
    ),
    "data of an object and of its class": (
        "from solution import fill\nclass Box:\n    count = 0\n    def __init__(self): self.x = None\n"
        "def test():\n    b = Box(); fill(b)\n    assert (b.x, Box.count) == (5, 1)",
        "def fill(b):\n    b.x = 5\n    type(b).count += 1",
    ),
    "a property with a setter": (
        "from solution import fill\nclass Box:\n    @property\n    def x(self): return self._x\n"
        "    @x.setter\n    def x(self, value): self._x = 2 * value\n"
        "def test():\n    b = Box(); fill(b)\n    assert b.x == 10",
        "def fill(b): b.x = 5",
    ),
    "slots": (
        "from solution import fill\nclass Box:\n    __slots__ = ('x',)\n"
        "def test():\n    b = Box(); fill(b)\n    assert b.x == 5",
        "def fill(b): b.x = 5",
    ),
    "a text with braces": (
        "from solution import fill\nclass Log:\n    def __init__(self): self.lines = []\n"
        "    def info(self, message, *args): self.lines.append(message.format(*args))\n"
        "def test():\n    log = Log(); fill(log)\n    assert log.lines == ['{x} 3 a.__b__']",
        "def fill(log): log.info('{{x}} {} {}', 3, 'a.__b__')",
    ),
}


@pytest.mark.parametrize("name", RIGHT)
async def test_a_program_that_uses_an_object_as_programs_do_passes(
    runner: SandboxRunner, name: str
) -> None:
    source, code = RIGHT[name]
    execution = await runner.run(Program(code=code, tests=PythonTests(source=source)))
    assert [test for test in execution.tests or () if test.status != "passed"] == []
