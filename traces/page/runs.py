"""A page about runs: one run with its family, or several side by side."""

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

from opencodeinterpreter.nodes.records import Turn
from opencodeinterpreter.traces.page.comparing import comparison
from opencodeinterpreter.traces.page.document import Page
from opencodeinterpreter.traces.page.packing import Events, packed, size
from opencodeinterpreter.traces.page.redacting import without_secrets
from opencodeinterpreter.traces.page.summaries import status_of, summary, title_of
from opencodeinterpreter.traces.page.turns import Texts, turn_event
from opencodeinterpreter.traces.trace import Trace

_RELATIVES = 2_000_000
"""Characters that a run's relatives may add to its page; the others are named alone."""


def runs_page(
    shown: Sequence[Trace], relatives: Iterable[Trace] = (), *, live: bool = False
) -> Page:
    """Return a page that opens with the first trace; more than one are compared.

    `relatives` are other runs of the family, the nearest first; they are held as far as there is
    room.
    """
    held = [without_secrets(trace) for trace in shown]
    events: Events = {}
    for trace in held:
        events.update(run_events(trace))
    room = size(events) + _RELATIVES
    for trace in relatives:
        clean = without_secrets(trace)
        more = run_events(clean)
        if size(events) + size(more) > room:
            break
        events.update(more)
        held.append(clean)
    for one, other in combinations(held, 2):
        name = f"pair:{one.header.run}:{other.header.run}"
        events[name] = packed(comparison(one, other))
    return Page(
        title=title_of(held[0].record),
        contents={
            "view": "compare" if len(shown) > 1 else "run",
            "runs": [entry(trace) for trace in held],
            "index": None,
        },
        events=events,
        live=live,
    )


def entry(trace: Trace) -> dict[str, Any]:
    """Return what a page's list of runs says of one."""
    return {
        "id": trace.header.run,
        "title": title_of(trace.record),
        "status": status_of(trace),
        "parent": trace.header.parent,
        "parent_turn": trace.header.parent_turn,
        "turns": len(trace.record.turns),
    }


def run_events(trace: Trace) -> Events:
    """Return the events of one run: its summary, its turns, and the texts sent to models."""
    run, record = trace.header.run, trace.record
    events: Events = {}
    texts, starts, count = Texts(record), list[int](), 0
    before: Turn | None = None
    for turn in record.turns:
        same_task = before is not None and before.task == turn.task
        event, added = turn_event(record, turn, before if same_task else None, texts)
        starts.append(count)
        count += len(added)
        events[f"turn:{run}:{turn.number}"] = packed(event)
        events[f"texts:{run}:{turn.number}"] = packed(added)
        before = turn if turn.code is not None else before
    for sha256, content in record.artifacts.items():
        events[f"file:{run}:{sha256}"] = packed(content)
    events[f"run:{run}"] = packed({**summary(trace), "texts": starts})
    return events
