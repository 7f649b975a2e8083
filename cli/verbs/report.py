"""`report`: compute the results of evaluations again from their folders, and compare them."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from opencodeinterpreter.cli.files import check_file, write_text
from opencodeinterpreter.cli.options import JsonOption
from opencodeinterpreter.cli.statuses import NOT_SOLVED, OUTSIDE_FAILURE, SOLVED
from opencodeinterpreter.tools.printable import printable
from opencodeinterpreter.traces.evaluation.evaluate import rebuild
from opencodeinterpreter.traces.evaluation.folder import Folder
from opencodeinterpreter.traces.evaluation.regressions import Since, counted, since
from opencodeinterpreter.traces.evaluation.results import Results
from opencodeinterpreter.traces.page.document import html
from opencodeinterpreter.traces.page.evaluations import Evaluated, evaluations_page
from opencodeinterpreter.traces.report import as_lines, as_text, compared, since_table


def report(
    folder: Annotated[list[Path], typer.Argument(help="Folders of evaluations (their --out).")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="One HTML page about all of them.")
    ] = None,
    baseline: Annotated[
        list[Path] | None,
        typer.Option(help="Compare with this earlier evaluation; several are repetitions of it."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the reports of evaluations again, and compare several.

    Nothing runs and no model is called. Each folder's results and reports are computed again.
    With --baseline, each task is told as newly failing, flaky, without a result, still failing,
    fixed, new or still passing. The exit status is then 1 if any fails newly, and 3 if none does
    but any that the baseline has is without a result.
    """
    check_file(output)
    found = asyncio.run(_rebuilt(folder))
    before = asyncio.run(_rebuilt(baseline or []))
    changed = since(_results(before), _results(found)) if before else None
    if output is not None:
        write_text(output, html(evaluations_page(found, changed)))
    if as_json:
        print(json.dumps(_told(found, changed)))
    elif changed is not None:
        print(printable("\n".join(_lines(changed))))
    elif len(found) > 1:
        print(printable(compared(_results(found))))
    else:
        print(*(printable(as_text(each.results)) for each in found.values()))
    if changed is not None and (status := _status(changed)) != SOLVED:
        raise typer.Exit(status)


async def _rebuilt(folders: Sequence[Path]) -> dict[str, Evaluated]:
    return {str(path): await rebuild(Folder(path)) for path in folders}


def _results(every: Mapping[str, Evaluated]) -> dict[str, Results]:
    return {name: each.results for name, each in every.items()}


def _told(found: Mapping[str, Evaluated], changed: Since | None) -> object:
    if changed is None:
        return {name: each.results.model_dump(mode="json") for name, each in found.items()}
    every = changed.changes.items()
    return {
        "counts": counted(changed.changes),
        "settings": {arm: each.model_dump(mode="json") for arm, each in changed.moved.items()},
        "changes": [{"setting": arm, "task": task, "change": how} for (arm, task), how in every],
    }


def _lines(changed: Since) -> Iterator[str]:
    yield as_lines(since_table(changed))
    yield ""
    for (arm, task), change in changed.changes.items():
        if change not in ("new", "still passing"):
            yield f"{change:14} {arm:12} {task}"


def _status(changed: Since) -> int:
    found = set(changed.changes.values())
    if "newly failing" in found:
        return NOT_SOLVED
    return OUTSIDE_FAILURE if "no result" in found else SOLVED
