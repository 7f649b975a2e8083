"""What an evaluation says of each task since a baseline."""

import pytest

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.traces.evaluation.audit import Audit
from opencodeinterpreter.traces.evaluation.regressions import Changes, counted, since
from opencodeinterpreter.traces.evaluation.results import ArmResults, Results
from opencodeinterpreter.traces.metrics import Attempt, TaskResult


def results(sha256: str = "a", **passed: bool | None) -> Results:
    """Return results of one arm in which these tasks passed, failed, or gave no result."""
    tasks = {
        name: TaskResult(attempts=(Attempt(base=flag, further=flag),))
        for name, flag in passed.items()
        if flag is not None
    }
    arm = ArmResults(
        name="none",
        tasks=len(tasks),
        pass_at_1={},
        went_on=0,
        repaired=None,
        calls=0,
        input_tokens=0,
        output_tokens=0,
        seconds=0,
        cost=None,
        tokens_per_solved=None,
        failed={name: "sandbox: none" for name, flag in passed.items() if flag is None},
    )
    return Results(
        benchmark="humaneval+",
        sha256=sha256,
        protocol="held-out",
        models={"coder": "scripted:x"},
        max_turns=2,
        versions={},
        tests="held-out",
        tasks_chosen=len(tasks),
        arms=(arm,),
        audit=Audit(),
        tasks={"none": tasks},
    )


def changes(baseline: dict[str, Results], now: dict[str, Results]) -> Changes:
    return since(baseline, now).changes


def test_each_task_is_told_and_the_worst_comes_first() -> None:
    before = results(kept=True, lost=True, won=False, bad=False)
    now = results(kept=True, lost=False, won=True, bad=False, more=True)
    found = changes({"before": before}, {"now": now})
    assert {task: change for (_, task), change in found.items()} == {
        "lost": "newly failing",
        "bad": "still failing",
        "won": "fixed",
        "more": "new",
        "kept": "still passing",
    }
    assert list(counted(found)) == [
        "newly failing",
        "still failing",
        "fixed",
        "new",
        "still passing",
    ]


@pytest.mark.parametrize(
    ("before", "now"),
    [((True, False), (True,)), ((True,), (True, False)), ((False, True), (False, True))],
)
def test_a_task_that_both_passed_and_failed_on_one_side_is_flaky(
    before: tuple[bool, ...], now: tuple[bool, ...]
) -> None:
    sides = [{str(n): results(t=flag) for n, flag in enumerate(side)} for side in (before, now)]
    assert changes({f"b{k}": v for k, v in sides[0].items()}, sides[1]) == {("none", "t"): "flaky"}


def test_evaluations_of_different_tests_are_not_compared() -> None:
    with pytest.raises(InputError, match="now cannot be compared with before: their sha256"):
        changes({"before": results(t=True)}, {"now": results("b", t=True)})


def test_a_task_that_has_no_result_any_more_is_told_and_one_that_was_not_chosen_is_not() -> None:
    before = results(b10=True, b9=True, kept=True, lost=True, dropped=True)
    now = results(b10=False, b9=False, kept=True, lost=None, never=None)
    found = changes({"before": before}, {"now": now})
    assert list(found.items()) == [
        (("none", "b10"), "newly failing"),
        (("none", "b9"), "newly failing"),
        (("none", "lost"), "no result"),
        (("none", "kept"), "still passing"),
    ]


def test_a_repetition_s_result_stands_in_for_one_that_is_missing() -> None:
    runs = {"one": results(t=None), "two": results(t=True)}
    assert changes({"before": results(t=True)}, runs) == {("none", "t"): "still passing"}


def test_scores_are_those_of_the_tasks_of_both_sides_and_repetitions_are_averaged() -> None:
    before = {"a": results(x=True, y=False, gone=True), "b": results(x=False, y=False)}
    moved = since(before, {"now": results(x=True, y=True, new=False)}).moved["none"]
    assert moved.tasks == 2
    assert (moved.before.value, moved.now.value, moved.difference.value) == (0.25, 1.0, 0.75)
