"""The paper's protocol: feedback tests that are those that score, by the rules that score."""

import ast
import math
from collections import Counter
from typing import Any

import pytest

from opencodeinterpreter.tools.benchmarks.inside.evalplus_rules import FLOATS, Rule, is_floats
from opencodeinterpreter.tools.benchmarks.paper import with_scoring_tests
from opencodeinterpreter.tools.benchmarks.tasks import InputTask
from opencodeinterpreter.tools.benchmarks.truth import Expected, Truth
from opencodeinterpreter.tools.grading.inside import wire

NONE = Expected([], [], [], [], [])


def expected(output: Any) -> Expected:
    return Expected([], [wire.Writer().text(output)], [], [], [])


def with_inputs(given: InputTask, base: list[Any], plus: list[Any]) -> InputTask:
    return given.model_copy(update={"base_input": base, "plus_input": plus})


def task(entry_point: str, task_id: str, prompt: str) -> InputTask:
    return InputTask(
        task_id=task_id,
        prompt=prompt,
        entry_point=entry_point,
        reference="",
        base_input=[],
        plus_input=[],
        atol=0,
    )


def mbpp(entry_point: str) -> InputTask:
    prompt = f'"""\nWrite a function.\nassert {entry_point}(1) == 2\n"""\n'
    return task(entry_point, "Mbpp/1000", prompt)


def asserted(source: str, entry_point: str, answer: Any) -> bool:
    """Return whether the one assertion of a file of tests holds for a program's answer."""
    (assertion,) = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert))
    names = {entry_point: lambda *_: answer, "approx": pytest.approx, "inf": math.inf}
    return bool(eval(ast.unparse(assertion.test), names))


@pytest.mark.parametrize(
    ("entry_point", "arguments", "output", "answers"),
    [
        ("plain", [1], 2, [2, 3, 2.0, None, "2"]),
        ("plain", [[1]], [0.1, 0.2], [[0.1, 0.2], [0.1, 0.2000000001], [0.1], [0.1, 0.3]]),
        ("plain", ["a"], math.inf, [math.inf, -math.inf, 1.0]),
        ("plain", [], {"a": (1, 2)}, [{"a": (1, 2)}, {"a": [1, 2]}, {}]),
        ("plain", ["aab"], Counter("aab"), [Counter("aab"), {"a": 2, "b": 1}, {"a": 2}, None]),
        ("similar_elements", [(1, 2), (2, 1)], (1, 2), [(1, 2), [2, 1], {1, 2}, (1,), (1, 2, 3)]),
        ("check_str", ["ab"], True, [True, False, None, "a match"]),
        ("check_str", ["ab"], False, [True, False, None, "a match"]),
        ("are_equivalent", [1, 2], False, [True, False]),
        ("sum_div", [7], 1, [1, 0, 7]),
        ("surface_Area", [3, 4], 33, [33, 35, 34]),
        ("digit_distance_nums", [1, 23], 4, [4, 4.0, 3, 2]),
        ("digit_distance_nums", [123, 45], 3, [3, 1 + 2 + 2, 6]),
    ],
)
def test_feedback_says_what_scoring_says(
    entry_point: str, arguments: list[Any], output: Any, answers: list[Any]
) -> None:
    given = with_inputs(mbpp(entry_point), [arguments], [])
    source = with_scoring_tests(given, Truth(expected(output), NONE)).tests.source
    atol = FLOATS if is_floats(output) else 0
    for answer in answers:
        scored = Rule("mbpp", entry_point).right(arguments, answer, output, atol)
        assert asserted(source, entry_point, answer) == scored, (source, answer)


def test_base_and_plus_inputs_are_a_test_each_and_the_prompt_keeps_its_example() -> None:
    truth = Truth(expected(2), expected(6))
    made = with_scoring_tests(with_inputs(mbpp("plain"), [[1]], [[5]]), truth)
    assert made.prompt == "Write a function.\nassert plain(1) == 2"
    assert (
        made.tests.source.splitlines()[3:]
        == [
            "",
            "def test_base():",
            "    assert plain(1) == 2",
            "",
            "def test_plus():",
            "    assert plain(5) == 6",
            "",
        ][: len(made.tests.source.splitlines()) - 3]
    )
    stub = 'def plain(x):\n    """Return more."""\n'
    other = with_inputs(task("plain", "HumanEval/1", stub), [[1]], [[5]])
    assert with_scoring_tests(other, truth).prompt == stub


@pytest.mark.parametrize(
    "value", [math.nan, [math.nan], pytest.param(10**5000, id="long"), frozenset({1})]
)
def test_what_is_no_literal_is_left_out_of_the_feedback(value: Any) -> None:
    given = with_inputs(mbpp("plain"), [[1]], [[value]])
    assert (
        "test_plus" not in with_scoring_tests(given, Truth(expected(2), expected(1))).tests.source
    )
