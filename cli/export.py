"""`export`: a run as a trace file."""

from pathlib import Path
from typing import Annotated

import typer

from opencodeinterpreter.cli.options import RunArgument, StoreOption, write_text
from opencodeinterpreter.cli.traces import load_trace


def export(
    run: RunArgument,
    store: StoreOption,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write here instead of to stdout.")
    ] = None,
) -> None:
    """Write a run's trace, one JSON object a line."""
    text = "".join(f"{line}\n" for line in load_trace(store, run).lines())
    if output is None:
        print(text, end="")
    else:
        write_text(output, text)
