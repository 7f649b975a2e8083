"""The pure parts of grading: plans, comparisons, cuts."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opencodeinterpreter.tools.grading.grader import last_function
from opencodeinterpreter.tools.grading.plain_data import cut, equal
from opencodeinterpreter.tools.grading.plan import plan
from opencodeinterpreter.tools.grading.stdin_cases import lines

# The machine may be busy: how long an example takes says nothing.
calm = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@calm
@given(json_values)
def test_every_value_equals_itself(value: Any) -> None:
    assert equal(value, value)


@calm
@given(json_values, json_values)
def test_values_that_python_calls_equal_are_equal_here(one: Any, two: Any) -> None:
    if one == two:
        assert equal(one, two)
    assert equal(one, two) == equal(two, one)


@calm
@given(st.text(), st.integers(100, 300))
def test_a_cut_text_is_never_longer_than_asked(text: str, most: int) -> None:
    assert len(cut(text * 10, most)) <= most


@calm
@given(st.lists(st.text(alphabet="ab ")), st.text(alphabet=" \n\t"))
def test_white_space_at_the_ends_does_not_count(texts: list[str], tail: str) -> None:
    plain = "\n".join(texts)
    assert lines("\n".join(text + " " for text in texts) + tail) == lines(plain)


def test_the_last_function_is_the_entry_point() -> None:
    assert last_function("def a(): pass\ndef b(): pass\nclass C: pass\nx = 1") == "b"
    assert last_function("x = 1") == ""
    assert last_function("def (") == ""


@calm
@given(st.lists(st.sampled_from(["assert f(1) == 1", "x = f(2)", "def test_{n}(): assert f(3)"])))
def test_a_plan_has_one_step_a_test_and_keeps_their_order(lines: list[str]) -> None:
    source = "\n".join(line.format(n=at) for at, line in enumerate(lines))
    names, steps = plan(source)
    assert [step.test for step in steps if step.test is not None] == list(range(len(names)))
    expected = sum(not line.startswith("x") for line in lines)
    assert len(names) == (expected or 1)
