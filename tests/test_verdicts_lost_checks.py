"""No check of a test is lost, whatever the program swallows: in a `with`, in a call back."""

import pytest

from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import SandboxRunner

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def run(runner: SandboxRunner, code: str, source: str) -> Execution:
    return await runner.run(Program(code=code, tests=PythonTests(source=source)))


def functions(bodies: dict[str, str], asynchronous: str = "") -> str:
    """Return a file with a test function for each body."""
    found = ["import contextlib, unittest, pytest", "from solution import f"]
    helpers = ["def same(a, b):\n    assert a == b", "def looks(n):\n    x = n.foo\n    assert x"]
    text = "".join(bodies.values())
    # One that nothing calls would be refused.
    found += [helper for helper in helpers if helper[4:8] in text]
    found.append("class Own(Exception): pass\ntc = unittest.TestCase()")
    for number, body in enumerate(bodies.values()):
        lines = body.replace("\n", "\n    ")
        found.append(f"{asynchronous}def test_{number}():\n    {lines}")
    return "\n".join(found)


def statuses(execution: Execution, names: dict[str, str]) -> dict[str, str]:
    return dict(zip(names, [test.status for test in execution.tests or ()], strict=True))


MANAGERS = {
    "a class": "class f:\n    def __init__(self, x): pass\n    def __enter__(self): return 5\n"
    "    def __exit__(self, *told): return True",
    "a truthy answer": "class W:\n    def __enter__(self): return 5\n"
    "    def __exit__(self, *told): return 'yes'\ndef f(x): return W()",
    "a generator": "import contextlib\n@contextlib.contextmanager\ndef f(x):\n    try: yield 5\n"
    "    except BaseException: pass",
    "a generator with finally": "import contextlib\n@contextlib.contextmanager\ndef f(x):\n"
    "    while True:\n        try:\n            yield 5\n        finally:\n            return",
    "a stack": "import contextlib\ndef f(x):\n    stack = contextlib.ExitStack()\n"
    "    stack.enter_context(contextlib.suppress(BaseException))\n    stack.__enter__ = None\n"
    "    class W:\n        def __enter__(self): return 5\n"
    "        def __exit__(self, *told): return stack.__exit__(*told) or True\n    return W()",
}
BLOCKS = {
    "an assertion": "with f(1) as n:\n    assert n == 9",
    "one of unittest": "with f(1) as n:\n    tc.assertEqual(n, 9)",
    "one in a helper": "with f(1) as n:\n    same(n, 9)",
    "an error in the assertion": "with f(1) as n:\n    assert n[0] == 9",
    "an error before it": "with f(1) as n:\n    n = n[0]\n    assert n == 9",
    "an error in a helper": "with f(1) as n:\n    looks(n)",
    "an error in a loop": "with f(1) as n:\n    for x in (5, 9):\n        assert x == n\n        int('a')",
    "pytest.fail": "with f(1) as n:\n    if n != 9: pytest.fail('no')",
    "pytest.raises": "with f(1) as n:\n    n.foo\n    with pytest.raises(KeyError): n[9]",
    "nothing raised": "with f(1) as n:\n    with pytest.raises(KeyError): str(n)",
    "a raise under a condition": "with f(1) as n:\n    if n != 9: raise ValueError(n)",
    "another one before it": "with f(1), f(2) as n:\n    assert n == 9",
    "an inner one": "with f(1) as n:\n    with f(2):\n        assert n == 9",
    "a block around": "with f(1) as n:\n    with contextlib.nullcontext():\n        assert n == 9",
    "in a stack": "with contextlib.ExitStack() as s:\n    n = s.enter_context(f(1))\n    assert n == 9",
    "an expected value of its own": "with f(1) as n:\n    assert {1: 2}[n] == 9",
    "a comprehension": "with f(1) as n:\n    assert [x for x in n] == [9]",
    "an assertion by hand": "with f(1) as n:\n    if n != 9: raise AssertionError",
    "after another error": "with f(1) as n:\n    try:\n        n[0]\n    finally:\n        assert n == 9",
}
SWALLOWED_RIGHTLY = {
    "a raise": "with f(1):\n    raise ValueError('x')",
    "an error": "with f(1):\n    1 / 0",
    "an error after the assertion": "with f(1) as n:\n    assert n == 5\n    int('x')",
    "none": "with f(1) as n:\n    assert n == 5",
}


@pytest.mark.parametrize("manager", MANAGERS)
async def test_no_exit_swallows_a_check(runner: SandboxRunner, manager: str) -> None:
    found = statuses(await run(runner, MANAGERS[manager], functions(BLOCKS)), BLOCKS)
    assert {name for name, status in found.items() if status not in ("failed", "error")} == set()


@pytest.mark.parametrize("manager", MANAGERS)
async def test_an_exit_may_swallow_what_is_no_check(runner: SandboxRunner, manager: str) -> None:
    source = functions(SWALLOWED_RIGHTLY)
    found = statuses(await run(runner, MANAGERS[manager], source), SWALLOWED_RIGHTLY)
    assert set(found.values()) == {"passed"}


