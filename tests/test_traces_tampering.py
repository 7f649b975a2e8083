"""A changed trace is detected on reading, or at the turn and node where its replay differs."""

import asyncio
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencodeinterpreter.graph.seeds import Edit
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.testing import (
    ScriptedModel,
    ScriptedPerson,
    ScriptedRunner,
    draft,
    raised,
    ran,
)
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.person import PersonAnswer
from opencodeinterpreter.traces.replay import Replay, replay
from opencodeinterpreter.traces.trace import Header, Trace, read_trace, route_of, trace_of
from tests.scripts import BETTER, RIGHT, TABLE, TASK, WRONG, World

Path_ = tuple[str | int, ...]
Lines = list[dict[str, Any]]

TESTS = {"kind": "cases", "cases": [{"args": [1, "x"], "expected": 2}]}


def worlds() -> dict[str, tuple[World, dict[str, Any], dict[str, Any]]]:
    """Return runs in which every part of a record occurs: a world, a task and settings each."""
    return {
        "tests and an oracle": (
            World(critic=ScriptedModel([["```x```", "Look at 2."]], spec="scripted:critic")),
            {"prompt": "Add.", "entry_point": "add", "tests": TESTS, "reference": "a + b + 0 * a"},
            {"critic": "oracle"},
        ),
        "a judge and drafts": (
            World(
                coder=ScriptedModel([[draft(WRONG), draft(BETTER)], [draft(RIGHT), "Words."]]),
                judge=ScriptedModel(
                    [
                        ["Yes.", '{"solved": false, "reason": "No."}'],
                        '{"solved": true, "reason": "Yes."}',
                    ],
                    spec="scripted:judge",
                ),
                runner=ScriptedRunner({WRONG: raised("ValueError", "bad")}, ran("4", tier="full")),
            ),
            TASK,
            {"drafts": 2, "limits": {"tokens": 10_000, "seconds": 60.0}},
        ),
        "a person": (
            World(
                person=ScriptedPerson(
                    PersonAnswer(action="words", text="Print 2."),
                    PersonAnswer(action="edit", text=RIGHT),
                ),
                runner=ScriptedRunner(TABLE),
            ),
            TASK,
            {"critic": "human"},
        ),
    }


async def trace_for(name: str) -> Trace:
    """Return the trace of one of these runs."""
    world, task, fields = worlds()[name]
    record = await world.solve(task, **fields)
    header = Header(run="00000000-0000-4000-8000-000000000000", created="2026-01-01T00:00:00")
    return Trace(header=header, record=record, routes=tuple(map(route_of, record.turns)))


def parsed(trace: Trace) -> Lines:
    return [json.loads(line) for line in trace.lines()]


async def outcome(lines: Lines) -> Replay | InputError:
    """Return what comes of reading and replaying lines."""
    try:
        return await replay(read_trace([json.dumps(line) for line in lines], "t.jsonl"))
    except InputError as error:
        return error


def leaves(value: Any, at: Path_ = ()) -> Iterator[Path_]:
    """Yield the path of every value in a line that holds no others."""
    if isinstance(value, dict | list) and value:
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in inner:
            yield from leaves(one, (*at, key))
    else:
        yield at


