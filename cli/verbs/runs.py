"""`runs`: the table of runs."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from opencodeinterpreter.cli.options import JsonOption, StoreOption
from opencodeinterpreter.cli.words import ROW_HEADINGS, row_line
from opencodeinterpreter.graph.runs import rebuild as rebuild_rows
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import Row, list_runs


def runs(
    store: StoreOption,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="First add runs that only the checkpoints know.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List all runs, newest first."""
    rows = asyncio.run(_rows(store, rebuild))
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        for row in rows:
            print("\t".join(row_line(row)))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ROW_HEADINGS:
        table.add_column(heading, no_wrap=heading != "task")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row_line(row)))
    console.print(table)


async def _rows(url: str, rebuild: bool) -> list[Row]:
    async with open_store(url) as store:
        if rebuild:
            await rebuild_rows(store)
        return await list_runs(store)
