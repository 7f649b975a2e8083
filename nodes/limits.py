"""When a task stops unsolved: pure functions of its turns, so a replay decides the same."""

import ast
from collections.abc import Sequence
from itertools import chain

from opencodeinterpreter.nodes.records import Turn
from opencodeinterpreter.nodes.settings import Limits
from opencodeinterpreter.tools.growing import Growing
from opencodeinterpreter.tools.python_syntax import parsed


def reached(turns: Sequence[Turn], limits: Limits) -> str | None:
    """Return the first limit that a task's turns have reached, in words, or `None`."""
    spent: tuple[tuple[str, float, float | None], ...] = (
        ("turns", len(turns), limits.turns),
        ("model calls", calls(turns), limits.calls),
        ("tokens", tokens(turns), limits.tokens),
        ("cost", cost(turns) or 0, limits.cost),
        ("active seconds", seconds(turns), limits.seconds),
    )
    for name, used, limit in spent:
        if limit is not None and used >= limit:
            return f"{name}: {used:g} of {limit:g} used"
    if limits.stuck and is_stuck(turns):
        return "stuck: the same program met the same outcome for the second time"
    return None


def calls(turns: Sequence[Turn]) -> int:
    """Return how many calls of models the turns made."""
    return sum(_call_counts(turns))


def tokens(turns: Sequence[Turn]) -> int:
    """Return the input and output tokens of all calls whose usage is known."""
    return sum(_tokens(turns))


def cost(turns: Sequence[Turn]) -> float | None:
    """Return the cost of all calls whose price is known; `None` if there is no such call."""
    known = list(chain.from_iterable(_costs(turns)))
    return sum(known) if known else None


def seconds(turns: Sequence[Turn]) -> float:
    """Return the active seconds: the time of models and the runner, without waiting for a person.

    The drafts of one turn are made and run at the same time, so the longest counts.
    """
    return sum(_seconds(turns))


def _turn_costs(turn: Turn) -> list[float]:
    costs = [call.usage.cost for call in turn.calls() if call.usage]
    return [value for value in costs if value is not None]


def _turn_tokens(turn: Turn) -> int:
    usages = [call.usage for call in turn.calls() if call.usage]
    return sum(usage.input_tokens + usage.output_tokens for usage in usages)


def _turn_seconds(turn: Turn) -> float:
    drafting = [draft.call.seconds for draft in turn.drafts or () if draft.call]
    running = [execution.seconds for execution in turn.executions or () if execution]
    later = [call.seconds for part in (turn.verdict, turn.feedback) if part for call in part.calls]
    return max(drafting, default=0.0) + max(running, default=0.0) + sum(later)


def is_stuck(turns: Sequence[Turn]) -> bool:
    """Return whether the last turn's program and outcome have been seen before."""
    if not turns or turns[-1].execution is None:
        return False
    *before, last = _outcomes(turns)
    return last in before


def _seen(turn: Turn) -> tuple[object, ...]:
    run = turn.execution
    if run is None:
        return (_syntax(turn.code),)
    outcomes = tuple((test.name, test.status, test.message) for test in run.tests or ())
    error = (run.error.name, run.error.value) if run.error else None
    return (_syntax(turn.code), run.status, run.reason, error, outcomes, run.logs.stdout)


def _syntax(code: str | None) -> str | None:
    """Return code without comments and layout; unchanged if it does not parse."""
    tree = None if code is None else parsed(code)
    try:
        return code if tree is None else ast.dump(tree)
    except RecursionError:
        return code


# A thread's turns are asked about after each new one.
_call_counts = Growing[Turn, int](lambda _, turn: sum(1 for _ in turn.calls()))
_tokens = Growing[Turn, int](lambda _, turn: _turn_tokens(turn))
_costs = Growing[Turn, list[float]](lambda _, turn: _turn_costs(turn))
_seconds = Growing[Turn, float](lambda _, turn: _turn_seconds(turn))
_outcomes = Growing[Turn, tuple[object, ...]](lambda _, turn: _seen(turn))
