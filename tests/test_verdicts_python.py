"""Tests in Python: each is run as pytest runs it, or its file is refused before a model is asked."""

from typing import Any

import pytest

from opencodeinterpreter.nodes.entry_point import required_entry_point
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import SandboxRunner
from tests.sampling import every

pytestmark = pytest.mark.asyncio(loop_scope="module")

RIGHT = "def double(x):\n    return 2 * x\n"
WRONG = "def double(x):\n    return x + 2\n"
IMPORT = "from solution import double\n"


async def run(runner: SandboxRunner, code: str, source: str, **fields: Any) -> Execution:
    tests = PythonTests(source=source, **fields)
    return await runner.run(Program(code=code, tests=tests, entry_point="double"))


RAN = {
    "an assertion at the top": f"{IMPORT}assert double(5) == 10",
    "a function": f"{IMPORT}def test_it():\n    assert double(5) == 10",
    "a test class": f"{IMPORT}class TestIt:\n    def test_it(self):\n        assert double(5) == 10",
    "a coroutine function": f"{IMPORT}async def test_it():\n    assert double(5) == 10",
    "a TestCase": f"import unittest\n{IMPORT}class T(unittest.TestCase):\n    def test_it(self):\n"
    "        self.assertEqual(double(5), 10)",
    "a TestCase with plain assertions": f"import unittest\n{IMPORT}class T(unittest.TestCase):\n"
    "    def test_it(self):\n        assert double(5) == 10",
    "check(candidate)": "def check(candidate):\n    assert candidate(5) == 10",
    "check, called": f"{IMPORT}def check(f):\n    assert f(5) == 10\ncheck(double)",
    "a loop": f"{IMPORT}for x in (2, 5):\n    assert double(x) == 2 * x",
    "a with": f"import contextlib\n{IMPORT}with contextlib.nullcontext():\n    assert double(5) == 10",
    "a try": f"{IMPORT}try:\n    assert double(5) == 10\nfinally:\n    pass",
    "an if": f"{IMPORT}if True:\n    assert double(5) == 10",
    "a parametrized test": f"import pytest\n{IMPORT}@pytest.mark.parametrize('x', [2, 5])\n"
    "def test_it(x):\n    assert double(x) == 2 * x",
    "a fixture": f"import pytest\n{IMPORT}@pytest.fixture\ndef five():\n    return 5\n"
    "def test_it(five):\n    assert double(five) == 10",
    "an assertion in a helper": f"{IMPORT}def same(a, b):\n    assert a == b\n"
    "def test_it():\n    same(double(5), 10)",
    "an assertion in a fixture": f"import pytest\n{IMPORT}@pytest.fixture\ndef ten():\n"
    "    yield 10\n    assert double(5) == 10\ndef test_it(ten):\n    pass",
    "setup_method": f"{IMPORT}class TestIt:\n    def setup_method(self):\n        self.x = double(5)\n"
    "    def test_it(self):\n        assert self.x == 10",
    "a module that tests in setup_module": f"{IMPORT}def setup_module():\n    global y\n"
    "    y = double(5)\ndef test_it():\n    assert y == 10",
    "pytest.approx": f"import pytest\n{IMPORT}assert double(0.5) == pytest.approx(1.0)",
    "a doubled assertion": f"{IMPORT}assert double(2) == 4\nassert double(5) == 10",
    "a subtest": f"import unittest\n{IMPORT}class T(unittest.TestCase):\n    def test_it(self):\n"
    "        for x in (2, 5):\n            with self.subTest(x=x):\n"
    "                self.assertEqual(double(x), 2 * x)",
}
"""Files whose tests run, in every form."""


@pytest.mark.parametrize("form", RAN)
async def test_every_form_of_test_tells_right_from_wrong(runner: SandboxRunner, form: str) -> None:
    assert (await run(runner, RIGHT, RAN[form])).passed
    assert not (await run(runner, WRONG, RAN[form])).passed


@pytest.mark.parametrize("form", every(4, RAN))
async def test_every_form_is_accepted_before_there_is_a_program(
    runner: SandboxRunner, form: str
) -> None:
    tests = PythonTests(source=RAN[form])
    await runner.check(tests, "double", RIGHT)
    with pytest.raises(InputError, match="the reference solution fails"):
        await runner.check(tests, "double", WRONG)


