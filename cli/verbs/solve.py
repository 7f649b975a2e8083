"""`solve`: run a task and print its final code."""

import asyncio
import os
import shlex
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from opencodeinterpreter.cli.files import check_file, check_output, is_text, read_code
from opencodeinterpreter.cli.options import RunOptions
from opencodeinterpreter.cli.running import carry_on, finish
from opencodeinterpreter.cli.settings import SettingsOptions
from opencodeinterpreter.graph.checking import checked
from opencodeinterpreter.graph.runs import Run, create_run, open_run
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.nodes.records import Task
from opencodeinterpreter.nodes.state import Input, TaskInput
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.grading.tests import PythonTests, read_tests
from opencodeinterpreter.tools.input_files import read_files
from opencodeinterpreter.traces.growing import GrowingTrace


@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """A task on the command line."""

    task: Annotated[
        str, typer.Argument(help="The task: a sentence, a function stub, or - for stdin.")
    ]
    tests: Annotated[
        Path | None,
        typer.Option(help="Feedback tests: .py (asserts, test_*) or .jsonl (input/output cases)."),
    ] = None
    file: Annotated[
        list[Path],
        typer.Option(help="A file for the program and its tests: data, conftest.py, helpers."),
    ] = field(default_factory=list)
    entry_point: Annotated[str | None, typer.Option(help="The function that cases call.")] = None
    reference: Annotated[
        Path | None, typer.Option(help="A right solution; only the oracle critic sees it.")
    ] = None

    def read(self) -> TaskInput:
        """Return the task with its files' contents; raises InputError."""
        text = self.task
        if text == "-":
            text = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
        if not is_text(text):
            raise InputError("the task is not UTF-8 text")
        if os.path.isfile(text):  # noqa: PTH113 - a task may be too long for a path
            raise InputError(
                f"the task is the name of a file, {text}; to pass its content, write "
                f"solve - <{shlex.quote(text)}, and to start from it as a draft, --draft"
            )
        if not text.strip():
            raise InputError("the task is empty; describe the code to write")
        tests = read_tests(self.tests) if self.tests else None
        files = read_files(self.file)
        if isinstance(tests, PythonTests):
            # The program must not import the tests' helpers.
            helpers = {name: files.pop(name) for name in list(files) if name.endswith(".py")}
            tests = tests.model_copy(update={"files": helpers})
        return {
            "prompt": text,
            "entry_point": self.entry_point,
            "tests": tests.model_dump(mode="json") if tests else None,
            "reference": read_code(self.reference, "reference") if self.reference else None,
            "files": files,
        }


def solve(
    task: TaskOptions,
    settings: SettingsOptions,
    options: RunOptions,
    draft: Annotated[Path | None, typer.Option(help="Start from this code.")] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Append the run to this new trace file, node by node.")
    ] = None,
) -> None:
    """Solve a task.

    Drafts code, runs it, judges it and refines it until it is solved or a limit is reached.
    """
    check_output(options.output)
    check_file(trace)
    if trace is not None and trace.exists():
        raise InputError(f"cannot write {trace}: it exists; name a new file")
    chosen = settings.fresh()
    seed = task_seed(task.read(), chosen, read_code(draft, "draft") if draft else None)
    finish(asyncio.run(_solve(seed, options, trace)), options)


async def _solve(seed: Input, options: RunOptions, trace: Path | None) -> Run:
    task = Task.model_validate(seed["tasks"][-1])
    async with checked(task, options.sandbox) as runner, open_store(options.store) as store:
        row = await create_run(store, seed)
        if trace is None:
            return await carry_on(store, row, options, runner=runner)
        with closing(GrowingTrace(trace, await open_run(store, row.id))) as growing:
            run = await carry_on(store, row, options, runner=runner, on_record=growing.add)
            if run.next == "end":
                growing.end()
            return run
