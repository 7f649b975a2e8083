"""Right programs of many kinds, and tests of them as people write them: all of them pass."""

import pytest

from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import SandboxRunner

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def run(runner: SandboxRunner, code: str, source: str) -> Execution:
    return await runner.run(Program(code=code, tests=PythonTests(source=source)))


POINT = """
from dataclasses import dataclass, field

@dataclass
class Point:
    x: int
    y: int = 0
    def __mul__(self, n): return Point(self.x * n, self.y * n)
    __rmul__ = __mul__
    def __add__(self, o):
        if isinstance(o, int): return Point(self.x + o, self.y + o)
        return Point(self.x + o.x, self.y + o.y)
    __radd__ = __add__
    def __neg__(self): return Point(-self.x, -self.y)

@dataclass
class Line:
    a: Point
    b: Point
    tags: list = field(default_factory=list)

@dataclass(frozen=True)
class Frozen:
    x: int
"""
RIGHT = {
    "arithmetic with numbers": (
        POINT,
        "from solution import Point\nassert (Point(1, 2) * 3).x == 3\np = 3 * Point(1, 2)\n"
        "assert (p.x, p.y) == (3, 6)\nassert Point(1, 2) * 3 == Point(3, 6)\n"
        "assert sum([Point(1), Point(2)]).x == 3\nassert (-(Point(1) + 2)).x == -3\n"
        "p += 1\nassert p.x == 4",
    ),
    "data classes": (
        POINT,
        "import dataclasses, pytest\nfrom solution import Frozen, Line, Point\n"
        "assert dataclasses.asdict(Point(1, 2)) == {'x': 1, 'y': 2}\n"
        "assert dataclasses.astuple(Point(1, 2)) == (1, 2)\n"
        "assert [f.name for f in dataclasses.fields(Point)] == ['x', 'y']\n"
        "assert dataclasses.asdict(Line(Point(1), Point(2)))['b'] == {'x': 2, 'y': 0}\n"
        "assert dataclasses.replace(Point(1, 2), x=5).x == 5\n"
        "assert dataclasses.is_dataclass(Point(1)) and not dataclasses.is_dataclass(3)\n"
        "def test_frozen():\n    with pytest.raises(dataclasses.FrozenInstanceError):\n"
        "        Frozen(1).x = 2",
    ),
    "copies": (
        POINT,
        "import copy\nfrom solution import Point\np = Point(1, 2)\nq = copy.copy(p)\nq.x = 7\n"
        "assert (p.x, q.x) == (1, 7)\nr = copy.deepcopy(p)\nassert r == p and r is not p",
    ),
    "its own LookupError": (
        "class Missing(LookupError): pass\nclass Key(KeyError):\n    def __init__(self, key):\n"
        "        super().__init__(key)\n        self.key = key\n"
        "def f(): raise Missing('x')\ndef g(): raise Key('k')",
        "import pytest\nfrom solution import Key, Missing, f, g\ndef test_it():\n"
        "    for kind in (Missing, LookupError, Exception):\n        with pytest.raises(kind): f()\n"
        "    with pytest.raises(Key) as told: g()\n    assert told.value.key == 'k'\n"
        "    with pytest.raises(KeyError, match='k'): g()\n    assert issubclass(Missing, LookupError)",
    ),
    "an exception of a built-in name": (
        "class LookupError(Exception): pass\nclass TimeoutError(Exception): pass\n"
        "def f(): raise LookupError('x')",
        "import pytest, solution\ndef test_it():\n"
        "    with pytest.raises(solution.LookupError): solution.f()",
    ),
    "exceptions of the library": (
        "import csv, decimal, json, queue, re, struct, subprocess\ndef f(s): return json.loads(s)\n"
        "def r(s): return re.compile(s)\ndef u(b): return b.decode()\n"
        "def d(s): return decimal.Decimal(s)\ndef o(p): return open(p)\n"
        "def s(): return struct.unpack('i', b'')\ndef q(): return queue.Queue().get_nowait()\n"
        "class Own(json.JSONDecodeError): pass\ndef w(): raise Own('bad', '{', 0)",
        "import decimal, json, pytest, queue, re, struct\nfrom solution import Own, d, f, o, q, r, s, u, w\n"
        "def test_it():\n    with pytest.raises(json.JSONDecodeError) as told: f('{')\n"
        "    assert told.value.pos == 1 and 'property name' in told.value.msg\n"
        "    with pytest.raises(ValueError): f('{')\n    with pytest.raises(re.error): r('(')\n"
        "    with pytest.raises(UnicodeDecodeError): u(b'\\xff')\n"
        "    with pytest.raises(decimal.InvalidOperation): d('x')\n"
        "    with pytest.raises(FileNotFoundError) as told: o('nope')\n    assert told.value.errno == 2\n"
        "    with pytest.raises(struct.error): s()\n    with pytest.raises(queue.Empty): q()\n"
        "    with pytest.raises(Own): w()\n    with pytest.raises(json.JSONDecodeError): w()",
    ),
    "annotations": (
        "class T: pass\ndef f(a: int, b: 'int' = None, *, c: str = 'x', d: T = None) -> bool:\n"
        "    return True\nclass C:\n    x: int = 1",
        "import inspect, typing\nfrom solution import C, T, f\nsignature = inspect.signature(f)\n"
        "assert signature.parameters['a'].annotation is int\n"
        "assert signature.parameters['b'].annotation == 'int'\n"
        "assert signature.parameters['d'].annotation is T\nassert signature.return_annotation is bool\n"
        "assert f.__annotations__['return'] is bool\nassert C.__annotations__ == {'x': int}\n"
        "assert str(signature.parameters['a']) == 'a: int'\n"
        "assert typing.get_type_hints(f)['a'] is int\nassert f.__defaults__ == (None,)",
    ),
    "collections changed in place": (
        "def count(c): c['a'] += 1\ndef put(d): d['z'] = 1\ndef add(d): d.append(1)\n"
        "def extend(b): b.extend(b'x')\ndef nest(m): m['k'].append(3)\ndef clear(x): x.clear()",
        "from collections import Counter, OrderedDict, defaultdict, deque\n"
        "from solution import add, clear, count, extend, nest, put\nc = Counter('ab')\ncount(c)\n"
        "assert c == {'a': 2, 'b': 1} and type(c) is Counter\nd = defaultdict(int)\ncount(d)\n"
        "assert d == {'a': 1} and d['new'] == 0\nlists = defaultdict(list)\nnest(lists)\n"
        "assert lists == {'k': [3]} and lists['new'] == []\nordered = OrderedDict()\nput(ordered)\n"
        "assert ordered == {'z': 1}\nq = deque([0], maxlen=2)\nadd(q)\nassert list(q) == [0, 1]\n"
        "b = bytearray(b'a')\nextend(b)\nassert b == b'ax'\nkeyed = Counter('a')\ncount(c=keyed)\n"
        "assert keyed == {'a': 2}\nclear(c)\nassert c == {}",
    ),
    "generators as arguments": (
        "def f(it): return [x * 2 for x in it]\ndef t(it): return next(it), next(it)\n"
        "def g(n): yield from range(n)\ndef lazy(it):\n    for x in it: yield x + 1\n"
        "def z(a, b): return list(zip(a, b))",
        "import itertools\nfrom solution import f, g, lazy, t, z\ndef own():\n    yield 5\n"
        "assert f(x for x in (1, 2)) == [2, 4]\nassert f(iter([1])) == [2] and f(own()) == [10]\n"
        "assert f(map(int, '12')) == [2, 4] and f(reversed([1, 2])) == [4, 2]\n"
        "assert t(itertools.count()) == (0, 1)\nassert f(g(3)) == [0, 2, 4]\n"
        "assert z((i for i in 'ab'), itertools.cycle([1])) == [('a', 1), ('b', 1)]\n"
        "assert f({'a': 1}.values()) == [2] and f({'a': 1}.items()) == [('a', 1) * 2]\n"
        "assert list(itertools.islice(lazy(itertools.count()), 3)) == [1, 2, 3]",
    ),
    "coroutines": (
        "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x * 2\nclass Conn:\n"
        "    closed = False\n    async def __aenter__(self): return self\n"
        "    async def __aexit__(self, *told): self.closed = True\n    async def get(self): return 5\n"
        "async def each(n):\n    for i in range(n): yield i",
        "import asyncio, pytest\nfrom solution import Conn, each, f\n@pytest.fixture\n"
        "async def two(): return await f(1)\n@pytest.fixture\nasync def conn():\n"
        "    async with Conn() as c:\n        yield c\n    assert c.closed\n"
        "async def test_it(two): assert two == 2\nasync def test_conn(conn): assert await conn.get() == 5\n"
        "async def test_gather(): assert await asyncio.gather(f(1), f(2)) == [2, 4]\n"
        "async def test_each(): assert [x async for x in each(3)] == [0, 1, 2]\n"
        "async def test_wait(): assert await asyncio.wait_for(f(1), 5) == 2\n"
        "class TestIt:\n    @pytest.fixture\n    async def four(self): return await f(2)\n"
        "    async def test_it(self, four): assert four == 4\n"
        "def test_plain(two): assert two == 2",
    ),
    "folders below tmp_path": (
        "import os, pathlib\ndef write(d):\n    (pathlib.Path(d) / 'sub').mkdir()\n"
        "    (pathlib.Path(d) / 'sub' / 'a.txt').write_text('x')\n"
        "def ls(d): return sorted(os.listdir(d))\ndef rm(p): os.remove(p)\n"
        "def mk(d): os.makedirs(os.path.join(d, 'empty'))\ndef isdir(p): return pathlib.Path(p).is_dir()\n"
        "def read(p): return pathlib.Path(p).read_text()\ndef rmdir(p): os.rmdir(p)",
        "import os, tempfile\nfrom solution import isdir, ls, mk, read, rm, rmdir, write\n"
        "def test_it(tmp_path):\n    write(tmp_path)\n    path = tmp_path / 'sub' / 'a.txt'\n"
        "    assert path.read_text() == 'x' and ls(tmp_path) == ['sub']\n    rm(path)\n"
        "    assert not path.exists()\ndef test_empty(tmp_path):\n    mk(tmp_path)\n"
        "    assert (tmp_path / 'empty').is_dir()\n    rmdir(tmp_path / 'empty')\n"
        "    assert not (tmp_path / 'empty').exists()\ndef test_folders(tmp_path):\n"
        "    (tmp_path / 'd').mkdir()\n    assert isdir(tmp_path / 'd') and ls(tmp_path) == ['d']\n"
        "    (tmp_path / 'd').rmdir()\n    assert ls(tmp_path) == []\ndef test_tmpdir(tmpdir):\n"
        "    tmpdir.join('a').write('q')\n    assert read(str(tmpdir.join('a'))) == 'q'\n"
        "def test_tempfile():\n    with tempfile.TemporaryDirectory() as d:\n"
        "        open(os.path.join(d, 'x'), 'w').close()\n        assert ls(d) == ['x']",
    ),
    "functions that call the program": (
        "import functools\ndef apply(f, x): return f(x)\ndef double(x): return 2 * x\ndef memo(f):\n"
        "    kept = {}\n    @functools.wraps(f)\n    def wrapper(n):\n        if n not in kept: kept[n] = f(n)\n"
        "        return kept[n]\n    return wrapper\ndef call(f): return f(1, key=2)",
        "from solution import apply, call, double, memo\nassert apply(lambda x: double(x), 3) == 6\n"
        "assert apply(lambda x: apply(lambda y: double(y) + 1, x), 3) == 7\ncalls = []\n@memo\n"
        "def slow(n):\n    'It is slow.'\n    calls.append(n)\n    return double(n)\n"
        "assert slow(2) == 4 and slow(2) == 4 and calls == [2]\nassert slow.__name__ == 'slow'\n"
        "assert slow.__doc__ == 'It is slow.'\nassert call(lambda x, key: (x, key)) == (1, 2)\n"
        "@memo\ndef fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nassert fib(9) == 34",
    ),
    "what is put in its place": (
        "import time\ndef now(): return time.time()\ndef helper(): return 1\ndef f(): return helper()",
        "import solution\nfrom solution import f\ndef test_it(monkeypatch):\n"
        "    monkeypatch.setattr(solution, 'helper', lambda: 7)\n    assert f() == 7\n"
        "def test_undone(): assert f() == 1\n"
        "def test_by_name(monkeypatch):\n    monkeypatch.setattr('solution.helper', lambda: 8)\n"
        "    assert f() == 8",
    ),
    "a fixture of two tests that calls the program": (
        "def f(x): return x",
        "import pytest\nfrom solution import f\n@pytest.fixture\ndef two(): return f(2)\n"
        "@pytest.fixture(scope='module')\ndef three(): return f(3)\n"
        "def test_a(two, three): assert two + three == 5\ndef test_b(two, three): assert two == 2",
    ),
    "enums of numbers and of text": (
        "import enum\nclass C(enum.IntEnum):\n    RED = 1\n    BLUE = 2\n"
        "class S(str, enum.Enum):\n    A = 'a'\ndef f(): return C.RED\ndef other(c):\n"
        "    return C.BLUE if c is C.RED else C.RED",
        "from solution import C, S, f, other\nassert f() == 1 and f() is C.RED and C(1) is C.RED\n"
        "assert (f().name, f().value) == ('RED', 1) and C.RED < C.BLUE and C.RED + 1 == 2\n"
        "assert [c.name for c in C] == ['RED', 'BLUE'] and C['RED'] == 1\n"
        "assert isinstance(f(), C) and isinstance(f(), int)\nassert other(C.RED) is C.BLUE\n"
        "assert S.A == 'a' and S.A.name == 'A' and S('a') is S.A and S.A.value == 'a'",
    ),
    "named tuples": (
        "from collections import namedtuple\nfrom typing import NamedTuple\n"
        "P = namedtuple('P', 'x y')\nclass Q(NamedTuple):\n    a: int\n    b: str = 'z'\n"
        "    def twice(self): return self.a * 2\ndef f(): return P(1, 2)\ndef total(p): return p.x + p.y",
        "from solution import P, Q, f, total\nassert f() == (1, 2) and f().x == 1\n"
        "assert f() == P(1, 2) and total(P(1, 2)) == 3 and total(f()) == 3\n"
        "assert isinstance(f(), P) and isinstance(f(), tuple) and type(f()) is P\n"
        "assert f()._asdict() == {'x': 1, 'y': 2} and f()._replace(x=5) == (5, 2)\n"
        "assert P._fields == ('x', 'y') and repr(f()) == 'P(x=1, y=2)'\n"
        "assert Q(3).b == 'z' and Q(3).twice() == 6\nx, y = f()\nassert y == 2 and [f()] == [P(1, 2)]",
    ),
    "subclasses of plain data": (
        "class L(list):\n    limit = 3\n    def total(self): return sum(self)\n"
        "    def push(self, x): self.append(x)\nclass Sorted(list):\n"
        "    def append(self, x):\n        super().append(x)\n        self.sort()\n"
        "class D(dict):\n    def __missing__(self, key): return 'none'\nclass S(str):\n"
        "    def shout(self): return self.upper() + '!'\nclass I(int):\n"
        "    def double(self): return self * 2\nclass T(set):\n    def first(self): return min(self)\n"
        "def f(): return L([1, 2])\ndef d(): return D(a=1)",
        "from solution import D, I, L, S, Sorted, T, d, f\nassert f() == [1, 2] and f().total() == 3\n"
        "assert len(f()) == 2 and f()[0] == 1 and isinstance(f(), L) and f().limit == 3\nx = f()\n"
        "x.append(5)\nassert x.total() == 8 and x == [1, 2, 5]\nx.push(6)\n"
        "assert x == [1, 2, 5, 6] and x.total() == 14\ndel x[0]\nassert x.total() == 13\n"
        "s = Sorted([2])\ns.append(1)\nassert s == [1, 2]\nassert d()['z'] == 'none' and d() == {'a': 1}\n"
        "m = D()\nm['b'] = 2\nassert m == {'b': 2} and m['c'] == 'none'\n"
        "assert S('hi').shout() == 'HI!' and S('hi') == 'hi' and I(4).double() == 8 and I(4) + 1 == 5\n"
        "t = T([3])\nt.add(2)\nassert t.first() == 2 and t == {2, 3}\nassert L([1]) + [2] == [1, 2]",
    ),
    "lists, dicts and arrays of the tests' own classes": (
        "def f(a):\n    a.sort()\n    return a\ndef g(d):\n    d['x'] = 2\n    return d\n"
        "def h(a):\n    a.append(a[0])\n    return a",
        "import array\nfrom solution import f, g, h\nclass Pile(list):\n"
        "    def top(self): return self[-1]\nclass Own(dict): pass\ndef test_it():\n"
        "    a, d, n = Pile([2, 1]), Own(), array.array('i', [3])\n"
        "    assert f(a) is a and a == [1, 2] and a.top() == 2 and g(d) is d and d == {'x': 2}\n"
        "    assert h(n) is n and n == array.array('i', [3, 3])",
    ),
    "code of the tests as text": (
        "def f(x): return x",
        "from solution import f\ndef test_it():\n    found = {}\n"
        "    exec('y = 1\\nz = 2', found)\n    assert eval('f(2)') == found['z']",
    ),
    "objects with all attributes": (
        "registry = {}\ndef keep(value): registry[len(registry)] = value\ndef f(m): m(1); m(2)",
        "from unittest.mock import Mock, call\nfrom solution import f, keep\nclass Every:\n"
        "    def __getattr__(self, name): return Every()\nevery = Every()\nkeep(every)\n"
        "keep(Mock())\ntest_every = every\ndef test_it():\n    m = Mock()\n    f(m)\n"
        "    assert m.mock_calls == [call(1), call(2)]",
    ),
    "warnings": (
        "import warnings\nclass Own(UserWarning): pass\ndef f():\n"
        "    warnings.warn('old', DeprecationWarning)\n    return 1\ndef g(): warnings.warn('own', Own)",
        "import pytest\nfrom solution import Own, f, g\ndef test_it():\n"
        "    with pytest.warns(DeprecationWarning, match='old'): assert f() == 1\n"
        "    with pytest.warns(Own): g()",
    ),
}


