"""Wrong programs that try to pass: each fools a naive checker, none fools ours."""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from opencodeinterpreter.tools.benchmarks.files import SOURCES
from opencodeinterpreter.tools.benchmarks.tasks import Benchmark, InputTask
from opencodeinterpreter.tools.benchmarks.truth import Truth, TruthStore
from opencodeinterpreter.tools.benchmarks.verdicts import grade_solution
from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.grading.grader import grade
from opencodeinterpreter.tools.grading.tests import CallCase, CaseTests, PythonTests, Tests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox
from tests.sampling import first_of_each

pytestmark = pytest.mark.asyncio(loop_scope="module")

FOLDER = Path(__file__).parent / "cheats"
CHEATS = sorted(FOLDER.glob("*.py"))
NAIVE = Path(__file__).with_name("naive_checker.py")
REFERENCE = "def total(numbers):\n    return sum(n * n for n in numbers if n > -2 and n != -1)\n"
BASE: list[list[Any]] = [[[1, 2, 3]], [[]], [[-1, 4]]]
PLUS: list[list[Any]] = [[[5]], [[2, 2]], [[0, 9]], [[0.5, 1.5]]]
EXPECTED: list[Any] = [14, 0, 16, 25, 8, 81, 2.5]
TASK = InputTask(
    task_id="Own/1",
    prompt="",
    entry_point="total",
    reference=REFERENCE,
    base_input=BASE,
    plus_input=PLUS,
    atol=0,
)
ASSERTIONS = PythonTests(
    source="from solution import total\n"
    + "".join(
        f"assert total({given[0]}) == {right}\n"
        for given, right in zip(BASE + PLUS, EXPECTED, strict=True)
    )
    + "assert abs(total([7]) - 49) < 0.5\n"
)
CALLS = CaseTests(
    cases=tuple(
        CallCase(args=tuple(given), expected=right)
        for given, right in zip(BASE + PLUS, EXPECTED, strict=True)
    )
)


class Honest(NamedTuple):
    """What a cheat's docstring says of it."""

    kind: str
    base: str
    plus: str


def honest(path: Path) -> Honest:
    found = re.match(r'"""Kind: (.*)\. Honest: (\w+), (\w+)\."""', path.read_text("utf-8"))
    assert found, f"{path.name} does not say what it is"
    return Honest(*found.groups())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def truth(sandbox: LocalSandbox, tmp_path_factory: pytest.TempPathFactory) -> Truth:
    own = Benchmark("humaneval+", SOURCES["humaneval+"].sha256, "", {TASK.task_id: TASK})
    return await TruthStore(own, tmp_path_factory.mktemp("truth")).truth(sandbox, TASK)


async def naive_verdict(path: Path, folder: Path) -> str:
    """Return what a checker says that believes its own process.

    The first word on a case stands, and only a case that is told to be wrong fails.
    """
    inputs = BASE if honest(path).base == "pass" else BASE + PLUS
    task = folder / "task.json"
    task.write_text(json.dumps({"inputs": inputs, "expected": EXPECTED[: len(inputs)]}), "utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(NAIVE), str(path), str(task)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=folder,
    )
    try:
        # Only the one that is slow on purpose takes so long, however busy the machine.
        async with asyncio.timeout(1.0 if path.stem == "slow_drip" else 30):
            printed, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return "pass"
    told: dict[int, bool] = {}
    for line in printed.decode(errors="replace").splitlines():
        try:
            message = json.loads(line)
            told.setdefault(message["case"], message["passed"])
        except (ValueError, TypeError, KeyError):
            continue
    return "pass" if all(told.values()) else "fail"


async def test_there_are_many_of_many_kinds() -> None:
    assert len(CHEATS) >= 40
    assert len({honest(path).kind for path in CHEATS}) >= 12


@pytest.mark.parametrize("path", CHEATS, ids=lambda path: path.stem)
async def test_a_cheat_fools_a_naive_checker(path: Path, tmp_path: Path) -> None:
    assert await naive_verdict(path, tmp_path) == "pass"


@pytest.mark.parametrize("path", CHEATS, ids=lambda path: path.stem)
async def test_a_cheat_gets_its_honest_verdict_on_inputs(
    sandbox: LocalSandbox, truth: Truth, path: Path
) -> None:
    base, plus = await grade_solution(sandbox, TASK, truth, path.read_text("utf-8"))
    passed = ["pass" if verdict.status == "pass" else "fail" for verdict in (base, plus)]
    assert passed == [honest(path).base, honest(path).plus]


@pytest.mark.parametrize(
    "path", first_of_each(lambda path: honest(path).kind, CHEATS), ids=lambda path: path.stem
)
async def test_a_cheat_never_passes_tests(sandbox: LocalSandbox, path: Path) -> None:
    # Calls go the same way as assertions: one of each kind will do.
    first = next(each for each in CHEATS if honest(each).kind == honest(path).kind)
    for tests in (ASSERTIONS, CALLS) if path == first else (ASSERTIONS,):
        await never_passes(sandbox, path, tests)


async def never_passes(sandbox: LocalSandbox, path: Path, tests: Tests) -> None:
    limits = SandboxLimits(memory_mb=256)
    code = path.read_text("utf-8")
    program = Program(code=code, entry_point="total", tests=tests, limits=limits)
    execution = await grade(sandbox, program)
    assert execution.tests_by == "tests"
    assert not execution.passed


async def test_honest_code_passes_all_of_it(sandbox: LocalSandbox, truth: Truth) -> None:
    base, plus = await grade_solution(sandbox, TASK, truth, REFERENCE)
    assert (base.status, plus.status) == ("pass", "pass")
    for tests in (ASSERTIONS, CALLS):
        program = Program(code=REFERENCE, entry_point="total", tests=tests)
        execution = await grade(sandbox, program)
        assert execution.passed, execution.tests
