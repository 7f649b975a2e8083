"""What the loop sees of a benchmark's task: never an input that only scores."""

from typing import Any

import pytest

from opencodeinterpreter.tools.benchmarks.feedback import FeedbackTask, from_assertions, from_inputs
from opencodeinterpreter.tools.benchmarks.tasks import AssertionTask, InputTask
from opencodeinterpreter.tools.benchmarks.truth import Expected, Truth
from opencodeinterpreter.tools.errors import BenchmarkError
from opencodeinterpreter.tools.grading.grader import MODULES, grade
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.sandbox.opening import open_sandbox

STUB = 'def half(x):\n    """Return half of x."""\n'


def task(task_id: str, prompt: str, base: list[list[Any]], **fields: Any) -> InputTask:
    given: dict[str, Any] = {
        "entry_point": "half",
        "reference": "def half(x):\n    return x / 2\n",
        "plus_input": [[987654321]],
        "atol": 0.0,
        **fields,
    }
    return InputTask(task_id=task_id, prompt=prompt, base_input=base, **given)


def truth(*outputs: str) -> Truth:
    none: list[Any] = []
    return Truth(
        Expected(none, outputs, none, none, none),
        Expected(none, ["493827160.5"], none, none, none),
    )


def test_humaneval_gives_the_stub_and_one_assertion_for_each_base_input() -> None:
    base: list[list[Any]] = [[3], ["ab"]]
    made = from_inputs(task("HumanEval/1", STUB, base), truth("1", '"a"'))
    assert made.prompt == STUB
    assert made.tests.source.splitlines() == [
        "from solution import half",
        "",
        "assert half(3) == 1",
        "assert half('ab') == 'a'",
    ]


def test_floats_are_compared_within_the_task_s_tolerance() -> None:
    base = [[3]]
    made = from_inputs(task("HumanEval/1", STUB, base, atol=0.01), truth("1.5"))
    assert made.tests.source.splitlines() == [
        "from pytest import approx",
        "from solution import half",
        "",
        "assert half(3) == approx(1.5, abs=0.01)",
    ]


def test_mbpp_gives_the_words_and_the_assertions_of_its_prompt_alone() -> None:
    prompt = '"""\nWrite a function that halves.\nassert half(4) == 2\n"""\n'
    base = [[4], [6]]
    made = from_inputs(task("Mbpp/1", prompt, base), truth("2", "3"))
    assert made.prompt == "Write a function that halves."
    assert made.tests.source == "from solution import half\n\nassert half(4) == 2"


async def test_mbpp_assertions_have_the_modules_that_they_use() -> None:
    prompt = '"""\nHalve.\nassert math.isclose(half(4), sys.maxsize * 0 + 2.0)\n"""\n'
    made = from_inputs(task("Mbpp/1", prompt, [[4]]), truth("2.0"))
    assert made.tests.source.splitlines()[:3] == [
        "import math",
        "import sys",
        "from solution import half",
    ]
    assert await passed(made, "def half(x):\n    return x / 2\n") == [True]


@pytest.mark.parametrize(
    "prompt", ['"""\nNo example.\n"""', '"""\nA broken one.\nassert half(4 == 2\n"""']
)
def test_an_mbpp_prompt_without_a_usable_assertion_is_refused(prompt: str) -> None:
    with pytest.raises(BenchmarkError, match="Mbpp/1"):
        from_inputs(task("Mbpp/1", prompt, [[4]]), truth("2"))


def test_mbpp_s_challenge_tests_are_not_shown() -> None:
    made = from_assertions(
        AssertionTask(
            task_id="Mbpp/1",
            prompt="Write a function that halves.\nassert half(4) == 2",
            entry_point="half",
            reference="",
            tests="from solution import half\nassert half(4) == 2\nassert half(10) == 5",
        )
    )
    assert made.tests.source == "from solution import half\n\nassert half(4) == 2"


def test_no_scoring_input_is_given() -> None:
    base = [[3]]
    made = from_inputs(task("HumanEval/1", STUB, base), truth("1.5"))
    assert "987654321" not in repr(made)


async def passed(made: FeedbackTask, code: str) -> list[bool]:
    async with open_sandbox("full", modules=MODULES) as sandbox:
        program = Program(code=code, entry_point=made.entry_point, tests=made.tests)
        execution = await grade(sandbox, program)
    return [test.status == "passed" for test in execution.tests or ()]


async def test_any_root_is_right_where_the_task_asks_for_a_root() -> None:
    base = [[[-4.0, 0.0, 1.0]]]
    given = task("HumanEval/32", STUB, base, entry_point="find_zero", atol=1e-4)
    made = from_inputs(given, truth("2.0"))
    assert await passed(made, "def find_zero(xs):\n    return -2.0\n") == [True]
    assert await passed(made, "def find_zero(xs):\n    return 1.0\n") == [False]


async def test_each_base_input_is_a_separate_test() -> None:
    base = [[3], [4], [5]]
    made = from_inputs(task("HumanEval/1", STUB, base), truth("1.5", "2.0", "2.5"))
    assert await passed(made, "def half(x):\n    return x // 2\n") == [False, True, False]
