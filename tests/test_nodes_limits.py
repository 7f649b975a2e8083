"""Limits: pure functions of the recorded turns."""

from typing import Any

import pytest

from opencodeinterpreter.nodes.limits import calls, cost, is_stuck, reached, seconds, tokens
from opencodeinterpreter.nodes.records import Call, Draft, Turn, Verdict
from opencodeinterpreter.nodes.settings import Limits
from opencodeinterpreter.testing import graded, raised, ran
from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.models.protocol import Position, Usage

NO_LIMITS: dict[str, Any] = {"turns": 1000, "stuck": False}


def call(usage: Usage | None = None, seconds: float = 1.0, number: int = 1) -> Call:
    """Return a coder's call."""
    at = Position(turn=1, role="coder", number=number)
    return Call(
        at=at,
        messages="m",
        digest="d",
        response="r",
        model="x",
        finish="stop",
        usage=usage,
        seconds=seconds,
        attempts=1,
    )


def turn(
    code: str | None = "print(1)",
    execution: Execution | None = None,
    *calls: Call,
) -> Turn:
    """Return a turn with one draft, its run, and these calls as the judge's."""
    return Turn(
        number=1,
        task=1,
        settings="s",
        drafts=(Draft(message="r", code=code),),
        executions=(execution,) if execution else None,
        verdict=Verdict(decision="revise", decided_by="model", reason="", calls=calls),
    )


def stuck(*turns: tuple[str, Execution]) -> bool:
    """Return whether turns with these codes and runs are stuck at the last."""
    return is_stuck([turn(code, execution) for code, execution in turns])


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"turns": 2}, "turns: 2 of 2 used"),
        ({"calls": 3}, "model calls: 3 of 3 used"),
        ({"tokens": 40}, "tokens: 40 of 40 used"),
        ({"cost": 0.5}, "cost: 0.5 of 0.5 used"),
        ({"seconds": 3.5}, "active seconds: 3.5 of 3.5 used"),
    ],
)
def test_each_limit_stops_when_it_is_reached_and_not_before(
    limits: dict[str, Any], words: str
) -> None:
    paid = Usage(input_tokens=15, output_tokens=5, cost=0.25)
    turns = [turn("a", ran(""), call(paid), call(paid)), turn("b", ran(""), call())]
    assert reached(turns, Limits(**{**NO_LIMITS, **limits})) == words
    ((name, most),) = limits.items()
    more = most * 1.5 if name in ("cost", "seconds") else most + 1
    assert reached(turns, Limits(**{**NO_LIMITS, name: more})) is None


def test_the_first_limit_in_order_is_named() -> None:
    turns = [turn("a", ran(""), call())]
    assert reached(turns, Limits(turns=1, calls=1)) == "turns: 1 of 1 used"


def test_unknown_usage_and_prices_count_nothing() -> None:
    turns = [turn("a", ran(""), call(), call(Usage(input_tokens=3, output_tokens=4)))]
    assert (calls(turns), tokens(turns)) == (2, 7)
    assert cost(turns) is None
    assert reached(turns, Limits(**NO_LIMITS, cost=0.001)) is None


def test_active_seconds_are_those_of_models_and_runs() -> None:
    turns = [turn("a", ran(""), call(seconds=2.0)), turn(None, None, call(seconds=0.5))]
    assert seconds(turns) == 2.75


def test_the_same_program_with_the_same_outcome_is_stuck() -> None:
    assert stuck(("x = 1", ran("4")), ("x = 1", ran("4")))
    assert stuck(("x = 1", ran("4")), ("y = 2", ran("")), ("x = 1", ran("4")))


def test_layout_and_comments_make_no_other_program() -> None:
    assert stuck(("x = [1, 2]", ran("")), ("# better\nx = [\n    1, 2\n]\n", ran("")))


def test_code_that_does_not_parse_is_compared_unchanged() -> None:
    assert stuck(("x = (", raised("SyntaxError")), ("x = (", raised("SyntaxError")))
    assert not stuck(("x = (", raised("SyntaxError")), ("x = ((", raised("SyntaxError")))


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (ran("4"), ran("5")),
        (graded(False, False), graded(True, False)),
        (graded(False, message="got 1"), graded(False, message="got 2")),
        (raised("ValueError", "a"), raised("ValueError", "b")),
        (ran(""), Execution(status="timeout", reason="wall")),
    ],
)
def test_another_outcome_is_not_stuck(before: Execution, now: Execution) -> None:
    assert not stuck(("x = 1", before), ("x = 1", now))


def test_how_long_a_run_took_makes_no_other_outcome() -> None:
    slower = ran("4").model_copy(update={"seconds": 9.0})
    assert stuck(("x = 1", ran("4")), ("x = 1", slower))


def test_turns_without_code_are_never_stuck() -> None:
    assert not is_stuck([turn(None), turn(None)])
    assert not is_stuck([])


def test_being_stuck_can_be_allowed() -> None:
    turns = [turn("x = 1", ran("4")), turn("x = 1", ran("4"))]
    assert (reached(turns, Limits()) or "").startswith("stuck: the same program")
    assert reached(turns, Limits(stuck=False)) is None


def test_deeply_nested_code_is_compared_too() -> None:
    deep = "(" * 3000 + ")" * 3000
    assert stuck((deep, raised("MemoryError")), (deep, raised("MemoryError")))
