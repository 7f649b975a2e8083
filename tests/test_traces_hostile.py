"""A trace with hostile values is refused in one line, or stored as a run that can be read."""

import asyncio
import functools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opencodeinterpreter.cli.story import piped, story
from opencodeinterpreter.graph.runs import open_run, rebuild
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import list_runs
from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.traces.importing import import_trace
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import MAX_DEPTH, Trace, read_trace, trace_of
from tests.test_traces_tampering import Lines, Path_, parsed, trace_for, worlds


def nested(depth: int) -> Any:
    """Return lists in lists."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


HOSTILE: tuple[Any, ...] = (
    *(-1, 0, 2, 2**31, 2**63 - 1, 2**63, 2**80, 10**40, -(10**40), 1e308, -0.5, True, None),
    *("", "\x00", "\x1b[2J", "../../x", "é", "a" * 300, "2026-13-45", [], {}, [None], {"": None}),
    *(nested(100), nested(MAX_DEPTH), nested(251), {"a": {"b": 2**80}}),
)


def places(value: Any, at: Path_ = ()) -> Iterator[Path_]:
    """Yield the path of every value in some lines, whole lines aside."""
    if len(at) > 1:
        yield at
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in inner:
            yield from places(one, (*at, key))


def hostile(lines: Lines, at: Path_, value: Any) -> list[str]:
    """Return lines with another value at a place, sealed as if they had been written so."""
    changed: Any = json.loads(json.dumps(lines))
    place = changed
    for key in at[:-1]:
        place = place[key]
    place[at[-1]] = value
    turns = [digest(line) for line in changed[1:-1] if line.get("line") == "turn"]
    rest = digest([line for line in changed[1:-1] if line.get("line") != "turn"])
    if at[0] != len(lines) - 1:
        changed[-1] = {"line": "end", "turns": turns, "rest": rest}
    return [json.dumps(line) for line in changed]


async def read_by_all_verbs(store: Store, trace: Trace) -> None:
    """Import a trace and do with the run what the verbs do."""
    row = await import_trace(store, trace)
    run = await open_run(store, row.id)
    assert run.record == trace.record
    again = trace_of(run)
    used = trace.record.texts_of(trace.record.turns)  # An export leaves out what no turn refers to.
    expected = trace.record.model_copy(update={"texts": used})
    assert read_trace(again.lines(), "again").record == expected
    assert list(map(piped, story(run.record, losing=True)))
    assert (await replay(again)).turns == len(run.record.turns)
    await store.execute("DELETE FROM opencodeinterpreter_runs")
    assert (await rebuild(store)).problems == ()
    (rebuilt,) = await list_runs(store)
    assert (rebuilt.id, rebuilt.turns, rebuilt.tokens) == (row.id, row.turns, row.tokens)


async def imported(lines: list[str]) -> str:
    """Import lines into a new store; return why they were refused, if they were."""
    try:
        trace = read_trace(lines, "t.jsonl")
        with tempfile.TemporaryDirectory() as folder:
            async with open_store(str(Path(folder) / "runs.sqlite")) as store:
                await read_by_all_verbs(store, trace)
                return ""
    except InputError as error:
        return str(error)


@functools.cache
def traces() -> tuple[Lines, ...]:
    return tuple(parsed(asyncio.run(trace_for(name))) for name in worlds())


def check(which: int, place: int, value: Any) -> None:
    lines = traces()[which]
    paths = list(places(lines))
    assert "\n" not in asyncio.run(imported(hostile(lines, paths[place % len(paths)], value)))


cases = given(st.integers(0, 2), st.integers(0, 10**6), st.sampled_from(HOSTILE))


@example(which=0, place=1523, value=[])  # A judge's or critic's call is gone: its text stays.
@cases
@settings(max_examples=25, deadline=None)
def test_a_hostile_value_is_refused_or_stored_readably(which: int, place: int, value: Any) -> None:
    check(which, place, value)


@pytest.mark.slow
@cases
@settings(max_examples=3000, deadline=None)
def test_many_hostile_values_are_refused_or_stored_readably(
    which: int, place: int, value: Any
) -> None:
    check(which, place, value)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("header", "parent_turn"), 2**80, "line 1: it holds a whole number of more than 64 bits"),
        (("header", "parent_turn"), -1, "line 1: parent_turn"),
        (("header", "created"), "yesterday", "line 1: created"),
        (("header", "failure"), {"node": "coder"}, "line 1: failure"),
        (("task", "tests"), nested(251), "nested more than 240 levels deep"),
        (("turn", "number"), 10**40, "more than 64 bits"),
        (("turn", "executions", 0, "exit_code"), 2**80, "more than 64 bits"),
        (("turn", "drafts", 0, "call", "usage", "input_tokens"), 2**63, "more than 64 bits"),
        (("turn", "drafts", 0, "call", "attempts"), 10**40, "more than 64 bits"),
    ],
)
def test_what_no_store_can_hold_is_named(path: tuple[Any, ...], value: Any, says: str) -> None:
    lines = traces()[0]
    at = next(number for number, line in enumerate(lines) if line["line"] == path[0])
    assert says in asyncio.run(imported(hostile(lines, (at, *path[1:]), value)))


def test_counts_that_add_up_to_more_than_a_store_holds_are_cut() -> None:
    lines = traces()[0]
    at = next(number for number, line in enumerate(lines) if line["line"] == "turn")
    usage = {"input_tokens": 2**63 - 1, "output_tokens": 2**63 - 1}
    changed = hostile(lines, (at, "drafts", 0, "call", "usage"), usage)
    assert asyncio.run(imported(changed)) == ""
