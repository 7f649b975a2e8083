"""An answer without values is close to nothing: numpy has nothing to compare there."""

import pytest

from opencodeinterpreter.tools.grading.grader import MODULES, grade
from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings

pytest.importorskip("numpy")
pytestmark = pytest.mark.asyncio(loop_scope="module")
SANDBOX_SETTINGS = LocalSandboxSettings(modules=MODULES, preload="numpy")

EMPTY = (
    *("[]", "[[]]", "()", "numpy.array([])", "numpy.zeros((0, 1))", "numpy.zeros((1, 0))"),
    *("range(0)", "collections.deque()", "array.array('d')", "Own()", "Like()"),
)
OWN = """import array, collections, numpy
class Own(list): pass
class Like:
    def __len__(self): return 0
    def __getitem__(self, at): raise IndexError
"""
CHECKS = {
    "a list": "assert numpy.allclose(f(3), [0.5])",
    "a number": "assert numpy.allclose(f(3), 9)",
    "the other side": "assert numpy.allclose(9, f(3))",
    "an array": "assert numpy.allclose(f(3), numpy.array([0.5]))",
    "by name": "assert numpy.allclose(b=[0.5], a=f(3))",
    "one by one": "assert numpy.isclose(f(3), 9).all()",
    "all of it": "assert all(numpy.isclose(f(3), 9, atol=1))",
    "every item": "assert (numpy.asarray(f(3)) == 9).all()",
    "every item, by numpy.all": "assert numpy.all(numpy.array([9.0]) == numpy.asarray(f(3)))",
    "every item, by all": "assert all(numpy.asarray(f(3)) == numpy.array([9.0]))",
    "equivalence": "assert numpy.array_equiv(f(3), 9)",
    "an assertion": "numpy.testing.assert_allclose(f(3), 9)",
    "an assertion by name": "numpy.testing.assert_allclose(actual=f(3), desired=9)",
    "in a dict": "numpy.testing.assert_equal({'a': f(3)}, {'a': 9})",
    "an imported name": "from numpy.testing import assert_array_equal as same\nsame(f(3), 9)",
    "nearly": "numpy.testing.assert_almost_equal(f(3), 9)",
    "arrays nearly": "numpy.testing.assert_array_almost_equal(f(3), 9)",
    "pytest's own": "import pytest\nassert f(3) == pytest.approx(9)",
    "pytest's own, reflected": "import pytest\nassert pytest.approx(9) == f(3)",
}
RIGHT = {
    "nothing and nothing": ("[]", "assert numpy.allclose(f(3), [])"),
    "nothing of two shapes": ("numpy.zeros((1, 0))", "assert numpy.allclose(f(3), [])"),
    "nothing equals nothing": ("numpy.array([])", "assert (f(3) == numpy.array([])).all()"),
    "nothing is below zero": ("numpy.array([])", "assert not (f(3) < 0).any()"),
    "every item": ("numpy.array([9.0])", "assert (f(3) == 9).all() and all(f(3) == [9])"),
    "no differences": ("[]", "assert numpy.allclose(numpy.array(f(3)) - numpy.array([]), 0)"),
    "no errors": ("[]", "numpy.testing.assert_allclose(numpy.array(f(3)) * 2, 0)"),
    "no values below a bound": ("[]", "numpy.testing.assert_array_less(f(3), 5)"),
    "values": ("[9.0]", "assert numpy.allclose(f(3), 9) and numpy.isclose(f(3), [9]).all()"),
    "a tolerance": ("[9.2]", "numpy.testing.assert_allclose(f(3), [9], atol=0.5)"),
    "a text": ("'a'", "numpy.testing.assert_equal(f(3), 'a')"),
    "pytest's own": ("9.0", "import pytest\nassert f(3) == pytest.approx(9)"),
    "a list of pytest's own": ("[]", "import pytest\nassert f(3) == pytest.approx([])"),
    "zeros": ("[0.0]", "assert numpy.allclose(f(3), 0)"),
}


async def passes(sandbox: LocalSandbox, value: str, check: str, *, strict: bool = False) -> bool:
    code = f"import numpy\ndef f(x):\n    return {value}\n"
    tests = PythonTests(source=f"import numpy\nfrom solution import f\n{check}\n")
    return (await grade(sandbox, Program(code=code, tests=tests), strict=strict)).passed


@pytest.mark.parametrize("check", CHECKS)
async def test_an_empty_answer_passes_no_check_of_values(sandbox: LocalSandbox, check: str) -> None:
    code = f"{OWN}def f(at):\n    return [{', '.join(EMPTY)}][at]\n"
    lines = [CHECKS[check].replace("f(3)", f"f({at})") for at in range(len(EMPTY))]
    source = "\n".join(["import numpy", "from solution import f", *lines])
    tests = PythonTests(source=source)
    told = (await grade(sandbox, Program(code=code, tests=tests))).tests or ()
    assert {test.status for test in told} == {"failed"}


@pytest.mark.parametrize("name", RIGHT)
async def test_what_is_rightly_empty_or_close_passes(sandbox: LocalSandbox, name: str) -> None:
    value, check = RIGHT[name]
    assert await passes(sandbox, value, check)


async def test_a_check_of_every_item_tells_that_there_was_none(sandbox: LocalSandbox) -> None:
    check = "assert (f(3) == numpy.array([9.0])).all()"
    source = f"import numpy\nfrom solution import f\n{check}\n"
    for value, told in {"[]": "no values", "[8.0]": "array([8.]) == array([9.])"}.items():
        code = f"import numpy\ndef f(x):\n    return numpy.array({value})\n"
        done = await grade(sandbox, Program(code=code, tests=PythonTests(source=source)))
        outcomes = [*(done.tests or ())]
        assert [each.status for each in outcomes] == ["failed"]
        assert told in outcomes[0].message
        assert "@" not in outcomes[0].message


async def test_strict_grading_has_no_exception_for_zero(sandbox: LocalSandbox) -> None:
    check = "assert numpy.allclose(f(3), 0)"
    assert await passes(sandbox, "[]", check)
    assert not await passes(sandbox, "[]", check, strict=True)
    assert await passes(sandbox, "[0]", check, strict=True)
