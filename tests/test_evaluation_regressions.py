"""What an evaluation says of each task since a baseline."""

import pytest

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.traces.evaluation.audit import Audit
from opencodeinterpreter.traces.evaluation.regressions import changes, counted
from opencodeinterpreter.traces.evaluation.results import Results
from opencodeinterpreter.traces.metrics import Attempt, TaskResult


def results(sha256: str = "a", **passed: bool) -> Results:
    """Return results of one arm in which these tasks passed or failed."""
    tasks = {
        name: TaskResult(attempts=(Attempt(base=flag, further=flag),))
        for name, flag in passed.items()
    }
    return Results(
        benchmark="humaneval+",
        sha256=sha256,
        protocol="held-out",
        models={"coder": "scripted:x"},
        max_turns=2,
        versions={},
        tests="held-out",
        tasks_chosen=len(tasks),
        arms=(),
        audit=Audit(),
        tasks={"none": tasks},
    )


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
