"""`show`: a run or a trace file, turn by turn."""

import json
from typing import Annotated

import typer

from opencodeinterpreter.cli.options import JsonOption, StoreOption
from opencodeinterpreter.cli.printable import printable
from opencodeinterpreter.cli.traces import TARGET_HELP, load_trace
from opencodeinterpreter.cli.words import story
from opencodeinterpreter.tools.errors import InputError


def show(
    target: Annotated[str, typer.Argument(metavar="RUN|FILE", help=TARGET_HELP)],
    store: StoreOption,
    turn: Annotated[int | None, typer.Option("--turn", min=1, help="Only this turn.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a run turn by turn."""
    trace = load_trace(store, target)
    record = trace.record
    if turn is not None:
        turns = tuple(one for one in record.turns if one.number == turn)
        if not turns:
            raise InputError(f"{target} has no turn {turn}; it has {len(record.turns)}")
        record = record.model_copy(update={"turns": turns})
    if as_json:
        shown = {"header": trace.header.model_dump(), **record.model_dump(mode="json")}
        print(json.dumps(shown))
        return
    print(_heading(trace.header.run, trace.header.parent, trace.header.parent_turn))
    if trace.header.failure:
        print(printable("failed at {node}: {owner}: {message}".format(**trace.header.failure)))
    for text in story(record):
        print(printable(text))


def _heading(run: str, parent: str | None, turn: int | None) -> str:
    return f"run {run}" + (f", a branch of {parent[:8]} at turn {turn}" if parent else "")
