"""`replay`: run the graph again with a trace's recorded answers, and compare."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import typer
from rich.console import Console

from opencodeinterpreter.cli.counting import counted
from opencodeinterpreter.cli.options import JsonOption, StoreOption
from opencodeinterpreter.cli.traces import TARGET_HELP, load_trace
from opencodeinterpreter.nodes.prompts import installed_prompts
from opencodeinterpreter.tools.printable import printable
from opencodeinterpreter.traces import replay as replaying
from opencodeinterpreter.traces.trace import Trace

DIVERGED = 1


def replay(
    target: Annotated[str, typer.Argument(metavar="RUN|FILE", help=TARGET_HELP)],
    store: StoreOption,
    prompts: Annotated[
        Literal["recorded", "installed"],
        typer.Option(help="Use the prompt texts of the trace, or the installed ones."),
    ] = "recorded",
    as_json: JsonOption = False,
) -> None:
    """Replay a run offline.

    Needs no model, sandbox or network. The exit status is 1 if the replay diverges.
    """
    trace = load_trace(store, target)
    texts = installed_prompts() if prompts == "installed" else None
    with _progress(trace) as watch:
        found = asyncio.run(replaying.replay(trace, prompts=texts, watch=watch))
    if as_json:
        print(found.model_dump_json())
    elif found.divergence is None:
        print(
            f"identical: {counted(found.turns, 'turn')}, {counted(found.replayed, 'part')} replayed"
        )
    else:
        at = found.divergence
        print(printable(f"diverged at turn {at.turn}, {at.node}: {at.how}"))
    if not found.identical:
        raise typer.Exit(DIVERGED)


@contextmanager
def _progress(trace: Trace) -> Iterator[replaying.Watch]:
    """Show on stderr, if that is a terminal, how many parts have been replayed."""
    console = Console(stderr=True, highlight=False)
    parts = sum(map(len, trace.routes))
    with console.status("replaying …") as status:
        yield lambda replayed: status.update(f"replaying: {replayed} of {parts} parts")
