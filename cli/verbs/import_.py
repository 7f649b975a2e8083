"""`import`: store a trace file as a run."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from opencodeinterpreter.cli.counting import counted
from opencodeinterpreter.cli.options import JsonOption, StoreOption
from opencodeinterpreter.cli.traces import read_trace_file
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import Row
from opencodeinterpreter.tools.printable import printable
from opencodeinterpreter.traces.importing import import_trace
from opencodeinterpreter.traces.trace import Trace


def import_(
    file: Annotated[Path, typer.Argument(help="A trace file.")],
    store: StoreOption,
    as_json: JsonOption = False,
) -> None:
    """Store a trace as a run; nothing in it is executed."""
    row = asyncio.run(_import(store, read_trace_file(file)))
    if as_json:
        print(json.dumps(asdict(row)))
    else:
        print(printable(f"{row.short}  {row.status}, {counted(row.turns, 'turn')}: {row.title}"))


async def _import(url: str, trace: Trace) -> Row:
    async with open_store(url) as store:
        return await import_trace(store, trace)
