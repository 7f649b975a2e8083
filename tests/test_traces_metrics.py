"""Metrics of verdicts, compared with numbers computed by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.traces.metrics import (
    Attempt,
    Results,
    Sample,
    TaskResult,
    Unit,
    gain,
    matched,
    pass_at_1,
    total,
)


def attempt(mark: str) -> Attempt:
    return Attempt(base=mark in "bP", further=mark in "fP")


def results(marks: str) -> dict[str, TaskResult]:
    """`.` fails, `b` passes the base inputs alone, `f` the further ones, `P` all; a task a mark."""
    return {f"t/{at}": TaskResult(attempts=(attempt(mark),)) for at, mark in enumerate(marks)}


def test_pass_at_1_counts_base_and_plus() -> None:
    found = results("PPb." * 5)
    assert pass_at_1(found, "base").value == 0.75
    assert pass_at_1(found, "plus").value == 0.5


def test_held_out_tests_count_without_the_base_inputs() -> None:
    found = results("Pbf.")
    assert pass_at_1(found, "held-out").value == 0.5
    assert pass_at_1(found, "plus").value == 0.25


def test_the_interval_holds_the_value_and_is_as_wide_as_its_error() -> None:
    found = pass_at_1(results("P." * 50), "plus")
    # The standard error is sqrt(0.25 / 100) = 0.05; 1.96 of them on either side.
    assert found.low == pytest.approx(0.40, abs=0.02)
    assert found.high == pytest.approx(0.60, abs=0.02)


def test_a_task_is_scored_after_the_turn_that_is_asked_for() -> None:
    wrong, right = attempt("."), attempt("P")
    found = {"a": TaskResult(attempts=(wrong, right)), "b": TaskResult(attempts=(right,))}
    assert pass_at_1(found, "plus", turn=1).value == 0.5
    assert pass_at_1(found, "plus", turn=2).value == 1.0
    assert pass_at_1(found, "plus", turn=9).value == 1.0


def test_a_gain_names_the_tasks_gained_and_broken() -> None:
    found = gain(results("P...."), results(".PPP."), "plus")
    assert found.gained == ("t/1", "t/2", "t/3")
    assert found.broken == ("t/0",)
    assert found.difference.value == pytest.approx(0.4)
    assert found.repaired == 0.75


@pytest.mark.parametrize(
    ("before", "after", "p_value"),
    [
        ("....", "....", 1.0),  # they never differ
        (".....", "PPPPP", 2 * 0.5**5),  # 5 gained, none broken
        ("P....", ".PPPP", 0.375),  # 4 gained, 1 broken: 2 * (1 + 5) / 32
        ("PP..", "..PP", 1.0),
    ],
)
def test_the_p_value_is_mcnemars_exact_one(before: str, after: str, p_value: float) -> None:
    assert gain(results(before), results(after), "plus").p_value == pytest.approx(p_value)


def test_only_tasks_that_both_settings_have_are_compared() -> None:
    before, after = results("...."), results("PPPP")
    del after["t/0"], before["t/1"]
    found = gain(before, after, "plus")
    assert (found.tasks, found.gained) == (2, ("t/2", "t/3"))


def pool(*samples: tuple[str, bool, int]) -> dict[str, TaskResult]:
    """One task's independent drafts: what each scores, whether it passed, its output tokens."""
    drawn = tuple(
        Sample(attempt=attempt(mark), passed=passed, output_tokens=tokens)
        for mark, passed, tokens in samples
    )
    return {"t/0": TaskResult(attempts=(attempt("."),), samples=drawn)}


DRAWN = (("b", False, 30), ("f", True, 30), ("P", True, 30))


@pytest.mark.parametrize(
    ("unit", "budget", "spent", "mark"),
    [
        ("calls", 1, 1, "."),  # nothing beyond the first draft
        ("calls", 2, 2, "."),  # one sample, which fails the feedback tests: the draft scores
        ("calls", 3, 3, "f"),  # the second passes them
        ("calls", 9, 3, "f"),  # and ends the sampling
        ("output tokens", 100, 100, "."),
        ("output tokens", 101, 130, "."),  # the last sample may exceed the budget
        ("output tokens", 130, 130, "."),
        ("output tokens", 131, 160, "f"),
    ],
)
def test_a_budget_buys_samples_until_one_passes_the_feedback_tests(
    unit: Unit, budget: int, spent: int, mark: str
) -> None:
    drafts = {"t/0": TaskResult(attempts=(attempt("."),), calls=1, output_tokens=100)}
    setting = {
        "t/0": TaskResult(attempts=(attempt("P"),), calls=budget, output_tokens=budget),
    }
    found = matched(drafts, setting, pool(*DRAWN), unit)
    assert found["t/0"].last == attempt(mark)
    assert total(found, unit) == spent


def test_a_task_without_samples_keeps_its_first_draft() -> None:
    drafts = {"t/0": TaskResult(attempts=(attempt("b"),), calls=1)}
    setting = {"t/0": TaskResult(attempts=(attempt("P"),), calls=5)}
    assert matched(drafts, setting, {}, "calls")["t/0"].last == attempt("b")


def test_nothing_to_compare_is_an_input_error() -> None:
    with pytest.raises(InputError, match="share no task"):
        gain(results("."), {}, "plus")
    with pytest.raises(InputError, match="no task has a result"):
        pass_at_1({}, "plus")


MARKS = st.text("bP.", min_size=1, max_size=30)


@given(MARKS, MARKS)
def test_a_gain_is_the_difference_of_both_shares(one: str, other: str) -> None:
    size = min(len(one), len(other))
    before: Results = results(one[:size])
    after: Results = results(other[:size])
    found = gain(before, after, "plus")
    difference = pass_at_1(after, "plus").value - pass_at_1(before, "plus").value
    assert found.difference.value == pytest.approx(difference)
    assert len(found.gained) - len(found.broken) == pytest.approx(size * difference)
    assert found.difference.low <= found.difference.value <= found.difference.high
    assert 0 < found.p_value <= 1
