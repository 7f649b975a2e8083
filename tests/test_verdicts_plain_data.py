"""Plain data of a class of the program's: its operators are those of plain data, or prove nothing."""

import pytest

from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import SandboxRunner

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def run(runner: SandboxRunner, code: str, source: str) -> Execution:
    return await runner.run(Program(code=code, tests=PythonTests(source=source)))


SLY = """
class Sly:
    def __init__(self, other=None): self.other = other
    def __sub__(self, other): return Sly(other)
    __rsub__ = __add__ = __radd__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __sub__
    __mod__ = __floordiv__ = __pow__ = __and__ = __or__ = __xor__ = __iadd__ = __isub__ = __sub__
    def __abs__(self): return 0.0
    def __bool__(self): return False
    def __float__(self): return 0.0
    __complex__ = __float__
    def __int__(self): return 0
    __index__ = __len__ = __round__ = __neg__ = __pos__ = __invert__ = __hash__ = __int__
    def __getitem__(self, at): return 0
    def __iter__(self): return iter([0])
    def __str__(self): return "0"
    __repr__ = __str__
    def __format__(self, spec): return "0"
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __contains__ = __lt__
    def is_integer(self): return True
    def max(self): return 0
    all = any = max
def f(x): return MADE
"""
DIFFERENCES = {
    "abs": "abs(f(3) - 9) < 1e-6",
    "reflected abs": "abs(9 - f(3)) < 1e-6",
    "a truth": "not (f(3) - 9)",
    "a float": "float(f(3) - 9) == 0",
    "an int": "int(f(3) % 9) == 0",
    "an index": "[True][f(3) - 9]",
    "a round": "round(f(3) - 9) == 0",
    "a sign": "-(f(3) - 9) == 0",
    "a square": "abs((f(3) - 9) ** 2) < 1e-6",
    "a sum": "abs(sum([f(3), -9])) == 0",
    "a length": "len(f(3) - 9) == 0",
    "an item": "(f(3) - 9)[0] == 0",
    "items": "all(x == 0 for x in f(3) - 9)",
    "a text": "str(f(3) - 9) == '0'",
    "a format": "f'{f(3) - 9:.2f}' in ('0', '0.00')",
    "an order": "(f(3) - 9) < f(4)",
    "a member": "f(4) in (f(3) - 9)",
    "a method of numbers": "(f(3) / 9).is_integer()",
    "a method of arrays": "(f(3) - 9).max() == 0",
    "all of them": "(f(3) - 9).all() == 0",
    "a hash": "hash(f(3) - 9) == 0",
    "a difference of differences": "abs((f(3) - 9) - (f(3) - 9)) < 1e-6",
    "a difference in steps": "abs(f(3) - 9 - 0) < 1e-6",
    "isclose": "__import__('math').isclose(f(3) - 9, 0)",
    "a scaled one": "abs(2 * f(3) - 18) < 1e-6",
}


@pytest.mark.parametrize("made", ["Sly()", "SAME", "[Sly()][0]"])
async def test_what_comes_of_plain_data_proves_nothing(runner: SandboxRunner, made: str) -> None:
    code = SLY.replace("MADE", made) + "SAME = Sly()\n"
    checks = [f"def test_{n}():\n    assert {text}" for n, text in enumerate(DIFFERENCES.values())]
    execution = await run(runner, code, "\n".join(["from solution import f", *checks]))
    outcomes = zip(DIFFERENCES, execution.tests or (), strict=True)
    assert {name for name, test in outcomes if test.status == "passed"} == set()


LYING = """
def always(value):
    return lambda *told, **named: value
class Lying(KIND):
    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __ne__ = __contains__ = __bool__ = always(True)
    __len__ = __int__ = __index__ = __abs__ = __round__ = __neg__ = __getitem__ = always(9)
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __mod__ = always(0)
    __float__ = always(9.0)
    __str__ = __repr__ = __format__ = always("9")
    __iter__ = always(iter([9, 9]))
    __hash__ = always(hash(9))
    startswith = endswith = isdigit = is_integer = issubset = isdisjoint = always(True)
    count = index = find = pop = get = bit_length = always(9)
    keys = values = items = copy = always([9])
    strip = lower = upper = format = join = replace = hex = always("9")
def f(x): return Lying(VALUE)
"""
VALUES = {"int": "5", "float": "5.5", "str": "'5'", "bytes": "b'5'", "list": "[5]"} | {
    "tuple": "(5,)",
    "dict": "{5: 5}",
    "set": "{5}",
    "frozenset": "[5]",
}
PLAIN_CHECKS = [
    "f(3) == 9",
    "9 == f(3)",
    "f(3) != f(3)",
    "f(3) > 9",
    "abs(f(3) - 9) < 1e-6",
    "int(f(3)) == 9",
    "float(f(3)) == 9",
    "str(f(3)) == '9'",
    "f'{f(3)}' == '9'",
    "repr(f(3)) == '9'",
    "len(f(3)) == 9",
    "9 in f(3)",
    "list(f(3)) == [9, 9]",
    "f(3)[0] == 9",
    "hash(f(3)) == hash(9)",
    "f(3).count(9) == 9",
    "f(3).index(9) == 9",
    "f(3).pop() == 9",
    "f(3).get(9) == 9",
    "f(3).startswith('9')",
    "f(3).issubset({9})",
    "f(3).bit_length() == 9",
    "list(f(3).keys()) == [9]",
    "f(3).strip() == '9'",
    "f(3) in (9, [9], '9')",
    "{9: 1}[f(3)] == 1",
    "round(f(3)) == 9",
    "sum([f(3)]) == 9",
    "sorted([f(3), 9])[0] == 9",
]


@pytest.mark.parametrize("kind", VALUES)
async def test_a_lying_subclass_is_the_plain_data_in_it(runner: SandboxRunner, kind: str) -> None:
    code = LYING.replace("KIND", kind).replace("VALUE", VALUES[kind])
    checks = [f"def test_{n}():\n    assert {text}" for n, text in enumerate(PLAIN_CHECKS)]
    execution = await run(runner, code, "\n".join(["from solution import f", *checks]))
    outcomes = zip(PLAIN_CHECKS, execution.tests or (), strict=True)
    assert {text for text, test in outcomes if test.status == "passed"} == set()
