"""`resume`: go on with a run that was cut short, or that waits for a person."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from opencodeinterpreter.cli.options import (
    DeadlineOption,
    JsonOption,
    OutputOption,
    RunArgument,
    SandboxOption,
    StoreOption,
    TrustOption,
    check_output,
    read_code,
)
from opencodeinterpreter.cli.running import carry_on, check_trust, finish
from opencodeinterpreter.graph.runs import Run, open_run
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import find_run
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.person import PersonAnswer
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX, SandboxName


def resume(
    run: RunArgument,
    store: StoreOption,
    approve: Annotated[bool, typer.Option("--approve", help="The draft is right.")] = False,
    feedback: Annotated[str | None, typer.Option(help="Words for the coder.")] = None,
    code: Annotated[Path | None, typer.Option(help="Go on from this code.")] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Give the run up.")] = False,
    output: OutputOption = None,
    sandbox: SandboxOption = DEFAULT_SANDBOX,
    deadline: DeadlineOption = None,
    trust: TrustOption = False,
    as_json: JsonOption = False,
) -> None:
    """Resume a run where it stopped, with its recorded settings."""
    check_output(output)
    if feedback is not None and not feedback.strip():
        raise InputError("--feedback is empty; say something")
    answers = [
        *([PersonAnswer(action="approve")] if approve else []),
        *([PersonAnswer(action="stop")] if stop else []),
        *([PersonAnswer(action="words", text=feedback)] if feedback is not None else []),
        *([PersonAnswer(action="edit", text=read_code(code, "code"))] if code else []),
    ]
    if len(answers) > 1:
        raise InputError("give one of --approve, --feedback, --code and --stop")
    answer = answers[0] if answers else None
    ended = asyncio.run(_resume(store, run, answer, sandbox, deadline, trust))
    finish(ended, store, sandbox, output, as_json)


async def _resume(
    url: str,
    prefix: str,
    answer: PersonAnswer | None,
    sandbox: SandboxName,
    deadline: float | None,
    trust: bool,
) -> Run:
    async with open_store(url) as store:
        row = await find_run(store, prefix)
        run = await open_run(store, row.id)
        if answer and not run.question:
            raise InputError(f"run {row.short} asks nothing; branch it to change something")
        if run.next == "end":
            return run
        check_trust(run, trust)
        return await carry_on(store, row, sandbox=sandbox, answer=answer, deadline=deadline)
