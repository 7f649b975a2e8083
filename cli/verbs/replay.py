"""`replay`: run the graph again over a trace's own answers and say whether it is the same."""

import asyncio
from typing import Annotated, Literal

import typer

from opencodeinterpreter.cli.options import JsonOption, StoreOption
from opencodeinterpreter.cli.printable import printable
from opencodeinterpreter.cli.traces import TARGET_HELP, load_trace
from opencodeinterpreter.traces import replay as replaying

DIVERGED = 1


def replay(
    target: Annotated[str, typer.Argument(metavar="RUN|FILE", help=TARGET_HELP)],
    store: StoreOption,
    prompts: Annotated[
        Literal["recorded", "installed"],
        typer.Option(help="Whose prompt texts: the trace's own, or those installed now."),
    ] = "recorded",
    as_json: JsonOption = False,
) -> None:
    """Replay a run offline.

    Needs no model, sandbox or network. The exit status is 1 if the replay diverges.
    """
    trace = load_trace(store, target)
    found = asyncio.run(replaying.replay(trace, today=prompts == "installed"))
    if as_json:
        print(found.model_dump_json())
    elif found.divergence is None:
        print(f"identical: {found.turns} turns, {found.replayed} parts made again")
    else:
        at = found.divergence
        print(printable(f"diverged at turn {at.turn}, {at.node}: {at.how}"))
    if not found.identical:
        raise typer.Exit(DIVERGED)