def changed(value: Any) -> Any:
    """Return another value that differs as little as can be."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return ("b" if value.startswith("a") else "a") + value[1:]
    return [value] if isinstance(value, list) else {"a": "a"} if isinstance(value, dict) else "a"


def with_change(lines: Lines, at: Path_) -> Lines:
    """Return lines with the value at this path changed."""
    copy: Any = json.loads(json.dumps(lines))
    place = copy
    for key in at[:-1]:
        place = place[key]
    place[at[-1]] = changed(place[at[-1]])
    return copy if isinstance(copy, list) else []


def kind(lines: Lines, at: Path_) -> str:
    """Name what a path is a part of."""
    line = lines[int(at[0])]["line"]
    return f"turn.{at[1]}" if line == "turn" else str(line)


PARTS = (
    "settings",
    "task",
    "text",
    "turn.drafts",
    "turn.executions",
    "turn.programs",
    "turn.chosen",
    "turn.verdict",
    "turn.feedback",
    "turn.route",
    "turn.given",
    "end",
)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", worlds())
async def test_no_changed_value_is_called_identical(name: str, part: str) -> None:
    lines = parsed(await trace_for(name))
    paths = [(at, *path) for at, line in enumerate(lines[1:], 1) for path in leaves(line)]
    unseen = []
    for path in (path for path in paths if kind(lines, path) == part and path[-1] != "line"):
        found = await outcome(with_change(lines, path))
        if isinstance(found, Replay) and found.identical:
            unseen.append(".".join(str(key) for key in path))
    assert unseen == []


@pytest.mark.parametrize(
    ("path", "turn", "node", "how"),
    [
        (("prompts", "task_words"), 1, "coder", "the request differs from the recorded one"),
        (("route", 2, 1), 2, "executor", "the record went to 'axecutor', the replay to 'executor'"),
        (("verdict", 2, "reason"), 2, "judge", "verdict.reason: recorded "),
        (("executions", 1, "status"), 1, "executor", "t.jsonl line"),
        (("response", 2), 2, "coder", "the recorded response does not match its digest"),
    ],
)
async def test_the_first_difference_is_named_with_turn_and_node(
    path: Path_, turn: int, node: str, how: str
) -> None:
    trace = await trace_for("tests and an oracle")
    lines = parsed(trace)
    found = await outcome(with_change(lines, locate(trace, lines, path)))
    if isinstance(found, InputError):
        assert how in str(found)
        return
    assert found.divergence is not None
    assert (found.divergence.turn, found.divergence.node) == (turn, node)
    assert how in found.divergence.how


def locate(trace: Trace, lines: Lines, path: Path_) -> Path_:
    """Return where in the lines a named thing stands."""
    first = {line["line"]: at for at, line in reversed(list(enumerate(lines)))}
    match path:
        case ("prompts", name):
            return (first["settings"], "settings", "prompts", name)
        case ("response", int(turn)):
            made = trace.record.turns[turn - 1].draft
            ids = [line.get("id") for line in lines]
            return (ids.index(made.message if made else None), "content")
        case ("executions", int(turn), field):
            return (first["turn"] + turn - 1, "executions", 0, field)
        case (part, int(turn), *rest):
            return (first["turn"] + turn - 1, part, *rest)
    raise AssertionError(path)


async def test_an_altered_given_part_of_a_branch_shows_too(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "runs.sqlite")) as store:
        parent = await World().run(store)
        branch = await World().branch(store, parent.row, 2, Edit(code=WRONG))
        lines = parsed(trace_of(branch))
    paths = [(at, *path) for at, line in enumerate(lines[1:], 1) for path in leaves(line)]
    unseen = [
        ".".join(str(key) for key in path)
        for path in paths
        if path[-1] != "line"
        and isinstance(found := await outcome(with_change(lines, path)), Replay)
        and found.identical
    ]
    assert unseen == []


@functools.cache
def texts() -> tuple[list[str], ...]:
    """Return the lines of each kind of trace."""
    return tuple(list(asyncio.run(trace_for(name)).lines()) for name in worlds())


@given(
    which=st.integers(0, 2),
    place=st.integers(0, 10**6),
    character=st.sampled_from('0a9e".,:{}[]-\\ ') | st.characters(codec="utf-8"),
)
@settings(max_examples=200, deadline=None)
def test_one_changed_character_is_never_called_identical_and_never_crashes(
    which: int, place: int, character: str
) -> None:
    header, *lines = texts()[which]
    text = "\n".join(lines)
    at = place % len(text)
    altered = f"{text[:at]}{character}{text[at + 1 :]}".split("\n")
    try:
        trace = read_trace([header, *altered], "t.jsonl")
        found = asyncio.run(replay(trace))
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert not found.identical or trace == read_trace(texts()[which], "t.jsonl")


async def test_a_trace_that_lost_its_last_lines_is_read_or_refused() -> None:
    for name in worlds():
        lines = parsed(await trace_for(name))
        for kept in range(1, len(lines)):
            found = await outcome(lines[:kept])
            assert isinstance(found, InputError | Replay)
