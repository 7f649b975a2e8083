"""A page about many runs: the rows of an index, and as many whole runs as there is room for."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opencodeinterpreter.graph.runs import open_run
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import list_runs
from opencodeinterpreter.graph.task_files import GIVEN_TASKS, read_tasks
from opencodeinterpreter.nodes.limits import cost, seconds
from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.traces.page.document import Page
from opencodeinterpreter.traces.page.packing import Events, size
from opencodeinterpreter.traces.page.redacting import without_secrets
from opencodeinterpreter.traces.page.runs import entry, run_events
from opencodeinterpreter.traces.page.summaries import known_tokens, status_of, title_of
from opencodeinterpreter.traces.trace import Trace, read_trace, trace_of

_ROOM = 4_000_000
"""Characters that the whole runs of an index may take; of the others the page has the rows."""


@dataclass(frozen=True)
class Entry:
    """A run in an index."""

    trace: Trace
    name: str = ""
    """Its task's name; by default the first line of the task."""
    setting: str = ""
    """What was compared: an evaluation's setting."""
    scored: bool | None = None
    """Whether its program passed the tests that score; `None` if none do."""
    change: str = ""
    """What became of it since the baseline."""


def index_page(
    title: str, entries: Iterable[Entry], outline: str = "", sort: tuple[str, bool] | None = None
) -> Page:
    """Return a page with a row for each entry."""
    rows: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    events: Events = {}
    room, held = _ROOM, set[str]()
    for each in entries:
        clean = without_secrets(each.trace)
        rows.append(_row(each, clean))
        if clean.header.run in held or room <= 0:
            continue
        held.add(clean.header.run)
        more = run_events(clean)
        if (room := room - size(more)) > 0:
            events.update(more)
            runs.append(entry(clean))
    contents = {
        "view": "index",
        "title": title,
        "runs": runs,
        "index": {"rows": rows, "sort": sort},
    }
    return Page(title, contents, events, outline)


def _row(each: Entry, trace: Trace) -> dict[str, Any]:
    record = trace.record
    run = record.turns[-1].execution if record.turns else None
    tests = run.tests if run else None
    return {
        "id": trace.header.run,
        "name": each.name or title_of(record) or trace.header.run[:8],
        "title": title_of(record),
        "setting": each.setting,
        "scored": each.scored,
        "change": each.change,
        "status": status_of(trace),
        "passed": sum(test.status == "passed" for test in tests or ()),
        "tests": len(tests) if tests is not None else None,
        "turns": len(record.turns),
        "tokens": known_tokens(record),
        "seconds": seconds(record.turns),
        "cost": cost(record.turns),
        "model": _coder(record),
        "created": trace.header.created,
    }


def _coder(record: Record) -> str:
    models = next(reversed(record.settings.values()), {}).get("models")
    return str(models.get("coder", "")) if isinstance(models, Mapping) else ""


def folder_page(folder: Path, tell: Callable[[str], None]) -> Page:
    """Return the index of a folder: of a batch, or of trace files.

    `tell` hears of each file or run that cannot be read and is left out. Raises InputError if none
    can.
    """
    if (folder / "runs.sqlite").is_file():
        names = _task_names(folder)
        traces = asyncio.run(_stored(folder / "runs.sqlite", tell))
        entries = [Entry(each, names.get(each.record.task.prompt, "")) for each in traces]
    elif (folder / GIVEN_TASKS).is_file():
        raise InputError(
            f"{folder}: the runs of this batch are in a shared store; view one with --store URL"
        )
    elif files := sorted(folder.glob("*.jsonl")):
        entries = _of_files(files, tell)
    else:
        raise InputError(f"{folder}: no runs here (no runs.sqlite and no trace file *.jsonl)")
    if not entries:
        raise InputError(f"{folder}: it holds no runs yet")
    return index_page(folder.resolve().name, entries)


def _task_names(folder: Path) -> Mapping[str, str]:
    """Return the names of a batch's tasks by their prompts."""
    kept = (folder / name for name in (GIVEN_TASKS, "tasks.jsonl"))
    files = (path for path in kept if path.is_file())
    return {
        str(task.get("prompt")): name for path in files for name, task in read_tasks(path).items()
    }


def _of_files(files: Sequence[Path], tell: Callable[[str], None]) -> list[Entry]:
    entries, problems = list[Entry](), list[str]()
    for path in files:
        try:
            entries.append(Entry(_read(path), path.stem))
        except InputError as error:
            problems.append(str(error))
    if not entries:
        more = f"; {len(files)} files here are no traces" if len(files) > 1 else ""
        raise InputError(problems[0] + more)
    for problem in problems:
        tell(f"left out: {problem}")
    return entries


def _read(path: Path) -> Trace:
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except OSError as error:
        raise InputError(f"cannot read trace file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"trace file {path} is not UTF-8 text") from None
    return read_trace(lines, str(path))


async def _stored(path: Path, tell: Callable[[str], None]) -> list[Trace]:
    traces = list[Trace]()
    async with open_store(str(path)) as store:
        for row in await list_runs(store):
            try:
                traces.append(trace_of(await open_run(store, row.id)))
            except InputError as error:
                tell(f"left out: {error}")
    return traces
