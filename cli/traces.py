"""Traces named on the command line: by a file, or by a run of the store."""

import asyncio
import os
import sys
from pathlib import Path

from opencodeinterpreter.cli.files import read_text
from opencodeinterpreter.graph.runs import Run, open_run
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import find_run
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.traces.trace import Trace, read_trace, trace_of

TARGET_HELP = "A trace file; or a run's id, its beginning, or latest."


def load_trace(store_url: str, target: str) -> Trace:
    """Return the trace of a file or of a stored run; raises InputError if there is none."""
    return load_with_origin(store_url, target)[0]


def load_with_origin(store_url: str, target: str) -> tuple[Trace, bool]:
    """Return a trace, and whether its settings were chosen here; those of a file may not be."""
    if names_file(target):
        return read_trace_file(Path(target)), False
    try:
        run = asyncio.run(_stored(store_url, target))
    except InputError:
        _check_no_folder(target)
        raise
    return trace_of(run), run.source == "here"


def names_file(target: str) -> bool:
    """Return whether a target names a trace file, which need not exist, and not a run."""
    is_path = target.endswith(".jsonl") or os.sep in target
    return is_path or os.path.isfile(target)  # noqa: PTH113 - a name may be too long


async def _stored(store_url: str, run: str) -> Run:
    async with open_store(store_url) as store:
        return await open_run(store, (await find_run(store, run)).id)


def read_trace_file(path: Path) -> Trace:
    """Read a trace file; raises InputError naming the file and the line that is wrong.

    What the end of a growing file lacks, and that a file was changed, is told on stderr.
    """
    _check_no_folder(str(path))
    trace = read_trace(_text(path).split("\n"), str(path))
    if trace.cut:
        print(f"{path}: {trace.cut}", file=sys.stderr)
    if trace.changed is not None:
        where = f"turn {trace.changed}" if trace.changed else "a line of settings, task or texts"
        print(f"{path}: {where} was changed after it was written", file=sys.stderr)
    return trace


def _check_no_folder(target: str) -> None:
    if os.path.isdir(target):  # noqa: PTH112 - a name may be too long
        raise InputError(
            f"{target} is a folder; name one trace file in it, or see them all with `view {target}`"
        )


def _text(path: Path) -> str:
    """Return a trace file's text; a character that is torn at its very end becomes a mark."""
    try:
        return read_text(path, "trace")
    except InputError:
        raw = path.read_bytes() if path.is_file() else b""
        whole, _, last = raw.rpartition(b"\n")
        if not whole.startswith(b'{"line":"header"') or _is_text(last) or not _is_text(whole):
            raise
        return f"{whole.decode()}\n{last.decode('utf-8', 'replace')}"


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