REFUSED = {
    "under __main__": (
        f"{IMPORT}if __name__ == '__main__':\n    assert double(5) == 10",
        "line 3: this assertion would never run",
    ),
    "testFive beside a test": (
        f"{IMPORT}def test_two():\n    assert double(2) == 4\n"
        "def five_double():\n    assert double(5) == 10",
        "line 5: this assertion would never run, since `five_double` is never called",
    ),
    "double_test": (f"{IMPORT}def double_test():\n    assert double(5) == 10", "line 3: this"),
    "a class of another name": (
        f"{IMPORT}class Double:\n    def test_it(self):\n        assert double(5) == 10",
        "`Double` is never called",
    ),
    "a helper that nobody calls": (
        f"{IMPORT}def test_two():\n    assert double(2) == 4\ndef helper():\n    assert double(5) == 10",
        "`helper` is never called",
    ),
    "a doctest": (
        "import doctest, solution\ndoctest.testmod(solution)",
        "no test ran|needs the program|cannot run",
    ),
    "no test at all": ("import solution\nx = 1", "no test ran"),
    "a wrong import": (
        f"import numpyy\n{IMPORT}assert double(5) == 10",
        "No module named 'numpyy'",
    ),
    "a forgotten import": (
        f"{IMPORT}assert math.isclose(double(5), 10)",
        "math is used and not defined",
    ),
    "a fixture that is nowhere": (
        f"{IMPORT}def test_it(ten):\n    assert double(5) == ten",
        "fixture 'ten' not found",
    ),
    "a syntax error": ("assert (", "the tests are broken"),
    "another program's name": (
        "from double import double\nassert double(5) == 10",
        "as `solution`",
    ),
    "a file that is not there": (
        f"{IMPORT}data = open('data.csv').read()\nassert double(5) == 10",
        "--file",
    ),
    "a test that fails by itself": (f"{IMPORT}assert 1 == 2", "fails whatever the program does"),
    "a test that breaks by itself": (f"{IMPORT}def test_it():\n    1 / 0", "ZeroDivisionError"),
    "a set-up that breaks": (f"{IMPORT}x = [][0]\nassert double(5) == 10", "IndexError"),
}
"""Files with a fault of their own, and what is said of it."""


@pytest.mark.parametrize("fault", REFUSED)
async def test_a_fault_of_the_file_is_told_before_a_model_is_asked(
    runner: SandboxRunner, fault: str
) -> None:
    source, said = REFUSED[fault]
    with pytest.raises(InputError, match=said):
        await runner.check(PythonTests(source=source), "double", None)


async def test_check_needs_the_name_of_the_function(runner: SandboxRunner) -> None:
    with pytest.raises(InputError, match="--entry-point"):
        await runner.check(PythonTests(source=RAN["check(candidate)"]), None, None)


@pytest.mark.parametrize("name", ["f(", "", "a b", "1f", "class", "a.b", "x" * 500 + "("])
async def test_an_entry_point_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="is not a name") as raised:
        required_entry_point("Write f.", PythonTests(source=IMPORT), name)
    assert len(str(raised.value)) < 200


NOTHING_RAN = {
    "all skipped": "import pytest\n@pytest.mark.skip\ndef test_it():\n    assert False",
    "skipped by a call": "import pytest\ndef test_it():\n    pytest.skip('no')",
    "an expected failure": "import pytest\n@pytest.mark.xfail\ndef test_it():\n    assert False",
    "nothing": "x = 1",
    "only a helper": "def helper():\n    assert False",
    "only a lambda": "from solution import double\nsame = lambda x: pytest.fail('no')\nx = [same]",
    "a helper in a try": "try:\n    def helper():\n        assert False\nexcept OSError:\n    pass\n"
    "x = [helper]",
    "the file is skipped": "import pytest\npytest.skip('no', allow_module_level=True)",
    "the file exits": "import sys\nsys.exit(0)\ndef test_it():\n    assert False",
    "a test exits": "import sys\ndef test_it():\n    sys.exit(0)",
    "a test ends its process": "import os\ndef test_it():\n    os._exit(0)",
    "pytest.exit": "import pytest\ndef test_it():\n    pytest.exit('done', 0)",
    "an empty class": "class TestIt:\n    pass",
    "no parameters": "import pytest\n@pytest.mark.parametrize('x', [])\ndef test_it(x):\n    pass",
}


@pytest.mark.parametrize("case", NOTHING_RAN)
async def test_a_program_is_not_right_where_no_test_ran(runner: SandboxRunner, case: str) -> None:
    assert not (await run(runner, RIGHT, NOTHING_RAN[case])).passed


