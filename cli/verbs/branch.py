"""`branch`: start a new run from a turn of another one, with an edit."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from opencodeinterpreter.cli.files import check_output, read_code
from opencodeinterpreter.cli.options import RunOptions, TrustOption
from opencodeinterpreter.cli.running import carry_on, check_settings, finish
from opencodeinterpreter.cli.settings import SettingsOptions
from opencodeinterpreter.cli.traces import TARGET_HELP, load_with_origin
from opencodeinterpreter.graph.runs import Origin, Run, Source, create_run
from opencodeinterpreter.graph.seeds import BranchNode, Edit, branch_seed, settings_at
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import SHORT
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import InputError


@dataclass(frozen=True, kw_only=True)
class EditOptions:
    """The turn at which a branch starts, and the change there: at most one of four."""

    turn: Annotated[
        int | None, typer.Option("--turn", min=1, help="The turn to change; default: the last.")
    ] = None
    feedback: Annotated[str | None, typer.Option(help="Other words for the coder.")] = None
    code: Annotated[Path | None, typer.Option(help="Other code for that turn.")] = None
    verdict: Annotated[
        Literal["solved", "revise", "stopped"] | None, typer.Option(help="Another verdict.")
    ] = None
    at: Annotated[
        BranchNode | None, typer.Option("--at", help="Run this node of that turn again.")
    ] = None

    def read(self) -> Edit:
        """Return the edit without settings; raises InputError for several at once."""
        given = (self.feedback, self.code, self.verdict, self.at)
        if sum(edit is not None for edit in given) > 1:
            raise InputError("give one of --feedback, --code, --verdict and --at")
        if self.feedback is not None and not self.feedback.strip():
            raise InputError("--feedback is empty; write what the coder should change")
        code = read_code(self.code, "code") if self.code else None
        return Edit(feedback=self.feedback, code=code, verdict=self.verdict, at=self.at)


def branch(
    target: Annotated[str, typer.Argument(metavar="RUN|FILE", help=TARGET_HELP)],
    edit: EditOptions,
    settings: SettingsOptions,
    options: RunOptions,
    trust: TrustOption = False,
) -> None:
    """Branch a run at a turn with an edit.

    With new settings alone, the branch starts at the judge of that turn, or at the node of --at.
    The parent does not change.
    """
    made = edit.read()
    check_output(options.output)
    parent, here = load_with_origin(options.store, target)
    name = parent.header.run[:SHORT]
    number = edit.turn or len(parent.record.turns)
    before = settings_at(parent.record, name, number)
    check_settings(f"run {name} came with a trace, which", before, trust=here or trust)
    seed = branch_seed(parent.record, name, number, _with_settings(made, before, settings))
    source: Source = "here" if here else "trace"
    origin = Origin(parent=parent.header.run, parent_turn=number, source=source)

    async def go() -> Run:
        async with open_store(options.store) as store:
            return await carry_on(store, await create_run(store, seed, origin), options)

    finish(asyncio.run(go()), options)


def _with_settings(edit: Edit, before: Settings, options: SettingsOptions) -> Edit:
    settings = options.over(before)
    changed = replace(edit, settings=settings if settings.digest != before.digest else None)
    if changed == Edit():
        raise InputError(
            "nothing is changed; give --feedback, --code, --verdict, --at or a setting"
        )
    return changed
