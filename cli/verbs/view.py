"""`view`: write runs as one HTML page that opens from disk and loads nothing."""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from opencodeinterpreter.cli.files import STDOUT, check_file, write_text
from opencodeinterpreter.cli.following import RELATIVES, Following
from opencodeinterpreter.cli.options import SandboxOption, StoreOption, TrustOption
from opencodeinterpreter.cli.serving import serving
from opencodeinterpreter.cli.traces import load_trace, names_file
from opencodeinterpreter.graph.families import Families
from opencodeinterpreter.graph.runs import open_run
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import find_run, list_runs
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.printable import printable
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX
from opencodeinterpreter.traces.evaluation.evaluate import rebuild
from opencodeinterpreter.traces.evaluation.folder import Folder
from opencodeinterpreter.traces.page.document import Page, html
from opencodeinterpreter.traces.page.evaluations import evaluations_page
from opencodeinterpreter.traces.page.indexes import folder_page
from opencodeinterpreter.traces.page.runs import runs_page
from opencodeinterpreter.traces.trace import Trace, trace_of


@dataclass(frozen=True, kw_only=True)
class LiveOptions:
    """Serving the page instead of writing it."""

    serve: Annotated[
        bool, typer.Option("--serve", help="Serve the page here and follow the run.")
    ] = False
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="With --serve: where; 0 means any.")
    ] = 0
    sandbox: SandboxOption = DEFAULT_SANDBOX
    trust: TrustOption = False


def view(
    target: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|FILE|FOLDER", help="A run, a trace file, or a folder of runs; or two runs."
        ),
    ],
    store: StoreOption,
    live: LiveOptions,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The page's file; by default named after the run."),
    ] = None,
) -> None:
    """Write a run, two side by side, or a folder's runs as a page.

    The page is one HTML file without references outside. A folder is that of a batch or of an
    evaluation, or holds trace files. A run from the store comes with its family. With --serve, the
    page is served on this machine until Ctrl-C: it follows the run, and a person can answer its
    questions and branch it there.
    """
    check_file(output)
    if live.serve:
        asyncio.run(_serve(_followed(target, output), store, live))
        return
    if live.port or live.trust:
        raise InputError(f"{'--port' if live.port else '--trust'} is for --serve; add --serve")
    page, name = _page(target, store)
    path = output or Path(f"{name}.html")
    check_file(path)
    write_text(path, html(page))
    to_stdout = path == STDOUT or str(path) == "/dev/stdout"
    print(path, file=sys.stderr if to_stdout else sys.stdout)


def _followed(targets: list[str], output: Path | None) -> str:
    """Return the run that `--serve` follows; raises InputError for all else."""
    if output is not None or len(targets) != 1:
        raise InputError("--serve takes one run of the store, and no --output")
    (target,) = targets
    if names_file(target) or _is_folder(target):
        raise InputError(
            f"--serve follows a run of the store, and {target} is none; `view {target}` writes a "
            "page of it"
        )
    return target


def _is_folder(target: str) -> bool:
    return os.path.isdir(target)  # noqa: PTH112 - a name may be too long


async def _serve(target: str, store_url: str, live: LiveOptions) -> None:
    async with open_store(store_url) as store:
        row = await find_run(store, target)
        following = Following(store, row.id, live.sandbox, trust=live.trust)
        try:
            with serving(following, live.port) as address:
                print(address, flush=True)
                print(
                    "whoever has this address can answer and branch; Ctrl-C ends it",
                    file=sys.stderr,
                )
                await asyncio.Event().wait()
        finally:
            await following.close()


def _page(targets: list[str], store: str) -> tuple[Page, str]:
    folders = [target for target in targets if _is_folder(target)]
    if folders and len(targets) > 1:
        raise InputError(f"{folders[0]} is a folder; view one folder, or several runs")
    if folders:
        return _folder(Path(folders[0])), Path(folders[0]).resolve().name
    if len(targets) > 1:
        shown = [load_trace(store, target) for target in targets]
        if len({trace.header.run for trace in shown}) < len(shown):
            raise InputError("the same run is named twice")
        return runs_page(shown), "-".join(trace.header.run[:8] for trace in shown)
    trace, relatives = _with_family(targets[0], store)
    return runs_page([trace], relatives), trace.header.run[:8]


def _folder(path: Path) -> Page:
    if (path / "evaluation.json").is_file():
        return evaluations_page({str(path): asyncio.run(rebuild(Folder(path)))})
    return folder_page(path, lambda problem: print(printable(problem), file=sys.stderr))


def _with_family(target: str, store_url: str) -> tuple[Trace, list[Trace]]:
    """Return the trace of a file, or of a stored run with those of its family."""
    if names_file(target):
        return load_trace(store_url, target), []
    return asyncio.run(_stored(target, store_url))


async def _stored(target: str, store_url: str) -> tuple[Trace, list[Trace]]:
    async with open_store(store_url) as store:
        row = await find_run(store, target)
        shown = trace_of(await open_run(store, row.id))
        relatives = list[Trace]()
        for each in list(Families(await list_runs(store)).near(row.id))[:RELATIVES]:
            try:
                relatives.append(trace_of(await open_run(store, each.id)))
            except InputError as error:
                print(printable(f"left out: {error}"), file=sys.stderr)
    return shown, relatives
