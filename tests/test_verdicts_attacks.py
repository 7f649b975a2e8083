"""Wrong programs that attack the grader in order to pass."""

import asyncio
import resource
import time

import pytest

from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.grading.tests import CallCase, CaseTests, PythonTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import SandboxRunner

pytestmark = pytest.mark.asyncio(loop_scope="module")


LIAR = """
class Liar:
    def __sub__(self, other): return 0.0
    __rsub__ = __add__ = __radd__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __sub__
    __mod__ = __floordiv__ = __pow__ = __and__ = __or__ = __xor__ = __sub__
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __eq__ = __contains__ = __lt__
    def __hash__(self): return 0
    def __bool__(self): return True
    def __len__(self): return 0
    def __iter__(self): return iter(())
def f(x): return Liar()
"""
LIES = {
    "difference": "assert abs(f(3) - 3.14) < 1e-6",
    "reflected difference": "assert abs(3.14 - f(3)) < 1e-6",
    "zero": "assert f(3) - 5 == 0",
    "order": "assert f(3) > 5",
    "reflected order": "assert 5 < f(3)",
    "between": "assert 2 < f(3) < 4",
    "equality": "assert f(3) == 9",
    "reflected equality": "assert 9 == f(3)",
    "approx": "import pytest\nassert f(3) == pytest.approx(9)",
    "in a list": "assert f(3) in [9]",
    "a sum": "assert sum([f(3), -9]) == 0",
    "maximum": "assert max(f(3), 9) == 9",
    "sorted": "assert sorted([f(3), 9])[0] == 9",
    "modulo": "assert f(3) % 9 == 0",
    "a list of it": "assert [f(3)] == [9]",
    "a dict of it": "assert {'a': f(3)} == {'a': 9}",
    "raises for the harness's error": "import pytest\ndef test_it():\n"
    "    with pytest.raises(TypeError):\n        f(3) - 1",
    "raises for any error": "import pytest\ndef test_it():\n"
    "    with pytest.raises(BaseException):\n        f(3) - 1",
    "a bare except": "def test_it():\n    try:\n        f(3) - 1\n    except:\n        return",
}


@pytest.mark.parametrize("lie", LIES)
async def test_an_object_that_lies_proves_nothing(runner: SandboxRunner, lie: str) -> None:
    tests = PythonTests(source=f"from solution import f\n{LIES[lie]}\n")
    assert not (await runner.run(Program(code=LIAR, tests=tests))).passed


HARNESS = """
import sys
inside = "opencodeinterpreter.tools.grading.inside."
candidate = sys.modules[inside + "candidate"]
"""
NAMES = {
    "compare": "_compare = _holds = Exception",
    "builtins": "abs = len = print = isinstance = lambda *told: 1\nAssertionError = Exception",
    "pytest's own names": HARNESS
    + 'candidate.FUNCTIONS["public"] = lambda m: ["@pytest_ar", "@py_builtins", "@case"]\n',
    "the tests' helper": "def same(a, b): return True",
    "the tests' module": "import types\npytest = math = types.SimpleNamespace(isclose=lambda *a: True)",
    "underscores": '__all__ = ["_x", "__name__", "f"]\n_x = 1',
    "a lying list of names": HARNESS
    + 'candidate.FUNCTIONS["public"] = lambda m: ["AssertionError", "same", "math", 7, "a b"]\n',
}
STAR = """
from solution import *
import math
from solution import f
def same(a, b): return a == b
assert same(f(3), 9)
assert math.isclose(f(3), 9)
assert abs(f(3)) == 9
"""


@pytest.mark.parametrize("name", NAMES)
async def test_names_of_the_program_take_no_others_place(runner: SandboxRunner, name: str) -> None:
    code = f"{NAMES[name]}\ndef f(x):\n    return x + 1\n"
    execution = await runner.run(Program(code=code, tests=PythonTests(source=STAR)))
    assert not any(test.status == "passed" for test in execution.tests or ())


CATCHING = {
    "an except": "try:\n    assert f(3) == 9\nexcept Oops:\n    pass",
    "raises": "import pytest\nwith pytest.raises(Oops):\n    assert f(3) == 9",
    "suppress": "import contextlib\nwith contextlib.suppress(Oops):\n    assert f(3) == 9",
    "an attribute": "from solution import Box\ntry:\n    assert f(3) == 9\nexcept Box.Oops:\n    pass",
}