@pytest.mark.parametrize("kind", RIGHT)
async def test_a_right_program_passes(runner: SandboxRunner, kind: str) -> None:
    code, source = RIGHT[kind]
    await runner.check(PythonTests(source=source), None, None)
    execution = await run(runner, code, source)
    assert [test for test in execution.tests or () if test.status != "passed"] == []


REFUSED = {
    "a class derived from the program's list": (
        "class Shape(list): pass",
        "from solution import Shape\ndef test_it():\n    class Square(Shape): pass\n    assert Square",
        "Square cannot derive from the program's Shape",
    ),
    "a module": (
        "def area(s): return s.w",
        "import json\nfrom solution import area\nassert area(json) == 2",
        "module cannot be passed to the program",
    ),
    "a test case": (
        "def watch(case): return case.w",
        "import unittest\nfrom solution import watch\nclass TestIt(unittest.TestCase):\n    w = 1\n"
        "    def test_it(self): self.assertEqual(watch(self), 1)",
        "TestIt cannot be passed to the program",
    ),
    "a part of a mock that is for the tests": (
        "def forget(m): m.reset_mock()",
        "from unittest.mock import Mock\nfrom solution import forget\nm = Mock()\nm(1)\n"
        "def test_it():\n    forget(m)\n    m.assert_not_called()",
        "the program uses reset_mock of a mock",
    ),
    "a method of the tests' class": (
        "def cheat(fake): fake.check = lambda: True",
        "from solution import cheat\nclass Fake:\n    def check(self): return False\n"
        "def test_it():\n    fake = Fake()\n    cheat(fake)\n    assert fake.check()",
        "the program changes Fake.check",
    ),
    "order between an object and a number": (
        "class P:\n    def __lt__(self, other): return True",
        "from solution import P\nassert P() < 5",
        "plain data is needed",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
async def test_what_cannot_cross_is_named(runner: SandboxRunner, kind: str) -> None:
    code, source, said = REFUSED[kind]
    outcomes = (await run(runner, code, source)).tests
    assert outcomes is not None
    (test,) = outcomes
    assert test.status == "error"
    assert said in test.message


async def test_what_ends_pytest_leaves_no_test_out(runner: SandboxRunner) -> None:
    source = "import pytest\nfrom solution import f\ndef test_a():\n    assert f() == 1\n"
    source += "def test_b():\n    pytest.exit('no')\ndef test_c():\n    assert f() == 2\n"
    execution = await run(runner, "def f(): return 1", source)
    assert not execution.passed
    assert len(execution.tests or ()) == 3
