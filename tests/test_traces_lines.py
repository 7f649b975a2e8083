"""A trace's lines: read as written, or refused with the number of the invalid line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.graph.runs import advance, open_run
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.testing import ScriptedModel, draft
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.traces.importing import import_trace
from opencodeinterpreter.traces.trace import VERSION, Trace, read_trace, trace_of
from tests.scripts import BETTER, RIGHT, THREE_TURNS, World

Lines = list[str]

LAST = 11
"""Where the last turn's line stands."""


@pytest.fixture
async def trace(tmp_path: Path) -> Trace:
    async with open_store(str(tmp_path / "runs.sqlite")) as store:
        return trace_of(await World().run(store))


@pytest.fixture
def lines(trace: Trace) -> Lines:
    return list(trace.lines())


def refusal(lines: Lines) -> str:
    """Return the line with which a trace is refused."""
    with pytest.raises(InputError) as refused:
        read_trace(lines, "run.jsonl")
    assert "\n" not in str(refused.value)
    return str(refused.value)


def changed(lines: Lines, at: int, **fields: Any) -> Lines:
    """Return lines with fields of one of them replaced."""
    line = json.dumps({**json.loads(lines[at]), **fields})
    return [*lines[:at], line, *lines[at + 1 :]]


def kinds(lines: Lines) -> list[str]:
    return [json.loads(line)["line"] for line in lines]


def test_lines_come_in_the_order_in_which_they_name_each_other(lines: Lines) -> None:
    assert list(dict.fromkeys(kinds(lines))) == [
        "header",
        "settings",
        "task",
        "text",
        "turn",
        "end",
    ]
    assert kinds(lines).count("turn") == 3
    assert all(len(line.splitlines()) == 1 for line in lines)


def test_reading_gives_the_trace_again(trace: Trace, lines: Lines) -> None:
    assert read_trace(lines, "run.jsonl") == trace
    assert read_trace([f"{line}\r\n" for line in [*lines, ""]], "run.jsonl") == trace


async def test_any_text_survives_a_file(tmp_path: Path) -> None:
    odd = 'tab\t, quote ", backslash \\, \u2028, \x85, \x00, \r, é, 😀, \N{ZERO WIDTH SPACE}'
    async with open_store(str(tmp_path / "runs.sqlite")) as store:
        world = World(coder=ScriptedModel([draft(BETTER, words=odd), draft(RIGHT)]))
        trace = trace_of(await world.run(store))
    path = tmp_path / "run.jsonl"
    path.write_text("".join(f"{line}\n" for line in trace.lines()), encoding="utf-8")
    with path.open(encoding="utf-8") as file:
        assert read_trace(file, "run.jsonl") == trace


def test_a_trace_is_a_pure_function_of_the_run(trace: Trace) -> None:
    assert list(trace.lines()) == list(trace.lines())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "line 3: not JSON: "),
        ("", "has no"),
        ("[1]", "line 3: a trace line is a JSON object"),
        ("7", "line 3: a trace line is a JSON object"),
        ('{"line": "song"}', "line 3: unknown kind of line 'song'"),
        ("{}", "line 3: unknown kind of line None"),
        ('{"line": "task"}', "line 3: prompt: Field required"),
        ('{"line": "task", "prompt": "", "number": 1}', "line 3: prompt: "),
        ('{"line": "task", "prompt": "x", "colour": 1}', "line 3: "),
        ('{"line": "settings", "digest": "d"}', "line 3: settings: Field required"),
        ("[" * 100_000, "line 3: "),
        ('{"line": "task", "prompt": ' + "9" * 5000 + "}", "line 3: "),
    ],
)
def test_a_line_that_is_wrong_is_named_by_its_number(lines: Lines, text: str, words: str) -> None:
    said = refusal([*lines[:2], text, *lines[3:]])
    assert said.startswith("run.jsonl ")
    assert words in said or words == "has no"


