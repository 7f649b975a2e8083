"""Traces named on the command line: by a file, or by a run of the store."""

import asyncio
import os
from pathlib import Path

from opencodeinterpreter.cli.options import read_text
from opencodeinterpreter.graph.runs import open_run
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import find_run
from opencodeinterpreter.traces.trace import Trace, read_trace, trace_of

TARGET_HELP = "A trace file, or a run's id or its beginning."


def load_trace(store_url: str, target: str) -> Trace:
    """Return the trace that a path or a run's id names; raises InputError."""
    if target.endswith(".jsonl") or os.path.isfile(target):  # noqa: PTH113 - a name may be too long
        return read_trace_file(Path(target))
    return stored_trace(store_url, target)


def stored_trace(store_url: str, run: str) -> Trace:
    """Return the trace of a run of the store; raises InputError."""

    async def read() -> Trace:
        async with open_store(store_url) as store:
            return trace_of(await open_run(store, (await find_run(store, run)).id))

    return asyncio.run(read())


def read_trace_file(path: Path) -> Trace:
    """Read a trace file; raises InputError naming the file and the line that is wrong."""
    return read_trace(read_text(path, "trace").split("\n"), str(path))
