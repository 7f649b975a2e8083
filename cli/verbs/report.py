"""`report`: compute the results of evaluations again from their folders, and compare them."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from opencodeinterpreter.cli.files import check_file, write_text
from opencodeinterpreter.cli.options import JsonOption
from opencodeinterpreter.cli.statuses import NOT_SOLVED
from opencodeinterpreter.tools.printable import printable
from opencodeinterpreter.traces.evaluation.evaluate import rebuild
from opencodeinterpreter.traces.evaluation.folder import Folder
from opencodeinterpreter.traces.evaluation.regressions import Changes, changes, counted
from opencodeinterpreter.traces.evaluation.results import Results
from opencodeinterpreter.traces.page.document import html
from opencodeinterpreter.traces.page.evaluations import Evaluated, evaluations_page
from opencodeinterpreter.traces.report import as_text, compared


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
    With --baseline, each task is told as newly failing, flaky, still failing, fixed, new or still
    passing, and the exit status is 1 if any fails newly.
    """
    check_file(output)
    found = asyncio.run(_rebuilt(folder))
    before = asyncio.run(_rebuilt(baseline or []))
    since = changes(_results(before), _results(found)) if before else None
    if output is not None:
        write_text(output, html(evaluations_page(found, since)))
    if as_json:
        print(json.dumps(_told(found, since)))
    elif since is not None:
        print(printable("\n".join(_lines(since))))
    elif len(found) > 1:
        print(compared(_results(found)))
    else:
        print(*(as_text(each.results) for each in found.values()))
    if since and "newly failing" in since.values():
        raise typer.Exit(NOT_SOLVED)


async def _rebuilt(folders: Sequence[Path]) -> dict[str, Evaluated]:
    return {str(path): await rebuild(Folder(path)) for path in folders}


def _results(every: Mapping[str, Evaluated]) -> dict[str, Results]:
    return {name: each.results for name, each in every.items()}


def _told(found: Mapping[str, Evaluated], since: Changes | None) -> object:
    if since is not None:
        rows = [{"setting": arm, "task": task, "change": how} for (arm, task), how in since.items()]
        return {"counts": counted(since), "changes": rows}
    return {name: each.results.model_dump(mode="json") for name, each in found.items()}


def _lines(since: Changes) -> Iterator[str]:
    yield ", ".join(f"{number} {change}" for change, number in counted(since).items())
    for (arm, task), change in since.items():
        if change != "still passing":
            yield f"{change:14} {arm:12} {task}"