Change = Callable[[Lines], Lines]
BROKEN: dict[str, tuple[Change, str]] = {
    "no header": (lambda lines: lines[1:], "line 1: the first line must be the header"),
    "another format": (
        lambda lines: changed(lines, 0, format="something"),
        "line 1: format: Input should be 'opencodeinterpreter trace'",
    ),
    "a newer version": (
        lambda lines: changed(lines, 0, version=VERSION + 1),
        f"line 1: the trace has version {VERSION + 1} and this release reads up to {VERSION}",
    ),
    "a version that is no number": (
        lambda lines: changed(lines, 0, version="new"),
        "line 1: version: ",
    ),
    "an id that is none": (lambda lines: changed(lines, 0, run="../x"), "line 1: run: "),
    "empty": (lambda lines: [], "run.jsonl has no header"),
    "only a header": (lambda lines: lines[:1], "run.jsonl has no task"),
    "a text before its parent": (
        lambda lines: [*lines[:3], *reversed(lines[3:9]), *lines[9:]],
        "line 4: text ",
    ),
    "a turn that is missing": (
        lambda lines: [*lines[:10], *lines[11:]],
        "line 11: turn 2 is missing",
    ),
    "a turn twice": (
        lambda lines: [*lines[:12], lines[11], *lines[12:]],
        "line 13: turn 4 is missing",
    ),
    "no end": (lambda lines: lines[:-1], "run.jsonl has no end line: it is incomplete"),
    "more after its end": (
        lambda lines: [*lines, lines[2]],
        "line 14: there are lines after the end",
    ),
    "unknown settings": (
        lambda lines: changed(lines, LAST, settings="d"),
        "line 12: turn 3 refers to settings that are not in the trace",
    ),
    "an unknown task": (
        lambda lines: changed(lines, LAST, task=2),
        "line 12: turn 3 refers to task 2, which is missing",
    ),
    "task number 0": (
        lambda lines: changed(lines, LAST, task=0),
        "line 12: turn 3 refers to task 0, which is missing",
    ),
    "a turn without a draft": (
        lambda lines: changed(lines, LAST, drafts=[]),
        "line 12: turn 3 has no draft number 1",
    ),
    "a chosen draft that is not there": (
        lambda lines: changed(lines, LAST, chosen=1),
        "line 12: turn 3 has no draft number 2",
    ),
    "executions that do not fit": (
        lambda lines: changed(lines, LAST, executions=[]),
        "line 12: turn 3 does not have one execution per draft",
    ),
    "an unknown text": (
        lambda lines: [*lines[:8], *lines[9:]],
        "line 11: turn 3 refers to a missing text, ",
    ),
    "a text that answers itself": (
        lambda lines: changed(
            [*lines[:4], lines[3], *lines[4:]], 4, parent=json.loads(lines[3])["id"]
        ),
        "line 5: text ",
    ),
    "a second header": (lambda lines: [*lines[:2], lines[0], *lines[2:]], "line 3: "),
    "a task numbered out of order": (
        lambda lines: changed(lines, 2, number=7),
        "line 3: ",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_trace_that_does_not_hold_together_is_refused(lines: Lines, name: str) -> None:
    assert kinds(lines) == [
        "header",
        "settings",
        "task",
        *["text"] * 6,
        *["turn"] * 3,
        "end",
    ]
    change, words = BROKEN[name]
    assert words in refusal(change(lines))


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_not_json_are_refused(lines: Lines, constant: str) -> None:
    text = lines[LAST].replace('"seconds":0.25', f'"seconds":{constant}')
    assert text != lines[LAST]
    assert "line 12: " in refusal([*lines[:LAST], text, *lines[LAST + 1 :]])


def test_invalid_settings_are_refused(lines: Lines) -> None:
    settings = {**json.loads(lines[1])["settings"], "drafts": "many"}
    assert "line 2: " in refusal(changed(lines, 1, settings=settings))


async def test_importing_gives_the_run_and_exporting_it_the_trace(
    tmp_path: Path, trace: Trace, lines: Lines
) -> None:
    async with open_store(str(tmp_path / "other.sqlite")) as store:
        row = await import_trace(store, read_trace(lines, "run.jsonl"))
        assert (row.id, row.status, row.turns) == (trace.header.run, "solved", 3)
        assert list(trace_of(await open_run(store, row.id)).lines()) == lines
        assert (await import_trace(store, trace)) == row


async def test_importing_an_unfinished_run_lets_it_go_on(tmp_path: Path, trace: Trace) -> None:
    turns = trace.record.turns[:2]
    record = trace.record.model_copy(update={"turns": turns, "texts": trace.record.texts_of(turns)})
    cut = Trace(header=trace.header, record=record, routes=trace.routes[:2])
    async with open_store(str(tmp_path / "other.sqlite")) as store:
        row = await import_trace(store, cut)
        assert row.status == "interrupted"
        world = World(coder=ScriptedModel(THREE_TURNS))
        run = await advance(store, world.graph(store), row)
        assert run.record == trace.record
        assert len(world.coder.asked) == 1


async def test_another_run_of_the_same_id_is_refused(tmp_path: Path, trace: Trace) -> None:
    shorter = Trace(
        header=trace.header,
        record=trace.record.model_copy(update={"turns": trace.record.turns[:1]}),
        routes=trace.routes[:1],
    )
    async with open_store(str(tmp_path / "other.sqlite")) as store:
        await import_trace(store, trace)
        with pytest.raises(InputError, match="the store already holds a different run"):
            await import_trace(store, shorter)
        assert (await open_run(store, trace.header.run)).record == trace.record
