"""`chat`: talk with the coder; each message goes on where the last one ended."""

import asyncio
import shlex
import sys
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console

from opencodeinterpreter.cli.chat.commands import COMMANDS, Left, do
from opencodeinterpreter.cli.chat.lines import Lines, PipedLines, TypedLines
from opencodeinterpreter.cli.chat.showing import Showing
from opencodeinterpreter.cli.chat.talk import Stopped, Talk
from opencodeinterpreter.cli.fetching import fetch_named
from opencodeinterpreter.cli.options import SandboxOption, StoreOption, TrustOption
from opencodeinterpreter.cli.running import check_trust, settings_of
from opencodeinterpreter.cli.settings import SettingsOptions
from opencodeinterpreter.cli.statuses import NOT_SOLVED
from opencodeinterpreter.cli.words import program
from opencodeinterpreter.graph.opening import open_graph
from opencodeinterpreter.graph.runs import Run, open_run
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import without_password
from opencodeinterpreter.graph.store.rows import find_run
from opencodeinterpreter.graph.store.usual import default_store
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import InputError, ModelError, SandboxError
from opencodeinterpreter.tools.input_files import read_files
from opencodeinterpreter.tools.printable import printable
from opencodeinterpreter.tools.runner import open_runner
from opencodeinterpreter.tools.sandbox.opening import (
    DEFAULT_SANDBOX,
    SandboxName,
    data_modules,
    named_python,
    usual_sandbox,
)


def chat(
    settings: SettingsOptions,
    store: StoreOption,
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files that go with the first message.")
    ] = None,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="Go on with this run, or with the latest."),
    ] = None,
    sandbox: SandboxOption = DEFAULT_SANDBOX,
    trust: TrustOption = False,
) -> None:
    """Chat: each message finds what the programs before it left.

    Each line is a message; lines that begin with / are commands, which /help lists.
    """
    if run is not None and settings != SettingsOptions():
        raise InputError(f"run {run} goes on with its own settings; leave out the other options")
    chosen = None if run is not None else settings.fresh()
    asyncio.run(_opened(chosen, run, _Place(store, sandbox, trust), files or []))


class _Place(NamedTuple):
    """Where a chat is kept and where its programs run."""

    store: str
    sandbox: SandboxName
    trust: bool


async def _opened(
    chosen: Settings | None, run: str | None, place: _Place, files: list[Path]
) -> None:
    async with open_store(place.store) as store:
        held: Run | None = None
        if run is not None:
            held = await open_run(store, (await find_run(store, run)).id)
            chosen = settings_of(held)
            check_trust(held, chosen, place.trust)
        settings = chosen or Settings()
        if settings.critic == "human":
            raise InputError("in a chat your next message is the feedback; use another critic")
        waiting = read_files(files)
        await fetch_named(settings.models.values())
        preload = await data_modules(named_python())
        async with (
            open_runner(place.sandbox, preload) as runner,
            open_graph(settings, store, runner=runner) as graph,
        ):
            progress = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
            talk = Talk(store, graph, settings, Showing(), progress, _at_terminal(), held, waiting)
            try:
                await _talk(talk)
            finally:
                if talk.run is not None:
                    progress.print(f"go on with: {_go_on(talk.run, place)}", markup=False)
    if talk.run is not None and not talk.run.record.solved:
        raise typer.Exit(NOT_SOLVED)


def _go_on(run: Run, place: _Place) -> str:
    """Return the command that goes on with a chat."""
    where = without_password(place.store)
    options = "" if place.store == default_store() else f" --store {shlex.quote(where)}"
    options += "" if place.sandbox == usual_sandbox() else f" --sandbox {place.sandbox}"
    options += "" if run.source == "here" else " --trust"
    return f"{program()} chat --run {run.row.short}{options}"


def _at_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


async def _talk(talk: Talk) -> None:
    """Read lines and act on them until the last one."""
    lines: Lines = TypedLines([*COMMANDS]) if talk.at_terminal else PipedLines()
    act = _told_of_errors if talk.at_terminal else _act
    _greet(talk, lines)
    draft = await act(talk, "/retry") if talk.unfinished else ""
    while True:
        prompt = f"{talk.messages + 1}> "
        try:
            line = await lines.next(prompt, draft)
            if not talk.at_terminal and line.strip():
                talk.showing.said(prompt, line)
            draft = await act(talk, line)
        except (EOFError, Left):
            return


async def _act(talk: Talk, line: str) -> str:
    """Act on a line; return the text to start the next line from."""
    if not line.strip():
        return ""
    if line.startswith("/"):
        return await do(talk, line)
    await talk.say(line)
    return ""


async def _told_of_errors(talk: Talk, line: str) -> str:
    """Act on a line as `_act` does, and print an error that ends the command in a pipe."""
    try:
        return await _act(talk, line)
    except InputError as error:
        told = str(error)
    except (ModelError, SandboxError) as error:
        told = f"{error.owner}: {error}; /retry tries again, /undo takes the message back"
    except Stopped:
        told = "stopped; /retry goes on with the message, /undo takes it back"
    talk.progress.print(printable(" ".join(told.split())), markup=False, style="red")
    return ""


def _greet(talk: Talk, lines: Lines) -> None:
    """Print which chat this is, and what was said in it."""
    model = talk.settings.models["coder"]
    if talk.at_terminal:
        talk.progress.print(f"chat with {model}; /help lists the commands", markup=False)
    if talk.run is None:
        return
    talk.progress.print(printable(f"run {talk.run.row.short}: {talk.run.row.title}"), markup=False)
    record = talk.run.record
    for task in record.tasks:
        talk.showing.said(f"{task.number}> ", task.prompt)
        lines.remember(task.prompt)
    if talk.at_terminal and record.current:
        talk.showing.drafted(record, record.current[-1])
        talk.showing.ran(record, record.current[-1])