OWN_KINDS = {
    "a dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n"
        "    def __add__(self, other):\n        return P(self.x + other.x)",
        "from solution import P\nassert (P(1) + P(2)).x == 3\nassert isinstance(P(1), P)",
    ),
    "an enum": (
        "import enum\nclass C(enum.Enum):\n    RED = 1\n    BLUE = 2\n"
        "def other(c):\n    return C.BLUE if c is C.RED else C.RED",
        "from solution import C, other\nassert other(C.RED) is C.BLUE\nassert C['RED'] is C.RED\n"
        "assert C(2) is C.BLUE\nassert [c.name for c in C] == ['RED', 'BLUE']\nassert len(C) == 2",
    ),
    "an exception with attributes": (
        "class E(ValueError):\n    def __init__(self, code):\n        super().__init__('bad')\n"
        "        self.code = code\ndef f():\n    raise E(7)",
        "import pytest\nfrom solution import E, f\ndef test_it():\n"
        "    with pytest.raises(E) as told:\n        f()\n    assert told.value.code == 7\n"
        "    assert told.match('bad')\n    with pytest.raises(ValueError):\n        f()",
    ),
    "raises as a call": (
        "def f(x):\n    raise KeyError(x)",
        "import pytest\nfrom solution import f\ndef test_it():\n    pytest.raises(KeyError, f, 1)",
    ),
    "a docstring": (
        "def f():\n    'It does.'",
        "from solution import f\nassert 'does' in f.__doc__",
    ),
    "a signature": (
        "def f(a, b=2, *, c): pass",
        "import inspect\nfrom solution import f\n"
        "assert list(inspect.signature(f).parameters) == ['a', 'b', 'c']\n"
        "assert inspect.signature(f).parameters['b'].default == 2",
    ),
    "type() is": (
        "class A: pass\nclass B(A): pass\ndef f(): return B()",
        "from solution import A, B, f\nassert type(f()) is B\nassert issubclass(B, A)\n"
        "assert isinstance(f(), A)\nassert type(f()) is not A",
    ),
    "a coroutine function": (
        "async def f(x):\n    return 2 * x",
        "import asyncio\nfrom solution import f\nassert asyncio.run(f(2)) == 4\n"
        "async def test_it():\n    assert await f(3) == 6",
    ),
    "a change in place": (
        "def f(xs, key=None):\n    xs.sort()\n    key.append(1)",
        "from solution import f\nxs, key = [2, 1], []\nf(xs, key=key)\nassert xs == [1, 2]\n"
        "assert key == [1]",
    ),
    "the argument itself": (
        "def f(xs):\n    return xs",
        "from solution import f\nxs = [1]\nassert f(xs) is xs",
    ),
    "collections": (
        "from collections import Counter, defaultdict, deque, OrderedDict\n"
        "def f():\n    d = defaultdict(int)\n    d['a'] += 1\n"
        "    return Counter('aab'), d, deque([1], maxlen=2), OrderedDict(a=1)",
        "from solution import f\ncounter, default, queue, ordered = f()\n"
        "assert counter.most_common(1) == [('a', 2)]\nassert default == {'a': 1}\n"
        "assert queue.maxlen == 2\nassert list(ordered) == ['a']",
    ),
    "an array": (
        "import numpy as np\ndef f(n):\n    return np.arange(n)\ndef g(a):\n    a += 1",
        "import numpy as np\nfrom solution import f, g\nassert f(3).tolist() == [0, 1, 2]\n"
        "a = np.zeros(2)\ng(a)\nassert (a == 1).all()\nnp.testing.assert_array_equal(f(2), [0, 1])",
    ),
    "a generator": (
        "def f():\n    n = 0\n    while True:\n        yield n\n        n += 1",
        "from solution import f\nfrom itertools import islice\nassert list(islice(f(), 3)) == [0, 1, 2]",
    ),
    "a function that is given one": (
        "def apply(f, xs):\n    return [f(x) for x in xs]",
        "from solution import apply\nassert apply(lambda x: x + 1, [1, 2]) == [2, 3]",
    ),
    "what it prints": (
        "import sys\ndef f():\n    print('hello')\n    print('oh', file=sys.stderr)",
        "import io, contextlib\nfrom solution import f\ndef test_it(capsys):\n    f()\n"
        "    told = capsys.readouterr()\n    assert told.out == 'hello\\n'\n    assert told.err == 'oh\\n'\n"
        "def test_redirected():\n    with contextlib.redirect_stdout(io.StringIO()) as heard:\n"
        "        f()\n    assert heard.getvalue() == 'hello\\n'",
    ),
    "what it reads": (
        "def f():\n    return input() + input()",
        "import io\nfrom solution import f\ndef test_stdin(monkeypatch):\n"
        "    monkeypatch.setattr('sys.stdin', io.StringIO('a\\nb\\nc\\nd\\n'))\n"
        "    assert f() == 'ab'\n    assert f() == 'cd'\n"
        "def test_input(monkeypatch):\n    told = iter('xy')\n"
        "    monkeypatch.setattr('builtins.input', lambda *_: next(told))\n    assert f() == 'xy'",
    ),
    "files": (
        "def count(path):\n    return len(open(path).read())\ndef write(path):\n    open(path, 'w').write('abc')",
        "from solution import count, write\ndef test_it(tmp_path):\n    path = tmp_path / 'x.txt'\n"
        "    path.write_text('four')\n    assert count(path) == 4\n    assert count(str(path)) == 4\n"
        "    write(path)\n    assert path.read_text() == 'abc'\n"
        "def test_here(tmp_path, monkeypatch):\n    monkeypatch.chdir(tmp_path)\n    write('y')\n"
        "    assert open('y').read() == 'abc'",
    ),
    "the environment": (
        "import os\ndef f():\n    return os.environ.get('KEY')",
        "from solution import f\ndef test_it(monkeypatch):\n    monkeypatch.setenv('KEY', 'v')\n"
        "    assert f() == 'v'\n    monkeypatch.delenv('KEY')\n    assert f() is None",
    ),
    "an object as a context": (
        "class C:\n    def __enter__(self):\n        return 5\n    def __exit__(self, *told):\n"
        "        return False",
        "from solution import C\nwith C() as five:\n    assert five == 5",
    ),
    "static and class methods": (
        "class C:\n    limit = 3\n    @classmethod\n    def make(cls):\n        return cls()\n"
        "    @staticmethod\n    def two():\n        return 2\n    @property\n    def one(self):\n"
        "        return 1",
        "from solution import C\nassert C.two() == 2 and C.limit == 3\nassert C.make().one == 1\n"
        "assert isinstance(C.make(), C)",
    ),
}
"""Right programs with objects, output, input and files of their own, and tests of them."""


