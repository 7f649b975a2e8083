"""Answers that are made to exhaust, crash or deceive whoever reads and compares them.

They come in two sizes. Short ones are told with all others. Long ones (16 MB) are asked for by
themselves, since they claim the type and length of a right answer that is too long to be told. None
is right, none costs the host more than a bounded amount of memory and of its loop's time, and the
next program is graded as ever.
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.tools.benchmarks.grading import MODULES
from opencodeinterpreter.tools.benchmarks.tasks import Benchmark, InputTask
from opencodeinterpreter.tools.benchmarks.truth import TruthStore
from opencodeinterpreter.tools.benchmarks.verdicts import SetVerdict, grade_solution
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")

SANDBOX_SETTINGS = LocalSandboxSettings(concurrency=4, preload="numpy", modules=MODULES)
MEMORY = 64 << 20
STALL = 0.05
"""Seconds of processor time between two turns of the loop, which no other process lengthens."""

SHORT, LONG = 60_000, 16 << 20
RIGHT = "def f(n):\n    return [0.5] * n\n"
ITEMS = {SHORT: 4, LONG: 20_000}

ANSWERS: dict[str, str] = {
    "a range of a hundred million": """'[{"range":[0,100000000,1]}]'""",
    "as many ranges as items": """items('{"range":[0,100000000,1]}')""",
    "a range of more than can be counted": """items('{"range":[0,9223372036854775807,1]}')""",
    "numbers that collide in a set": """'{"set":%s}' % colliding()""",
    "numbers that collide in a frozenset": """'{"frozenset":%s}' % colliding()""",
    "numbers that collide in a dict": """'{"dict":[%s,%s]}' % (colliding(2), colliding(2))""",
    "numbers that collide in a Counter": """'{"Counter":[%s,%s]}' % (colliding(2), colliding(2))""",
    "numbers that collide in keys": """'{"keys":%s}' % colliding()""",
    "a Fraction that takes long to reduce": """'{"Fraction":[%s,%s]}' % (big("e7"), big("b3"))""",
    "a Fraction of nothing": """'{"Fraction":[1,0]}'""",
    "an array of a huge and an empty side": """'{"ndarray":["float64",[300000000,0],[]]}'""",
    "arrays of a huge and an empty side": (
        """items('{"ndarray":["object",[0,999999999999],[]]}')"""
    ),
    "an array of a hundred dimensions": """'{"ndarray":["float64",%s,[0.5]]}' % ([1] * 100)""",
    "an array of ranges": """'{"ndarray":["object",[1],[{"range":[0,100000000,1]}]]}'""",
    "an array of half floats that are none": """items('{"numpy":["float16",1e308]}')""",
    "an array of text": """'{"ndarray":["str",[1,1],["%s"]]}' % ("x" * SIZE)""",
    "a long string": """'"%s"' % ("x" * SIZE)""",
    "a long string of escapes": r"""'"%s"' % ("\\u0000" * (SIZE // 6))""",
    "a string with one wide character": r"""'"%s"' % ("x" * SIZE + "\\ud83d\\ude00")""",
    "text that is not ASCII": """"\\"%s\\"" % ("\\N{GRINNING FACE}" * (SIZE // 4))""",
    "a named tuple of many fields": (
        """'{"namedtuple":["N",[%s],[%s]]}'"""
        """ % (many('"f%d"', 12), ",".join(["1"] * (SIZE // 12)))"""
    ),
    "many named tuples": """'[%s]' % many('{"namedtuple":["N%d",["a"],[1]]}', 36)""",
    "a named tuple of methods": """'{"namedtuple":["N",["index","count"],[0.5,0.5]]}'""",
    "a number that signals": """items('{"Decimal":"sNaN"}')""",
    "a number with a huge exponent": """items('{"Decimal":"1E+999999999999999999"}')""",
    "a number of many digits": """'{"Decimal":"%s"}' % ("7" * SIZE)""",
    "lists within lists": """'[' * (SIZE // 2) + ']' * (SIZE // 2)""",
    "tuples within tuples": """'{"tuple":[' * (SIZE // 12) + ']}' * (SIZE // 12)""",
    "sets within sets": """'{"frozenset":[' * (SIZE // 18) + ']}' * (SIZE // 18)""",
    "an integer in decimal": """'1' * SIZE""",
    "an integer in hexadecimal": """'[%s]' % big("f0")""",
    "a float of many digits": """'[0.%s]' % ("5" * SIZE)""",
    "bytes": """'{"bytes":"%s"}' % ("AAAA" * (SIZE // 4))""",
    "bytes that are none": """'{"bytes":"%s"}' % ("=" * SIZE)""",
    "a deque of many ends": """items('{"deque":[[0.5],0]}')""",
    "lists of nothing": """'[%s]' % many('[]', 3)""",
    "as many empty lists as items": """items('[]')""",
    "one empty list for each shape": """'[[[[]]]]'""",
    "dicts of nothing": """'[%s]' % many('{"dict":[[],[]]}', 18)""",
    "no numbers": """items('NaN')""",
    "numbers without end": """items('1e999')""",
    "keys that look alike": """'{"dict":[["0",0],[0.5,0.5]]}'""",
    "a key that is a list": """'{"dict":[[[]],[1]]}'""",
    "a time beyond time": """items('{"timedelta":[999999999999,0,0]}')""",
    "a date that is none": """items('{"date":"9999-99-99"}')""",
    "a claim of a claim": """items('{"long":["float",-1,true,"0"]}')""",
    "a type of no name": """'{"%s":1}' % ("t" * SIZE)""",
    "a type of two names": """'{"tuple":[],"list":[]}'""",
    "text that ends too early": """'[0.5,'""",
    "the end of another line": """'0.5],[0.5'""",
    "other lines within": r"""'0.5]\r\n\r1\n' + '[0,1,"value",0.1,7]\n' * (SIZE // 20)""",
    "empty lines": r"""'\n' * SIZE""",
    "characters that are no text": r"""'[\x00\x1b%s]' % ("\x7f" * SIZE)""",
}

FORGING = """
import sys
SIZE, ITEMS = {size}, {items}
wire = sys.modules["opencodeinterpreter.tools.grading.inside.wire"]

def items(text):
    return "[" + ",".join([text] * ITEMS) + "]"

def many(form, size):
    return ",".join(form % at if "%" in form else form for at in range(SIZE // size))

def colliding(parts=1):
    count = SIZE // 40 // parts
    return "[" + ",".join('{{"int":"%#x"}}' % ((1 << 61) - 1 << at % 90 | 0) if at < 90
        else '{{"int":"%#x"}}' % (at * ((1 << 61) - 1)) for at in range(count)) + "]"

def big(digits):
    return '{{"int":"0x1%s"}}' % (digits * (SIZE // 4))

def f(n):
    return None

claim = '{{"long":["list",%d,true,"%s"]}}' % (ITEMS, "0" * 64)
wire.Writer.text = lambda self, value: {text}
wire.Writer.short_text = lambda self, value, most: claim if {long} else {text}
"""


def hostile(text: str, size: int) -> str:
    return FORGING.format(text=text, size=size, items=ITEMS[size], long=size == LONG)


@asynccontextmanager
async def bounded() -> AsyncIterator[None]:
    """Fail if the host takes much memory meanwhile, or a turn of its loop much time."""
    # What pytest has made until now is not to be collected meanwhile.
    gc.collect()
    gc.disable()
    # This resets the peak.
    Path("/proc/self/clear_refs").write_text("5")
    before = _kilobytes("VmRSS")
    turns: list[float] = []

    async def beat() -> None:
        last = time.process_time()
        while True:
            await asyncio.sleep(0.002)
            now = time.process_time()
            turns.append(now - last)
            last = now

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        gc.enable()
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
    assert (_kilobytes("VmHWM") - before) << 10 < MEMORY
    assert max(turns, default=0.0) < STALL


def _kilobytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def task(reference: str, *inputs: list[Any], atol: float = 0) -> InputTask:
    return InputTask(
        task_id="Own/1",
        prompt="",
        entry_point="f",
        reference=reference,
        base_input=[*inputs],
        plus_input=[],
        atol=atol,
    )


Grade = Callable[..., Any]


@pytest.fixture(scope="module")
def grade(sandbox: LocalSandbox, tmp_path_factory: pytest.TempPathFactory) -> Grade:
    """Grades a program on base inputs, and keeps right outputs for the whole file."""
    folder = tmp_path_factory.mktemp("truth")

    async def graded(given: InputTask, code: str, *, stop_early: bool = True) -> SetVerdict:
        kept = folder / f"{abs(hash(repr(given)))}"
        own = Benchmark("humaneval+", "0" * 64, "", {given.task_id: given})
        truth = await TruthStore(own, kept).truth(sandbox, given)
        base, _ = await grade_solution(sandbox, given, truth, code, stop_early=stop_early)
        return base

    return graded


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_hostile_answer_is_wrong_and_bounded(grade: Grade, name: str) -> None:
    given = task(RIGHT, [ITEMS[SHORT]])
    await grade(given, RIGHT)
    async with bounded():
        verdict = await grade(given, hostile(ANSWERS[name], SHORT))
    assert verdict.status != "pass"
    assert (await grade(given, RIGHT)).status == "pass"


@pytest.mark.slow
@pytest.mark.parametrize("name", ANSWERS)
async def test_a_long_hostile_answer_is_wrong_and_bounded(grade: Grade, name: str) -> None:
    given = task(RIGHT, [ITEMS[LONG]])
    await grade(given, RIGHT)
    async with bounded():
        verdict = await grade(given, hostile(ANSWERS[name], LONG))
    assert verdict.status != "pass"
    assert (await grade(given, RIGHT)).status == "pass"


@pytest.mark.parametrize("name", ["lists of nothing", "a long string of escapes", "empty lines"])
async def test_some_long_hostile_answers_are_bounded(grade: Grade, name: str) -> None:
    given = task(RIGHT, [ITEMS[LONG]])
    await grade(given, RIGHT)
    async with bounded():
        verdict = await grade(given, hostile(ANSWERS[name], LONG))
    assert verdict.status != "pass"


@pytest.mark.parametrize("name", ["a range of a hundred million", "numbers that collide in a set"])
async def test_every_input_may_be_answered_so_where_all_are_looked_at(
    grade: Grade, name: str
) -> None:
    given = task(RIGHT, *[[ITEMS[SHORT]]] * 2)
    await grade(given, RIGHT)
    async with bounded():
        verdict = await grade(given, hostile(ANSWERS[name], SHORT), stop_early=False)
    assert not any(verdict.right)


EXHAUSTING = hostile("""'{"range": [0,%d,1]}' % (value if value > 1 else 300_000_000)""", SHORT)
"""Answers with a range, in other words than the right one; where it would be short, a huge one."""
RANGES = "def f(n):\n    return range(n)\n"


async def test_what_exhausts_the_examiner_fails_for_that_reason(grade: Grade) -> None:
    code = f"{EXHAUSTING}def f(n):\n    return n\n"
    verdict = await grade(task(RANGES, [2], [1], atol=1e-4), code)
    assert (verdict.status, [*verdict.right]) == ("fail", [True, False])
    assert verdict.reason == "input 2: comparing the output took more than 1024 MiB"


async def test_answers_beside_one_that_exhausts_the_examiner_are_compared(grade: Grade) -> None:
    code = f"{EXHAUSTING}def f(n):\n    return n\n"
    given = task(RANGES, [1], [2], [3], [4], atol=1e-4)
    verdict = await grade(given, code, stop_early=False)
    assert [*verdict.right] == [False, True, True, True]


async def test_a_short_integer_is_wrong_where_a_long_one_is_right(grade: Grade) -> None:
    given = task("def f(n):\n    return 3 ** n\n", [60_000])
    for answer, status in (("3 ** n", "pass"), ("3 ** n + 1", "fail"), ("5", "fail")):
        verdict = await grade(given, f"def f(n):\n    return {answer}\n")
        assert (verdict.status, verdict.reason) == (status, "")


LINE = '[0,0,"value",{seconds},{text}]'
CLAIMS = {
    "a time over the limit": ("9.0", False),
    "a time without end": ("1e999", False),
    "a time below nothing": ("-0.5", False),
    "a time that is no number": ("NaN", False),
    "a time in words": ('"0.1"', False),
    "a time within the limit": ("0.9", True),
}


@pytest.mark.parametrize(("seconds", "right"), CLAIMS.values(), ids=CLAIMS)
@pytest.mark.parametrize("text", ["[0.5]", "[0.50000001]"])
async def test_a_claimed_time_over_the_limit_is_a_failure(
    grade: Grade, seconds: str, right: bool, text: str
) -> None:
    code = hostile("''", SHORT) + (
        "callee = sys.modules['opencodeinterpreter.tools.benchmarks.inside.callee']\n"
        "tell = callee._Told.tell\n"
        f"forged = {LINE.format(seconds=seconds, text=text)!r}\n"
        "callee._Told.tell = lambda self, line: "
        "tell(self, forged if line.startswith('[0,0,') else line)\n"
    )
    verdict = await grade(task(RIGHT, [1]), code)
    assert (verdict.status == "pass") == right


FLOOD = """
import os, sys
def flood(line):
    while True:
        for descriptor in range(4, 12):
            try: os.write(descriptor, line)
            except OSError: pass
def f(n):
    flood({line!r})
"""
FLOODS = {
    "no end of a line": b"x" * 60_000,
    "lines of nothing": b"\n" * 60_000,
    "bytes that are no text": b"\xff" * 60_000,
    "calls that are not there": b'[0,999,"value",0.1,5]\n' * 3000,
    "calls that were told already": b'[0,0,"value",0.1,5]\n' * 3000,
    "sets that are not there": b'[1,0,"value",0.1,5]\n' * 3000,
    "numbers of calls": b"".join(b'[0,%d,"value",0.1,5]\n' % at for at in range(3000)),
    "starts of a set": b'[0,-2,"value",0.1,null]\n' * 3000,
    "beginnings of claims": b'[0,1,"value",0.1,' * 3000,
}


@pytest.mark.parametrize("line", FLOODS.values(), ids=FLOODS)
async def test_a_flood_of_lines_is_bounded(grade: Grade, line: bytes) -> None:
    given = task("def f(n):\n    return n\n", [1], [2], [3])
    await grade(given, "def f(n):\n    return n\n")
    async with bounded():
        verdict = await grade(given, FLOOD.format(line=line), stop_early=False)
    assert verdict.status != "pass"


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("[0.5]", "[[]]"),
        ("[0.5, 0.5]", "[[0.5], [0.5]]"),
        ("[0.5, 0.25]", "[[], []]"),
        ("(0.5,)", "([],)"),
        ("0.5", "[]"),
        ("0.5", "__import__('numpy').empty((0,))"),
        ("[0.5]", "__import__('numpy').empty((0, 1))"),
        ("[[0.5, 1.5], [2.5, 3.5]]", "[[], []]"),
        ("{1: 0.5}", "{'1': 0.5}"),
        ("{'1': 0.5}", "{1: 0.5}"),
        ("{1: 2}", "{True: 2, '1': 2}"),
        ("[1, 2]", "(1, 2)"),
        ("'ab'", "['a', 'b']"),
        ("None", "[]"),
        ("{1, 2}", "[1, 2]"),
    ],
)
@pytest.mark.parametrize("atol", [0, 1e-4])
async def test_another_shape_or_type_is_wrong(
    grade: Grade, reference: str, answer: str, atol: float
) -> None:
    given = task(f"def f():\n    return {reference}\n", [], atol=atol)
    assert (await grade(given, f"def f():\n    return {reference}\n")).status == "pass"
    assert (await grade(given, f"def f():\n    return {answer}\n")).status == "fail"
