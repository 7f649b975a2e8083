"""A whole run turn by turn, in pieces that a terminal shows in colour and a pipe as they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import indent
from typing import Any, Literal

from rich.console import Console
from rich.text import Text

from opencodeinterpreter.cli.counting import counted
from opencodeinterpreter.cli.paint import colours_shown, paint
from opencodeinterpreter.cli.words import (
    answered,
    cut_of,
    outcome_of,
    verdict_of,
    where_of,
)
from opencodeinterpreter.nodes.describe import describe
from opencodeinterpreter.nodes.records import PARTS, Draft, Record, Turn
from opencodeinterpreter.tools.execution import Execution, TestOutcome
from opencodeinterpreter.tools.input_files import size_of
from opencodeinterpreter.tools.printable import printable

Kind = Literal["heading", "note", "words", "code", "output", "good", "bad"]
_COLOURS: dict[Kind, str] = {"heading": "bold", "note": "dim", "good": "green", "bad": "red"}
_SHOWN = 3
"""How many failing tests are named after the first."""


@dataclass(frozen=True)
class Piece:
    """A part of a story, one or several lines."""

    text: str
    kind: Kind


def piped(piece: Piece) -> str:
    """Return a piece for a pipe."""
    return printable(piece.text)


def on_terminal(piece: Piece, width: int) -> str:
    """Return a piece for a terminal: words wrapped, code and headings in colour."""
    text = printable(piece.text)
    if piece.kind == "code":
        return _highlighted(text)
    if piece.kind == "output":
        return text
    return "\n".join(paint(line, _COLOURS.get(piece.kind, "")) for line in wrapped(text, width))


def wrapped(text: str, width: int) -> Iterator[str]:
    """Yield the lines of words, broken between words where they are too long."""
    console = Console(width=width)
    for line in text.splitlines() or [""]:
        yield from (part.plain.rstrip() for part in Text(line).wrap(console, width))


def _highlighted(code: str) -> str:
    if not colours_shown():
        return code
    from pygments import highlight
    from pygments.formatters import TerminalFormatter
    from pygments.lexers.python import PythonLexer

    return str(highlight(code, PythonLexer(stripnl=False), TerminalFormatter())).rstrip("\n")


def story(record: Record, losing: bool = False) -> Iterator[Piece]:
    """Yield a record turn by turn; of drafts that lost one line, unless `losing` is true."""
    for task in record.tasks:
        yield Piece(f"== task {task.number}", "heading")
        yield Piece(task.prompt.rstrip(), "words")
        if task.files:
            sizes = (f"{path} ({size_of(file):,} bytes)" for path, file in task.files.items())
            yield Piece(f"files: {', '.join(sizes)}", "note")
        for turn in record.turns:
            if turn.task == task.number:
                yield from _turn(record, turn, losing)


def _turn(record: Record, turn: Turn, losing: bool) -> Iterator[Piece]:
    settings: dict[str, Any] = record.settings[turn.settings]
    coder = settings["models"]["coder"]
    yield Piece("", "words")
    yield Piece(
        f"-- turn {turn.number} (coder {coder}, critic {settings['critic']})",
        "heading",
    )
    for part in PARTS:
        if source := turn.given.get(part):
            yield Piece(f"   {part} given by {source}", "note")
    for index, draft in enumerate(turn.drafts or ()):
        execution = turn.executions[index] if turn.executions is not None else None
        if index == turn.chosen or losing:
            yield from _draft(record, turn, index, draft)
            if turn.executions is not None:
                yield from _execution(execution)
        else:
            yield Piece(f"draft {index + 1}: {_folded(draft, execution)}", "note")
    if turn.verdict:
        kind: Kind = "good" if turn.verdict.decision == "solved" else "bad"
        yield Piece(f"verdict: {verdict_of(turn.verdict)}", kind)
    if turn.feedback:
        yield Piece(f"critic: {answered(turn)}", "heading")
        if turn.feedback.message:
            yield Piece(record.text(turn.feedback.message).rstrip(), "words")


def _draft(record: Record, turn: Turn, index: int, draft: Draft) -> Iterator[Piece]:
    if len(turn.drafts or ()) > 1:
        chosen = " (chosen)" if index == turn.chosen else ""
        yield Piece(f"draft {index + 1}{chosen}:", "heading")
    if words := cut_of(draft):
        yield Piece(f"the answer was {words}", "bad")
    if draft.code:
        yield Piece(draft.code.rstrip(), "code")
    else:
        yield Piece(record.text(draft.message).rstrip(), "words")
    for path, text in draft.files.items():
        yield Piece(f"file {path}:", "note")
        yield Piece(text.rstrip(), "output")


def _folded(draft: Draft, execution: Execution | None) -> str:
    size = counted(len(draft.code.splitlines()), "line") if draft.code else "no code"
    return f"{size}, {outcome_of(execution)}" if execution else size


def _execution(run: Execution | None) -> Iterator[Piece]:
    """Yield what a draft did; of failing tests the first one whole."""
    failing = [test for test in (run.tests if run else None) or () if test.status != "passed"]
    if run is None or not failing:
        yield Piece(f"execution{where_of(run)}: {describe(run)}", "output")
        return
    yield Piece(f"execution{where_of(run)}: {outcome_of(run)}", "words")
    yield from _failing(failing)
    for limit in run.limits_hit:
        yield Piece(f"The program reached its limit: {limit}.", "bad")


def _failing(tests: list[TestOutcome]) -> Iterator[Piece]:
    first, *others = tests
    yield Piece(f"first failing test: {first.name}: {first.status}", "bad")
    if message := first.message.removeprefix(first.name).strip("\n"):
        yield Piece(indent(message, "  "), "output")
    if others:
        names = [test.name for test in others[:_SHOWN]]
        names += [f"{len(others) - _SHOWN} more"] if len(others) > _SHOWN else []
        yield Piece(f"failing too: {', '.join(names)}", "note")