@pytest.mark.parametrize("manager", MANAGERS)
async def test_no_exit_swallows_a_check_at_the_top_of_the_file(
    runner: SandboxRunner, manager: str
) -> None:
    source = "from solution import f\nwith f(1) as n: assert n == 9\n"
    assert not (await run(runner, MANAGERS[manager], source)).passed


async def test_an_exit_is_told_of_the_exception(runner: SandboxRunner) -> None:
    code = "told = []\nclass f:\n    def __enter__(self): return self\n"
    code += "    def __exit__(self, kind, error, trace): told.append((kind, str(error)))\n"
    source = "import pytest\nimport solution\nfrom solution import f\ndef test_it():\n"
    source += (
        "    with pytest.raises(KeyError):\n        with f():\n            raise KeyError('k')\n"
    )
    told = "solution.told"
    source += (
        f"    assert [(kind is KeyError, text) for kind, text in {told}] == [(True, \"'k'\")]\n"
    )
    execution = await run(runner, code, source)
    assert [test for test in execution.tests or () if test.status != "passed"] == []


ELSEWHERE = {
    "a thread": "def check(): assert f(3) == 9\nt = threading.Thread(target=check)\nt.start()\nt.join()",
    "a thread with unittest": "t = threading.Thread(target=lambda: tc.assertEqual(f(3), 9))\n"
    "t.start()\nt.join()",
    "an executor": "def check(): assert f(3) == 9\nwith futures.ThreadPoolExecutor() as e:\n"
    "    e.submit(check)",
    "a task": "async def check(): assert f(3) == 9\nasync def main():\n"
    "    asyncio.create_task(check())\n    await asyncio.sleep(0)\nasyncio.run(main())",
    "gathered tasks": "async def check(): assert f(3) == 9\nasync def main():\n"
    "    await asyncio.gather(check(), return_exceptions=True)\nasyncio.run(main())",
    "a __del__": "class D:\n    def __del__(self): assert f(3) == 9\nd = D()\ndel d",
}
"""Checks that fail where nobody hears of it."""


async def test_a_check_that_fails_elsewhere_fails_its_test(runner: SandboxRunner) -> None:
    imports = "import asyncio, threading\nfrom concurrent import futures\n"
    execution = await run(runner, "def f(x): return x", imports + functions(ELSEWHERE))
    assert set(statuses(execution, ELSEWHERE).values()) <= {"failed", "error"}
    right = await run(runner, "def f(x): return 9", imports + functions(ELSEWHERE))
    assert right.passed


CALLERS = {
    "all": "def f(g, *xs):\n    try: return g(5)\n    except BaseException: return 9",
    "exceptions": "def f(g, *xs):\n    try: return g(5)\n    except Exception: return 9",
    "in a map": "def f(g, *xs):\n    it = map(g, [5])\n    try: return list(it)\n"
    "    except BaseException: return list(it)",
    "in a finally": "def f(g, *xs):\n    try:\n        g(5)\n    finally:\n        return 9",
    "in a suppress": "import contextlib\ndef f(g, *xs):\n    with contextlib.suppress(BaseException):\n"
    "        g(5)\n    return 9",
    "in a generator": "def f(g, *xs):\n    def each():\n        try: yield g(5)\n"
    "        except BaseException: yield 9\n    return list(each())",
    "as another": "def f(g, *xs):\n    try: g(5)\n    except BaseException: raise KeyError from None",
}
CALLED = {
    "an assertion": "def g(x): assert x == 7\nwith contextlib.suppress(KeyError): f(g)",
    "one of unittest": "with contextlib.suppress(KeyError): f(lambda x: tc.assertEqual(x, 7))",
    "pytest.fail": "def g(x): pytest.fail('no')\nwith contextlib.suppress(KeyError): f(g)",
    "pytest.skip": "def g(x): pytest.skip('no')\nwith contextlib.suppress(KeyError): f(g)",
    "an exit": "def g(x): raise SystemExit\nwith contextlib.suppress(KeyError): f(g)",
    "an error in it": "def g(x): assert x.foo == 7\nwith contextlib.suppress(KeyError): f(g)",
    "an error before it": "def g(x):\n    x = x[0]\n    assert x\nwith contextlib.suppress(KeyError): f(g)",
    "in a helper": "with contextlib.suppress(KeyError): f(lambda x: same(x, 7))",
    "an error in a helper": "with contextlib.suppress(KeyError): f(looks)",
    "by its name": "with contextlib.suppress(KeyError): f(g=lambda x: same(x, 7))",
    "in a method": "class G:\n    def m(self, x): assert x == 7\nwith contextlib.suppress(KeyError): f(G().m)",
}


@pytest.mark.parametrize("caller", CALLERS)
async def test_no_caller_swallows_a_check(runner: SandboxRunner, caller: str) -> None:
    found = statuses(await run(runner, CALLERS[caller], functions(CALLED)), CALLED)
    assert {name for name, status in found.items() if status not in ("failed", "error")} == set()


