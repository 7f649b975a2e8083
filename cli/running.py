"""Carrying a run on from the command line: live lines, a person's answers, the end in words."""

import asyncio
import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import typer
from rich.console import Console

from opencodeinterpreter.cli.asking import ask_person, ctrl_c_heard
from opencodeinterpreter.cli.fetching import fetch_named
from opencodeinterpreter.cli.live import LiveAnswer
from opencodeinterpreter.cli.options import default_store, write_text
from opencodeinterpreter.cli.printable import printable
from opencodeinterpreter.cli.words import node_line, program, summary
from opencodeinterpreter.graph.build import Graph
from opencodeinterpreter.graph.opening import open_graph
from opencodeinterpreter.graph.runs import Run, advance, open_run
from opencodeinterpreter.graph.store.protocol import Store, without_password
from opencodeinterpreter.graph.store.rows import Row
from opencodeinterpreter.nodes.records import Turn
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import InputError, ModelError, SandboxError
from opencodeinterpreter.tools.person import PersonAnswer, Question
from opencodeinterpreter.tools.sandbox.opening import SandboxName, usual_sandbox

NOT_SOLVED = 1
OUTSIDE_FAILURE = 3
_STATUSES = {"solved": 0, "waiting": 4, "interrupted": 5}
"""Exit statuses of runs that ended or stopped; an interrupted one reached its deadline."""
DEADLINE = "deadline reached"


async def carry_on(
    store: Store,
    row: Row,
    *,
    sandbox: SandboxName,
    answer: PersonAnswer | None = None,
    deadline: float | None = None,
) -> Run:
    """Advance a run with the settings that it was stored with, asking a person at a terminal.

    When it is cut short (Ctrl-C, a deadline, a failure), the way to resume is printed first.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
    console.print(printable(f"run {row.short}: {row.title}"), markup=False)
    run = await open_run(store, row.id)
    if run.next == "end":
        return run
    try:
        async with asyncio.timeout(deadline) as clock:
            settings = settings_of(run)
            await fetch_named(settings.models.values())
            async with open_graph(settings, store, sandbox=sandbox) as graph:
                return await _advance(store, graph, row, answer, console)
    except BaseException as error:
        late = isinstance(error, TimeoutError) and clock.expired()
        why = DEADLINE if late else "stopped"
        console.print(
            f"{why}; go on with: {resume_command(row, store.name, sandbox)}", markup=False
        )
        if late or isinstance(error, ModelError | SandboxError):
            run = await open_run(store, row.id)
            if late or (run.failure and run.failure.message == str(error)):
                return run
        raise


async def _advance(
    store: Store, graph: Graph, row: Row, answer: PersonAnswer | None, console: Console
) -> Run:
    while True:
        with console.status("working …") as status:
            live = LiveAnswer(status)

            def watch(node: str, turn: Turn, live: LiveAnswer = live) -> None:
                console.print(node_line(node, turn), markup=False)
                live.end(f"turn {turn.number}, after {node} …")

            hear = live.hear if console.is_terminal else None
            run = await advance(store, graph, row, answer=answer, watch=watch, hear=hear)
        if run.question is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return run
        answer = _asked(run.question, console)


def _asked(question: Question, console: Console) -> PersonAnswer:
    """Ask on the loop's own thread: nothing goes on meanwhile, and Ctrl-C must reach the prompt.

    A thread could not be called back from its prompt. Leaving it is an interruption.
    """
    try:
        with ctrl_c_heard():
            return ask_person(question, console)
    except (click.Abort, EOFError):
        console.print()
        raise KeyboardInterrupt from None


def settings_of(run: Run) -> Settings:
    """Return the settings that a run goes on with."""
    record = run.record
    named = record.current[-1].settings if record.current else list(record.settings)[-1]
    return Settings.model_validate(record.settings[named])


def check_trust(run: Run, trust: bool) -> None:
    """Raise InputError where a run's settings came with a trace and nobody vouches for them.

    They name servers, files, and the variable whose value goes to a server as its key.
    """
    if run.source == "here" or trust:
        return
    settings = settings_of(run)
    models = ", ".join(f"{role}={spec}" for role, spec in settings.models.items())
    key = settings.client.key_variable
    engine = (
        f", engine options {', '.join(settings.client.engine)}" if settings.client.engine else ""
    )
    raise InputError(
        f"run {run.row.short} came with a trace, and so did its settings: {models}, "
        f"key from {key or 'no variable'}{engine}; if you trust them, add --trust"
    )


def resume_command(row: Row, store: str, sandbox: SandboxName) -> str:
    """Return what to type to go on with a run of the store of this name."""
    where = "" if store == default_store() else f" --store {shlex.quote(store)}"
    where += "" if sandbox == usual_sandbox() else f" --sandbox {sandbox}"
    return f"{program()} resume {row.short}{where}"


def finish(run: Run, store: str, sandbox: SandboxName, output: Path | None, as_json: bool) -> None:
    """Print a run's end, write its code, and exit with its status.

    In a pipe the final code, and nothing else, goes to stdout; no code where the run failed.
    """
    if run.failure:
        if as_json:
            print(json.dumps(result(run)))
        failed = f"{run.failure.owner}: {' '.join(run.failure.message.split())}"
        print(printable(f"opencodeinterpreter: {failed}"), file=sys.stderr)
        raise typer.Exit(OUTSIDE_FAILURE)
    code = final_code(run)
    if output is not None and code is not None:
        write_text(output, code)
    if as_json:
        print(json.dumps(result(run)))
    else:
        resume = resume_command(run.row, without_password(store), sandbox)
        print(summary(run, resume), file=sys.stderr)
        if output is None and code is not None:
            print(printable(code) if sys.stdout.isatty() else code, end="")
    if status := _STATUSES.get(run.row.status, NOT_SOLVED):
        raise typer.Exit(status)


def final_code(run: Run) -> str | None:
    """Return the newest code of a run, ending in one line end."""
    return run.record.code.rstrip() + "\n" if run.record.code is not None else None


def result(run: Run) -> dict[str, Any]:
    """Return a run's end as JSON."""
    outcome = run.record.outcome
    return {
        "run": asdict(run.row),
        "verdict": outcome.model_dump(mode="json", exclude={"calls"}) if outcome else None,
        "question": run.question.model_dump(mode="json") if run.question else None,
        "failure": asdict(run.failure) if run.failure else None,
        "sandboxes": sorted(_sandboxes(run)),
        "code": final_code(run),
    }


def _sandboxes(run: Run) -> set[str]:
    """Return the sandboxes that a run's code ran in, as its executions tell."""
    ran = (execution for turn in run.record.turns for execution in turn.executions or ())
    return {execution.tier for execution in ran if execution and execution.tier}