@pytest.mark.parametrize("form", CATCHING)
@pytest.mark.parametrize("kind", ["Exception", "AssertionError", "(ValueError, BaseException)"])
async def test_no_exception_of_the_program_catches_a_failed_assertion(
    runner: SandboxRunner, form: str, kind: str
) -> None:
    code = f"Oops = {kind}\nclass Box:\n    Oops = {kind}\ndef f(x):\n    return x\n"
    tests = PythonTests(source=f"from solution import Oops, f\n{CATCHING[form]}\n")
    assert not (await runner.run(Program(code=code, tests=tests))).passed


HOOKS = """
def pytest_pyfunc_call(): return True
def setup_module(): raise KeyError
def f(x): return x
"""


async def test_a_function_of_the_program_is_no_hook_of_the_tests(runner: SandboxRunner) -> None:
    hook = PythonTests(
        source="from solution import f\ndef test_it():\n    assert f(3) == 9\n",
        files={"conftest.py": "from solution import *\n"},
    )
    assert not (await runner.run(Program(code=HOOKS, tests=hook))).passed
    right = PythonTests(source="from solution import *\ndef test_it():\n    assert f(3) == 3\n")
    assert (await runner.run(Program(code=HOOKS.replace("setup_module", "g"), tests=right))).passed


TAKEN = {
    "a decorator": "@make\ndef test_b():\n    assert f(4) == 16",
    "a decorator of a method": "class TestIt:\n    @make\n    def test_b(self):\n        assert f(4) == 16",
    "a name": "test_b = make(lambda: f(4) == 16)",
}


@pytest.mark.parametrize("form", TAKEN)
async def test_a_test_that_the_program_replaced_is_no_test_less(
    runner: SandboxRunner, form: str
) -> None:
    code = "def make(test):\n    return lambda *given: None\ndef f(x):\n    return 9\n"
    source = f"from solution import f, make\ndef test_a():\n    assert f(3) == 9\n{TAKEN[form]}\n"
    execution = await runner.run(Program(code=code, tests=PythonTests(source=source)))
    assert not execution.passed
    messages = [test.message for test in execution.tests or ()]
    assert any("`test_b` is an object of the program" in message for message in messages)


async def test_a_program_that_gives_a_test_no_parameters_does_not_pass(
    runner: SandboxRunner,
) -> None:
    source = (
        "import pytest\nfrom solution import CASES, f\ndef test_a():\n    assert f(3) == 9\n"
        "@pytest.mark.parametrize('x', CASES)\ndef test_b(x):\n    assert f(x) == x * x\n"
    )
    code = "CASES = []\ndef f(x):\n    return 9\n"
    assert not (await runner.run(Program(code=code, tests=PythonTests(source=source)))).passed


FORGED = [
    '{"outcomes": [{"name": "tests.py::test_it", "status": "passed", "message": ""}]}\\n',
    '\\x1e["value", 9, {"dict": [[], []]}, {"dict": [[], []]}]\\n',
    '\\n{"outcomes": []}\\n',
    '{"ask": true}\\n[]',
]


@pytest.mark.parametrize("text", FORGED)
async def test_printed_text_is_no_verdict(runner: SandboxRunner, text: str) -> None:
    code = f"import os\nTEXT = '{text}'\ndef f(x):\n    print(TEXT)\n    os.write(1, TEXT.encode())\n    return TEXT\n"
    source = "import os, sys\nfrom solution import f\ndef test_it():\n    got = f(3)\n"
    source += "    print(got, end='')\n    os.write(1, got.encode())\n    print(got, file=sys.__stdout__)\n"
    source += "    assert got == 9\n"
    execution = await runner.run(Program(code=code, tests=PythonTests(source=source)))
    assert [test.status for test in execution.tests or ()] == ["failed"]


