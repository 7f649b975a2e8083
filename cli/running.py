"""Run the graph from the command line: show its progress, ask a person, print the result."""

import asyncio
import json
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import click
import typer
from rich.console import Console

from opencodeinterpreter.cli.asking import ask_person, ctrl_c_heard
from opencodeinterpreter.cli.fetching import fetch_named
from opencodeinterpreter.cli.files import names_folder, write_output
from opencodeinterpreter.cli.live import LiveAnswer
from opencodeinterpreter.cli.options import RunOptions
from opencodeinterpreter.cli.program_files import program_files
from opencodeinterpreter.cli.statuses import (
    DEADLINE_REACHED,
    NOT_SOLVED,
    OUTSIDE_FAILURE,
    SOLVED,
    WAITING,
)
from opencodeinterpreter.cli.terminating import terminating
from opencodeinterpreter.cli.words import node_line, program, summary
from opencodeinterpreter.graph.build import Graph
from opencodeinterpreter.graph.driving import OnRecord
from opencodeinterpreter.graph.opening import open_graph
from opencodeinterpreter.graph.runs import Run, advance, open_run, settled
from opencodeinterpreter.graph.store.protocol import Store, without_password
from opencodeinterpreter.graph.store.rows import Row
from opencodeinterpreter.graph.store.usual import default_store
from opencodeinterpreter.nodes.prompts import OLDER, installed_prompts
from opencodeinterpreter.nodes.records import Turn
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import InputError, ModelError, SandboxError
from opencodeinterpreter.tools.person import PersonAnswer, Question
from opencodeinterpreter.tools.printable import printable
from opencodeinterpreter.tools.runner import Runner
from opencodeinterpreter.tools.sandbox.opening import SandboxName, usual_sandbox

_STATUSES = {"solved": SOLVED, "waiting": WAITING, "interrupted": DEADLINE_REACHED}
"""Exit statuses of runs that ended or stopped; an interrupted one reached its deadline."""
DEADLINE = "deadline reached"


async def carry_on(
    store: Store,
    row: Row,
    options: RunOptions,
    answer: PersonAnswer | None = None,
    *,
    runner: Runner | None = None,
    on_record: OnRecord | None = None,
) -> Run:
    """Advance a run under its recorded settings; ask a person if there is a terminal.

    `runner`: an opened one; without it one is opened in the sandbox that the options name. If the
    run is cut short (Ctrl-C, a deadline, a failure), the command that resumes it is printed.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
    console.print(printable(f"run {row.short}: {row.title}"), markup=False)
    run = await open_run(store, row.id)
    if run.next == "end":
        return await settled(store, run)
    try:
        async with asyncio.timeout(options.deadline) as clock:
            settings = settings_of(run)
            await fetch_named(settings.models.values())
            async with open_graph(settings, store, sandbox=options.sandbox, runner=runner) as graph:
                return await _advance(store, graph, row, answer, _Told(console, on_record))
    except BaseException as error:
        late = isinstance(error, TimeoutError) and clock.expired()
        why = DEADLINE if late else "stopped"
        resume = resume_command(run, store.name, options.sandbox)
        console.print(f"{why}; resume with: {resume}", markup=False)
        if late or isinstance(error, ModelError | SandboxError):
            run = await open_run(store, row.id)
            if late or (run.failure and run.failure.message == str(error)):
                return run
        raise


@dataclass(frozen=True)
class _Told:
    """Who is told of a run's progress."""

    console: Console
    on_record: OnRecord | None


async def _advance(
    store: Store, graph: Graph, row: Row, answer: PersonAnswer | None, told: _Told
) -> Run:
    console = told.console
    while True:
        with console.status("working …") as status, terminating() as check:
            live = LiveAnswer(status)

            def watch(
                node: str,
                turn: Turn,
                live: LiveAnswer = live,
                check: Callable[[], None] = check,
            ) -> None:
                console.print(node_line(node, turn), markup=False)
                live.end(f"turn {turn.number}, after {node} …")
                check()

            hear = live.hear if console.is_terminal else None
            run = await advance(
                store, graph, row, answer=answer, watch=watch, hear=hear, on_record=told.on_record
            )
        if run.question is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return run
        answer = _asked(run.question, console)


def _asked(question: Question, console: Console) -> PersonAnswer:
    """Ask on the event loop's own thread, which has nothing else to do.

    A prompt in another thread could not be interrupted. Leaving the prompt counts as Ctrl-C.
    """
    try:
        with ctrl_c_heard():
            return ask_person(question, console)
    except (click.Abort, EOFError):
        console.print()
        raise KeyboardInterrupt from None


def settings_of(run: Run) -> Settings:
    """Return the settings under which a run continues."""
    record = run.record
    named = record.current[-1].settings if record.current else list(record.settings)[-1]
    return Settings.model_validate(record.settings[named])


