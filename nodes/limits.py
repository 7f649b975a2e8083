"""When a task stops unsolved: pure functions of its turns, so that replay decides alike."""

import ast
from collections.abc import Sequence

from opencodeinterpreter.nodes.records import Turn
from opencodeinterpreter.nodes.settings import Limits
from opencodeinterpreter.tools.python_syntax import parsed


def reached(turns: Sequence[Turn], limits: Limits) -> str | None:
    """Return the first limit that a task's turns have reached, in words; `None` if none."""
    spent: tuple[tuple[str, float, float | None], ...] = (
        ("turns", len(turns), limits.turns),
        ("model calls", sum(1 for turn in turns for _ in turn.calls()), limits.calls),
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


def tokens(turns: Sequence[Turn]) -> int:
    """Return the input and output tokens of all calls whose usage is known."""
    usages = [call.usage for turn in turns for call in turn.calls() if call.usage]
    return sum(usage.input_tokens + usage.output_tokens for usage in usages)


def cost(turns: Sequence[Turn]) -> float | None:
    """Return what the calls of known price cost; `None` where no price is known."""
    costs = [call.usage.cost for turn in turns for call in turn.calls() if call.usage]
    known = [value for value in costs if value is not None]
    return sum(known) if known else None


def seconds(turns: Sequence[Turn]) -> float:
    """Return the active seconds: those that models and the runner took, not those of waiting.

    The drafts of one turn are made and run at the same time, so the longest counts.
    """
    return sum(_turn_seconds(turn) for turn in turns)


def _turn_seconds(turn: Turn) -> float:
    drafting = [draft.call.seconds for draft in turn.drafts or () if draft.call]
    running = [execution.seconds for execution in turn.executions or () if execution]
    later = [call.seconds for part in (turn.verdict, turn.feedback) if part for call in part.calls]
    return max(drafting, default=0.0) + max(running, default=0.0) + sum(later)


def is_stuck(turns: Sequence[Turn]) -> bool:
    """Return whether the last turn's program and outcome have been seen before."""
    if not turns or turns[-1].execution is None:
        return False
    last = _seen(turns[-1])
    return any(_seen(turn) == last for turn in turns[:-1])


def _seen(turn: Turn) -> tuple[object, ...]:
    run = turn.execution
    if run is None:
        return (_syntax(turn.code),)
    outcomes = tuple((test.name, test.status, test.message) for test in run.tests or ())
    error = (run.error.name, run.error.value) if run.error else None
    return (_syntax(turn.code), run.status, run.reason, error, outcomes, run.logs.stdout)


def _syntax(code: str | None) -> str | None:
    """Return code without comments and layout; as it stands where it does not parse."""
    tree = None if code is None else parsed(code)
    try:
        return code if tree is None else ast.dump(tree)
    except RecursionError:
        return code