@pytest.mark.parametrize("kind", OWN_KINDS)
async def test_a_right_program_passes_whatever_it_is_made_of(
    runner: SandboxRunner, kind: str
) -> None:
    code, source = OWN_KINDS[kind]
    tests = PythonTests(source=source)
    await runner.check(tests, None, None)
    execution = await runner.run(Program(code=code, tests=tests))
    assert [test for test in execution.tests or () if test.status != "passed"] == []


async def test_files_beside_the_tests_come_along(runner: SandboxRunner) -> None:
    source = "import helper\nfrom solution import double\ndef test_it(two):\n"
    source += "    assert double(two) == helper.FOUR\n    assert open('data.txt').read() == 'x'\n"
    files = {
        "conftest.py": "import pytest\n@pytest.fixture\ndef two():\n    return 2\n",
        "helper.py": "FOUR = 4\n",
        "data.txt": "x",
    }
    assert (await run(runner, RIGHT, source, files=files)).passed
    assert not (await run(runner, WRONG + "\nx", source, files=files)).passed


async def test_outcomes_have_pytests_own_names(runner: SandboxRunner) -> None:
    source = f"import pytest\n{IMPORT}assert double(1) == 2\nclass TestIt:\n"
    source += "    @pytest.mark.parametrize('x', [2, 5])\n    def test_it(self, x):\n"
    source += "        assert double(x) == 2 * x\n"
    execution = await run(runner, RIGHT, source, file="test_double.py")
    assert [test.name for test in execution.tests or ()] == [
        "test_double.py::assert double(1) == 2",
        "test_double.py::TestIt::test_it[2]",
        "test_double.py::TestIt::test_it[5]",
    ]


async def test_a_pass_by_the_programs_own_equality_says_so(runner: SandboxRunner) -> None:
    code = "class P:\n    def __init__(self, x): self.x = x\n    def __eq__(self, o): return self.x == o.x\n"
    execution = await run(
        runner, code, "from solution import P\nassert P(1) == P(1)\nassert P(2).x == 2"
    )
    assert execution.passed
    assert [test.word for test in execution.tests or ()] == ["==", ""]
