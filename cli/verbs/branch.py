"""`branch`: a new run that leaves another one at some turn, with an edit."""

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import typer

from opencodeinterpreter.cli.options import (
    CriticOption,
    DeadlineOption,
    DraftsOption,
    JsonOption,
    ModelOption,
    OutputOption,
    PromptOption,
    RunArgument,
    SandboxOption,
    SetOption,
    StoreOption,
    TrustOption,
    TurnsOption,
    check_output,
    read_code,
    settings_with,
)
from opencodeinterpreter.cli.running import carry_on, check_trust, finish, settings_of
from opencodeinterpreter.graph.runs import Origin, Run, create_run, open_run
from opencodeinterpreter.graph.seeds import Edit, branch_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import find_run
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX


def branch(
    run: RunArgument,
    store: StoreOption,
    turn: Annotated[
        int | None, typer.Option("--turn", min=1, help="Where to leave it; by default the last.")
    ] = None,
    feedback: Annotated[str | None, typer.Option(help="Other words for the coder.")] = None,
    code: Annotated[Path | None, typer.Option(help="Other code for that turn.")] = None,
    verdict: Annotated[
        Literal["solved", "revise", "stopped"] | None, typer.Option(help="Another verdict.")
    ] = None,
    model: ModelOption = [],  # noqa: B006 - typer reads it and never changes it
    critic: CriticOption = None,
    turns: TurnsOption = None,
    drafts: DraftsOption = None,
    prompt: PromptOption = [],  # noqa: B006
    setting: SetOption = [],  # noqa: B006
    output: OutputOption = None,
    sandbox: SandboxOption = DEFAULT_SANDBOX,
    deadline: DeadlineOption = None,
    trust: TrustOption = False,
    as_json: JsonOption = False,
) -> None:
    """Branch a run at a turn with an edit.

    New settings alone re-enter at the judge of that turn. The parent stays as it is.
    """
    if sum(edit is not None for edit in (feedback, code, verdict)) > 1:
        raise InputError("give one of --feedback, --code and --verdict")
    if feedback is not None and not feedback.strip():
        raise InputError("--feedback is empty; say something")
    check_output(output)
    edited = read_code(code, "code") if code else None

    async def go() -> Run:
        async with open_store(store) as opened:
            parent = await open_run(opened, (await find_run(opened, run)).id)
            check_trust(parent, trust)
            before = settings_of(parent)
            settings = settings_with(before, model, critic, turns, drafts, prompt, setting)
            changed = settings if settings.digest != before.digest else None
            edit = Edit(feedback=feedback, code=edited, verdict=verdict, settings=changed)
            if edit == Edit():
                raise InputError("nothing is changed; give --feedback, --code or another setting")
            number = turn or len(parent.record.turns)
            seed = branch_seed(parent.record, parent.row.short, number, edit)
            row = await create_run(opened, seed, Origin(parent=parent.row.id, parent_turn=number))
            return await carry_on(opened, row, sandbox=sandbox, deadline=deadline)

    finish(asyncio.run(go()), store, sandbox, output, as_json)