def check_trust(run: Run, settings: Settings, trust: bool) -> None:
    """Raise InputError if a run came with a trace, unless `trust` is true.

    `settings` are those under which it or its branch continues.
    """
    trust = trust or run.source == "here"
    check_settings(f"run {run.row.short} came with a trace, which", settings, trust=trust)


def check_settings(what: str, settings: Settings, *, trust: bool) -> None:
    """Raise InputError that names all that a stranger's settings reach, unless `trust` is true.

    They name servers, files, and the variable whose value is sent to a server as its key.
    """
    if not trust:
        raise InputError(
            f"{what} came with its settings: {'; '.join(_reaching_out(settings))}; "
            "if you trust them, add --trust"
        )


def _reaching_out(settings: Settings) -> Iterator[str]:
    """Yield what settings reach: models, the key, and every setting that is not the usual one."""
    yield ", ".join(f"{role}={spec}" for role, spec in settings.models.items())
    yield f"key from {settings.client.key_variable or 'no variable'}"
    left_out: Any = {"models": True, "prompts": True, "versions": True, "client": {"key_variable"}}
    usual, own = (each.model_dump(mode="json", exclude=left_out) for each in (Settings(), settings))
    yield from _changed("", usual, own)
    ours = {*installed_prompts().items(), *OLDER.items()}
    if prompts := dict(settings.prompts.items() - ours):
        yield f"prompts of its own: {', '.join(sorted(prompts))}"


def _changed(name: str, usual: object, own: object) -> Iterator[str]:
    """Yield `name=value` of each value that differs; those of a table one by one."""
    if isinstance(own, dict):
        inside = usual if isinstance(usual, dict) else {}
        for key, value in own.items():
            yield from _changed(f"{name}.{key}".lstrip("."), inside.get(key), value)
    elif own != usual:
        yield f"{name}={json.dumps(own)}"


def resume_command(run: Run, store: str, sandbox: SandboxName) -> str:
    """Return the command that resumes a run of the store with this name."""
    where = "" if store == default_store() else f" --store {shlex.quote(store)}"
    where += "" if sandbox == usual_sandbox() else f" --sandbox {sandbox}"
    where += "" if run.source == "here" else " --trust"
    return f"{program()} resume {run.row.short}{where}"


def finish(run: Run, options: RunOptions) -> None:
    """Print a run's result, write its code, and exit with its status.

    In a pipe, stdout gets the final code and nothing else; if the run failed, it gets nothing.
    """
    if run.failure:
        if options.as_json:
            print(json.dumps(result(run)))
        failed = f"{run.failure.owner}: {' '.join(run.failure.message.split())}"
        print(printable(f"opencodeinterpreter: {failed}"), file=sys.stderr)
        raise typer.Exit(OUTSIDE_FAILURE)
    code = final_code(run)
    found = program_files(run.record)
    if options.output is not None and code is not None:
        write_output(options.output, code, found.files)
    if options.as_json:
        print(json.dumps(result(run)))
    else:
        resume = resume_command(run, without_password(options.store), options.sandbox)
        print(summary(run, resume), file=sys.stderr)
        folder = options.output is not None and names_folder(options.output)
        if found.files and not folder:
            print(_beside(run, found.files, options), file=sys.stderr)
        for line in found.left_out:
            print(printable(f"not kept or not written: {line}"), file=sys.stderr)
        if options.output is None and code is not None:
            print(printable(code) if sys.stdout.isatty() else code, end="")
    if status := _STATUSES.get(run.row.status, NOT_SOLVED):
        raise typer.Exit(status)


def final_code(run: Run) -> str | None:
    """Return the newest code of a run with exactly one line end after it."""
    return run.record.code.rstrip() + "\n" if run.record.code is not None else None


def _beside(run: Run, files: Iterable[str], options: RunOptions) -> str:
    """Return what was not written beside the code, and the command that writes it."""
    where = "" if options.store == default_store() else f" --store {shlex.quote(options.store)}"
    names = ", ".join(files)
    return printable(
        f"the program has or wrote other files ({names}): {program()} show {run.row.short}{where} "
        "--files DIR writes them"
    )


def result(run: Run) -> dict[str, Any]:
    """Return a run's result as JSON."""
    outcome = run.record.outcome
    return {
        "run": asdict(run.row),
        "verdict": outcome.model_dump(mode="json", exclude={"calls"}) if outcome else None,
        "question": run.question.model_dump(mode="json") if run.question else None,
        "failure": asdict(run.failure) if run.failure else None,
        "sandboxes": sorted(_sandboxes(run)),
        "code": final_code(run),
        "files": dict(run.record.final.files) if run.record.final else {},
        "artifacts": [
            {**artifact.model_dump(), "content": run.record.artifacts.get(artifact.sha256 or "")}
            for artifact in run.record.written
        ],
    }


def _sandboxes(run: Run) -> set[str]:
    """Return the sandboxes that are named in a run's executions."""
    ran = (execution for turn in run.record.turns for execution in turn.executions or ())
    return {execution.tier for execution in ran if execution and execution.tier}
