"""`export`: a run as a trace file."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from opencodeinterpreter.cli.options import RunArgument, StoreOption, write_text
from opencodeinterpreter.cli.printable import printable
from opencodeinterpreter.cli.traces import stored_trace


def export(
    run: RunArgument,
    store: StoreOption,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write here instead of to stdout.")
    ] = None,
) -> None:
    """Write a run's trace as JSON lines."""
    text = "".join(f"{line}\n" for line in stored_trace(store, run).lines())
    if output is None:
        print(printable(text) if sys.stdout.isatty() else text, end="")
    else:
        write_text(output, text)
