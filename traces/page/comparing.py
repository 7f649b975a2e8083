"""Two runs side by side: where they part, and what differs from there on."""

from itertools import zip_longest
from typing import Any

from opencodeinterpreter.nodes.limits import cost
from opencodeinterpreter.nodes.records import Turn
from opencodeinterpreter.traces.diff import diff
from opencodeinterpreter.traces.page.highlighting import aligned
from opencodeinterpreter.traces.page.turns import shown_code
from opencodeinterpreter.traces.trace import Trace


def comparison(first: Trace, second: Trace) -> dict[str, Any]:
    """Return how two runs differ; a page has their turns beside it."""
    one, other = first.record, second.record
    found = diff(one, other)
    pairs = list(zip_longest(one.turns, other.turns))[found.stem :]
    return {
        "first": first.header.run,
        "second": second.header.run,
        "stem": found.stem,
        "task": found.task,
        "settings": [[name, each.before, each.after] for name, each in found.settings.items()],
        "turns": [
            {
                "number": each.number,
                "only": each.only,
                "rows": _rows(*pair),
                "tests": [[name, c.before, c.after] for name, c in each.tests.items()],
                "output": each.output is not None,
                "verdict": each.verdict is not None,
                "feedback": each.feedback is not None,
                "tokens": each.tokens,
                "seconds": each.seconds,
                "cost": [cost([turn]) if turn else None for turn in pair],
            }
            for each, pair in zip(found.turns, pairs, strict=True)
        ],
    }


def _rows(one: Turn | None, other: Turn | None) -> list[tuple[int, int]] | None:
    """Return which lines of two turns' programs are the same; `None` where one has no program."""
    codes = [shown_code(turn) if turn else None for turn in (one, other)]
    match codes:
        case [str(before), str(after)]:
            return aligned(before, after)
    return None
