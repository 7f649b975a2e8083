"""`show`: print a run or a trace file turn by turn."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from opencodeinterpreter.cli.files import CODE_NAME, write_folder
from opencodeinterpreter.cli.options import JsonOption, StoreOption
from opencodeinterpreter.cli.paging import columns, print_paged
from opencodeinterpreter.cli.program_files import program_files
from opencodeinterpreter.cli.story import Piece, on_terminal, piped, story
from opencodeinterpreter.cli.traces import TARGET_HELP, load_trace
from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.printable import printable
from opencodeinterpreter.traces.trace import Header


@dataclass(frozen=True, kw_only=True)
class ShowOptions:
    """What is shown of a run, and in which form; at most one form."""

    turn: Annotated[int | None, typer.Option("--turn", min=1, help="Only this turn.")] = None
    drafts: Annotated[
        bool, typer.Option("--drafts", help="Show the drafts that were not chosen as well.")
    ] = False
    code: Annotated[
        bool, typer.Option("--code", help="Print the code alone: the final one, or that turn's.")
    ] = False
    files: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write the code, its files and those that it wrote into this new or empty folder.",
        ),
    ] = None
    as_json: JsonOption = False


def show(
    target: Annotated[str, typer.Argument(metavar="RUN|FILE", help=TARGET_HELP)],
    store: StoreOption,
    options: ShowOptions,
) -> None:
    """Show a run turn by turn."""
    if sum((options.code, options.files is not None, options.as_json)) > 1:
        raise InputError("give one of --code, --files and --json")
    trace = load_trace(store, target)
    record = trace.record
    if options.turn is not None:
        turns = tuple(one for one in record.turns if one.number == options.turn)
        if not turns:
            raise InputError(f"{target} has no turn {options.turn}; it has {len(record.turns)}")
        record = record.model_copy(update={"turns": turns})
    if options.files is not None:
        _write_files(record, target, options.files)
    elif options.code:
        _print_code(record, target)
    elif options.as_json:
        print(json.dumps({"header": trace.header.model_dump(), **record.model_dump(mode="json")}))
    else:
        _print_story(trace.header, record, options.drafts)


def _write_files(record: Record, target: str, folder: Path) -> None:
    if record.final is None:
        raise InputError(f"{target} has no code to write")
    found = program_files(record)
    write_folder(folder, {**found.files, CODE_NAME: f"{record.code}\n"})
    for line in found.left_out:
        print(printable(f"not written: {line}"), file=sys.stderr)


def _print_code(record: Record, target: str) -> None:
    if record.code is None:
        raise InputError(f"{target} has no code there")
    code = record.code.rstrip() + "\n"
    print(printable(code) if sys.stdout.isatty() else code, end="")


def _print_story(header: Header, record: Record, losing: bool) -> None:
    pieces = [Piece(_heading(header), "heading")]
    if failure := header.failure:
        pieces.append(Piece(f"failed at {failure.node}: {failure.owner}: {failure.message}", "bad"))
    pieces += story(record, losing)
    if sys.stdout.isatty():
        width = columns()
        print_paged("\n".join(on_terminal(piece, width) for piece in pieces).split("\n"))
    else:
        print_paged(map(piped, pieces))


def _heading(header: Header) -> str:
    if header.parent is None:
        return f"run {header.run}"
    return f"run {header.run}, a branch of {header.parent[:8]} at turn {header.parent_turn}"