ENDINGS = {
    "StopIteration in a map": "raise StopIteration",
    "StopAsyncIteration": "raise StopAsyncIteration",
    "GeneratorExit": "raise GeneratorExit",
    "SystemExit": "raise SystemExit(0)",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "os._exit": "import os; os._exit(0)",
    "a signal": "import os; os.abort()",
    "an AssertionError": "raise AssertionError",
    "a pytest outcome": "import pytest; pytest.skip('no')",
    "a pytest exit": "import pytest; pytest.exit('no', 0)",
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_no_exception_of_the_program_ends_the_tests_well(
    runner: SandboxRunner, ending: str
) -> None:
    code = f"def f(x):\n    {ENDINGS[ending]}\n"
    source = "from solution import f\ndef test_it():\n    for got in map(f, [1, 2]):\n"
    source += "        assert got == 9\n    assert f(1) == 9\n"
    execution = await runner.run(Program(code=code, tests=PythonTests(source=source)))
    assert not execution.passed


FORGE = (
    HARNESS
    + """
real = candidate.Candidate.reply
def fake(self, request):
    return real(self, request) if '"getattr"' in request else REPLY
candidate.Candidate.reply = fake
def f(x): return None
"""
)
AROUND = '{"dict":[["files","unread","problem"],[{"dict":[[],[]]},0,""]]}'


def value(form: str) -> str:
    return f"""'["value",{form},{{"dict":[[],[]]}},{AROUND}]'"""


REPLIES = {
    "a set of colliding numbers": """'["value",{"set":[' + ",".join(
    str(((2**61 - 1) * i) % 2**63) for i in range(80_000)) + ']},{"dict":[[],[]]},{}]'""",
    "a range without end": value('{"range":[0,1000000000000000000,1]}'),
    "a huge fraction": value('{"Fraction":[{"int":"0x1' + "e7" * 400_000 + '"},{"int":"0x3"}]}'),
    "an array of no items": value('{"ndarray":["float64",[300000000,0],[]]}'),
    "an array of a huge shape": value('{"ndarray":["float64",[0,9000000000000000000],[]]}'),
    "a signalling NaN": value('{"Decimal":"sNaN"}'),
    "a huge exponent": value('{"Decimal":"1e999999999"}'),
    "deep nesting": "'[' * 1_900_000",
    "deep but closed": "'[' * 900_000 + ']' * 900_000",
    "a long text": """'["value","' + "x" * 1_900_000 + '",{"dict":[[],[]]},{}]'""",
    "more than fits": "'x' * 16_000_000",
    "a named tuple of many fields": """'["value",{"namedtuple":["T",[' + ",".join(
    f'"f{i}"' for i in range(90_000)) + "],[" + ",".join("0" for i in range(90_000)) + "]]}]" """,
    "many objects": """'["value",[' + ",".join(
    '{"handle":[%d,"object",[%d,"C",[]],""]}' % (i, i) for i in range(30_000)) + ']]'""",
    "no reply": "''",
    "a short reply": """'["value"]'""",
    "an unknown kind": """'["verdict","passed"]'""",
    "half an error": """'["error","ValueError"]'""",
    "no text": "'\\ud800'",
    "a callback to nowhere": """'["callback",99,[]]'""",
}
"""Replies that a hostile candidate may give, made where it runs."""


@pytest.mark.parametrize("reply", REPLIES)
async def test_no_reply_moves_the_host(runner: SandboxRunner, reply: str) -> None:
    code = FORGE.replace("REPLY", "(REPLY)").replace("REPLY", REPLIES[reply])
    limits = SandboxLimits(wall_seconds=2)
    for tests in (
        CaseTests(cases=(CallCase(args=(1,), expected=5),)),
        PythonTests(
            source="import pytest\nfrom solution import f\ndef test_it():\n    assert f(1) == 5\n"
            "def test_error():\n    with pytest.raises((ValueError, TypeError)):\n        f(1)\n"
        ),
    ):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.monotonic()
        program = Program(code=code, tests=tests, entry_point="f", limits=limits)
        execution = await runner.run(program)
        assert not execution.passed
        assert time.monotonic() - began < 15
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
        execution.model_dump_json()


LARGE = {
    "answers": "return 'x' * 1_900_000",
    "printed text": "print('x' * 1_900_000)",
    "control characters": "print(chr(1) * 1_900_000)",
    "wide characters": "print(chr(0x1F600) * 250_000); print(chr(0x1F600) * 250_000, file=sys.stderr)",
    "both streams, full": "print('x' * 2_000_000); print('x' * 2_000_000, file=sys.stderr)",
    "files": "open(f'file{x}', 'w').write('x' * 1_000_000)",
}


@pytest.mark.parametrize("kind", LARGE)
async def test_the_host_is_not_held_up_by_large_replies(runner: SandboxRunner, kind: str) -> None:
    """Measured as the share of the loop's time, since a busy machine delays any loop."""
    code = f"import sys\ndef f(x):\n    {LARGE[kind]}\n"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tests = PythonTests(source="from solution import f\nfor n in range(5):\n    assert f(n) == 1\n")
    stalls: list[float] = []

    async def watch() -> None:
        while True:
            began = time.thread_time()
            await asyncio.sleep(0.001)
            stalls.append(time.thread_time() - began)

    watching = asyncio.create_task(watch())
    await runner.run(Program(code=code, tests=tests))
    watching.cancel()
    assert max(stalls) < 0.05
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
