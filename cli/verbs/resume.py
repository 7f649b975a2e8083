"""`resume`: continue a run that was cut short, or that waits for a person."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from opencodeinterpreter.cli.files import check_output, read_code
from opencodeinterpreter.cli.options import RunArgument, RunOptions, TrustOption
from opencodeinterpreter.cli.running import carry_on, check_trust, finish, settings_of
from opencodeinterpreter.graph.runs import Run, open_run, settled
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import find_run
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.person import PersonAnswer


@dataclass(frozen=True, kw_only=True)
class AnswerOptions:
    """A person's answer to the run's question: at most one of these."""

    approve: Annotated[bool, typer.Option("--approve", help="The draft is right.")] = False
    feedback: Annotated[str | None, typer.Option(help="Words for the coder.")] = None
    code: Annotated[Path | None, typer.Option(help="Continue with this code.")] = None
    stop: Annotated[bool, typer.Option("--stop", help="End the run unsolved.")] = False

    def read(self) -> PersonAnswer | None:
        """Return the answer, `None` if there is none; raises InputError for several."""
        if self.feedback is not None and not self.feedback.strip():
            raise InputError("--feedback is empty; write what the coder should change")
        code = read_code(self.code, "code") if self.code else None
        answers = [
            *([PersonAnswer(action="approve")] if self.approve else []),
            *([PersonAnswer(action="stop")] if self.stop else []),
            *([PersonAnswer(action="words", text=self.feedback)] if self.feedback else []),
            *([PersonAnswer(action="edit", text=code)] if code else []),
        ]
        if len(answers) > 1:
            raise InputError("give one of --approve, --feedback, --code and --stop")
        return answers[0] if answers else None


def resume(
    run: RunArgument, answer: AnswerOptions, options: RunOptions, trust: TrustOption = False
) -> None:
    """Resume a run where it stopped, with its recorded settings."""
    check_output(options.output)
    finish(asyncio.run(_resume(run, answer.read(), options, trust)), options)


async def _resume(
    prefix: str, answer: PersonAnswer | None, options: RunOptions, trust: bool
) -> Run:
    async with open_store(options.store) as store:
        row = await find_run(store, prefix)
        run = await open_run(store, row.id)
        if answer and not run.question:
            raise InputError(f"run {row.short} has no question to answer; to change it, use branch")
        if run.next == "end":
            return await settled(store, run)
        check_trust(run, settings_of(run), trust)
        return await carry_on(store, row, options, answer)