@pytest.mark.parametrize("caller", CALLERS)
async def test_no_caller_swallows_a_check_at_the_top_of_the_file(
    runner: SandboxRunner, caller: str
) -> None:
    source = "from solution import f\ndef g(x): assert x == 7\ntry: f(g)\nexcept KeyError: pass\n"
    assert not (await run(runner, CALLERS[caller], source)).passed
    source = "from solution import f\ndef g(x): assert x == 7\nassert True\nmany = [f] and f(g)\n"
    assert not (await run(runner, CALLERS[caller], source)).passed


EXPECTED_BACK = {
    "a built-in one": "def g(x): raise ValueError(x)\nwith pytest.raises(ValueError, match='5'): f(g)",
    "one of the tests' own": "def g(x): raise Own(x)\nwith pytest.raises(Own, match='5'): f(g)",
    "the same object": "mine = Own('x')\ndef g(x): raise mine\n"
    "with pytest.raises(Own) as told: f(g)\nassert told.value is mine",
    "under a condition": "def g(x):\n    if x == 5: raise LookupError\n    return 1\n"
    "with pytest.raises(LookupError): f(g)",
    "an error": "with pytest.raises(ZeroDivisionError): f(lambda x: x / 0)",
    "with arguments": "def g(x): raise OSError(2, 'no file')\n"
    "with pytest.raises(OSError) as told: f(g)\nassert told.value.errno == 2",
}


async def test_what_a_test_raises_comes_back(runner: SandboxRunner) -> None:
    execution = await run(runner, "def f(g):\n    return g(5)\n", functions(EXPECTED_BACK))
    assert [test for test in execution.tests or () if test.status != "passed"] == []


async def test_a_program_may_handle_what_a_test_raises(runner: SandboxRunner) -> None:
    code = "def f(g):\n    for n in range(9):\n        try: return g(n)\n        except OSError: pass\n"
    source = (
        "from solution import f\ndef test_it():\n    def g(n):\n        if n < 3: raise OSError\n"
    )
    source += "        return n\n    assert f(g) == 3\n"
    assert (await run(runner, code, source)).passed


SWALLOWING = (
    "async def run(work):\n    try: return await work\n    except BaseException: return None\n"
    "async def read(works):\n    try:\n        async for _ in works: pass\n"
    "    except BaseException: pass\n"
)


SAFE = "def safe(g):\n    def w(*given): return None\n    return w\ndef f(x): return x + 1"
DECORATED = {
    "a static method": "class TestIt:\n    @staticmethod\n    @safe\n    def test_it():",
    "a method of the class": "class TestIt:\n    @classmethod\n    @safe\n    def test_it(cls):",
    "a method": "class TestIt:\n    @safe\n    def test_it(self):",
    "one of unittest": "class T(unittest.TestCase):\n    @safe\n    def test_it(self):",
    "a static one of unittest": "class T(unittest.TestCase):\n    @staticmethod\n    @safe\n"
    "    def test_it():",
    "below another decorator": "class TestIt:\n    @mine\n    @safe\n    def test_it(self):",
}
HELPING = {
    "a helper": "@safe\ndef check():\n    assert f(3) == 9\ndef test_it(): check()",
    "a partial function": "@safe\ndef check():\n    assert f(3) == 9\n"
    "test_it = functools.partial(check)",
    "a helping method": "class TestIt:\n    @safe\n    def check(self):\n        assert f(3) == 9\n"
    "    def test_it(self): self.check()",
}


@pytest.mark.parametrize("form", [*DECORATED, *HELPING])
async def test_no_decorator_of_the_program_drops_a_check(runner: SandboxRunner, form: str) -> None:
    source = "import functools, unittest\nfrom solution import f, safe\ndef mine(g):\n"
    source += "    @functools.wraps(g)\n    def w(self): return g(self)\n    return w\n"
    if form in DECORATED:
        line = DECORATED[form].splitlines()[-1]
        indented = " " * (len(line) - len(line.lstrip()) + 4)
        source += f"{DECORATED[form]}\n{indented}assert f(3) == 9\n"
    else:
        source += HELPING[form]
    assert not (await run(runner, SAFE, source)).passed


AWAITED = {
    "run(check())": "async def check(): self.assertEqual(3, 9)",
    "read(checks())": "async def checks():\n            yield 1\n            self.assertEqual(3, 9)",
}


@pytest.mark.parametrize("call", AWAITED)
async def test_no_coroutine_swallows_a_check(runner: SandboxRunner, call: str) -> None:
    source = (
        "import unittest\nfrom solution import read, run\n"
        "class TestIt(unittest.IsolatedAsyncioTestCase):\n    async def test_it(self):\n"
        f"        {AWAITED[call]}\n        await {call}\n"
    )
    execution = await run(runner, SWALLOWING, source)
    assert [test.status for test in execution.tests or ()] == ["failed"]
