"""`solve`: a task in, a run and its final code out."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from opencodeinterpreter.cli.options import (
    MODEL_VARIABLE,
    CriticOption,
    DeadlineOption,
    DraftsOption,
    JsonOption,
    ModelOption,
    OutputOption,
    PromptOption,
    SandboxOption,
    SetOption,
    StoreOption,
    TurnsOption,
    check_output,
    is_text,
    read_code,
    settings_with,
)
from opencodeinterpreter.cli.running import carry_on, finish
from opencodeinterpreter.graph.checking import check_task
from opencodeinterpreter.graph.runs import Run, create_run
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.nodes.records import Task
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import Input
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.grading.tests import read_tests
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX, SandboxName


def solve(
    task: Annotated[
        str, typer.Argument(help="The task: a sentence, a function stub, or - for stdin.")
    ],
    store: StoreOption,
    tests: Annotated[
        Path | None,
        typer.Option(help="Feedback tests: .py (asserts, test_*) or .jsonl (input/output cases)."),
    ] = None,
    file: Annotated[
        list[Path],
        typer.Option(help="A file that the tests need beside them: conftest.py, helpers, data."),
    ] = [],  # noqa: B006
    entry_point: Annotated[str | None, typer.Option(help="The function that cases call.")] = None,
    reference: Annotated[
        Path | None, typer.Option(help="A right solution; only the oracle critic sees it.")
    ] = None,
    draft: Annotated[Path | None, typer.Option(help="Start from this code.")] = None,
    model: ModelOption = [],  # noqa: B006 - typer reads it and never changes it
    critic: CriticOption = None,
    turns: TurnsOption = None,
    drafts: DraftsOption = None,
    prompt: PromptOption = [],  # noqa: B006
    setting: SetOption = [],  # noqa: B006
    output: OutputOption = None,
    sandbox: SandboxOption = DEFAULT_SANDBOX,
    deadline: DeadlineOption = None,
    as_json: JsonOption = False,
) -> None:
    """Solve a task.

    Drafts code, runs it, judges it and refines it until it is solved or a limit is reached.
    """
    check_output(output)
    named = model or [spec for spec in [os.environ.get(MODEL_VARIABLE)] if spec]
    settings = settings_with(Settings(), named, critic, turns, drafts, prompt, setting)
    text = sys.stdin.buffer.read().decode("utf-8", "surrogateescape") if task == "-" else task
    if not is_text(text):
        raise InputError("the task is not UTF-8 text")
    if not text.strip():
        raise InputError("the task is empty; say what to write")
    if file and tests is None:
        raise InputError("--file names a file beside the tests, and there are no --tests")
    if settings.critic == "oracle" and reference is None:
        raise InputError("the oracle critic needs --reference FILE, a right solution")
    seed = task_seed(
        {
            "prompt": text,
            "entry_point": entry_point,
            "tests": read_tests(tests, file).model_dump(mode="json") if tests else None,
            "reference": read_code(reference, "reference") if reference else None,
        },
        settings,
        read_code(draft, "draft") if draft else None,
    )
    finish(asyncio.run(_solve(store, seed, sandbox, deadline)), store, sandbox, output, as_json)


async def _solve(url: str, seed: Input, sandbox: SandboxName, deadline: float | None) -> Run:
    await check_task(Task.model_validate(seed["tasks"][-1]), sandbox)
    async with open_store(url) as store:
        row = await create_run(store, seed)
        return await carry_on(store, row, sandbox=sandbox, deadline=deadline)
