"""`diff`: two runs or trace files, turn by turn."""

from collections.abc import Iterator
from typing import Annotated

import typer

from opencodeinterpreter.cli.counting import counted
from opencodeinterpreter.cli.options import JsonOption, StoreOption
from opencodeinterpreter.cli.paging import print_paged
from opencodeinterpreter.cli.paint import paint
from opencodeinterpreter.cli.traces import TARGET_HELP, load_trace
from opencodeinterpreter.tools.printable import printable
from opencodeinterpreter.traces import diff as comparing

DIFFERENT = 1
_COLOURS = {"+": "green", "-": "red", "@": "cyan", "=": "bold"}
_SHOWN = 400
"""Characters of an output or of feedback that are shown of each side."""


def diff(
    first: Annotated[str, typer.Argument(metavar="RUN|FILE", help=TARGET_HELP)],
    second: Annotated[str, typer.Argument(metavar="RUN|FILE", help=TARGET_HELP)],
    store: StoreOption,
    as_json: JsonOption = False,
) -> None:
    """Compare two runs turn by turn.

    Shows where they part and what differs from there on: code, output, tests, verdict, feedback.
    The exit status is 1 if they differ.
    """
    records = [load_trace(store, target).record for target in (first, second)]
    found = comparing.diff(*records)
    if as_json:
        print(found.model_dump_json())
    else:
        print_paged(_coloured(printable(line)) for line in lines_of(found))
    if not found.empty:
        raise typer.Exit(DIFFERENT)


def lines_of(found: comparing.Diff) -> Iterator[str]:
    """Yield a comparison as text for a terminal."""
    if found.empty:
        yield f"alike: {counted(found.stem, 'turn')}"
        return
    if found.task:
        yield "== task"
        yield from found.task
    yield f"== {_parting(found)}"
    for name, change in found.settings.items():
        yield from _sides(f"setting {name}", change)
    for turn in found.turns:
        yield ""
        yield f"-- turn {turn.number}" + (f" (only in the {turn.only} run)" if turn.only else "")
        if turn.same:
            yield "no difference"
        yield from turn.code
        yield from _sides("output", turn.output)
        for name, change in turn.tests.items():
            yield f"test {name}: {change.before or 'not there'} -> {change.after or 'not there'}"
        yield from _sides("verdict", turn.verdict)
        yield from _sides("feedback", turn.feedback)
        spent = "{} -> {} tokens, ".format(*turn.tokens) if any(turn.tokens) else ""
        yield spent + "{:.1f} -> {:.1f} s".format(*turn.seconds)


def _parting(found: comparing.Diff) -> str:
    if not found.turns:
        return f"{counted(found.stem, 'turn')} alike"
    return f"alike up to turn {found.stem}" if found.stem else "different from turn 1 on"


def _sides(what: str, change: comparing.Change | None) -> Iterator[str]:
    if change is None:
        return
    yield f"{what}:"
    for mark, text in (("-", change.before), ("+", change.after)):
        if text:
            short = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
            yield from (f"{mark} {line}" for line in short.splitlines() or [""])


def _coloured(line: str) -> str:
    return paint(line, "bold" if line.startswith("-- ") else _COLOURS.get(line[:1], ""))
