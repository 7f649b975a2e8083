"""`demo`: run the loop on small tasks, live and scripted; then branch and replay the runs."""

import asyncio
import json
import shlex
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from opencodeinterpreter.cli.counting import counted
from opencodeinterpreter.cli.demo_task import DemoTask, demo_tasks
from opencodeinterpreter.cli.options import JsonOption, SandboxOption
from opencodeinterpreter.cli.running import final_code
from opencodeinterpreter.cli.traces import read_trace_file
from opencodeinterpreter.cli.words import node_line, program
from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.graph.runs import Origin, Run, advance, create_run
from opencodeinterpreter.graph.seeds import Edit, branch_seed, task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import Row
from opencodeinterpreter.graph.store.usual import default_store
from opencodeinterpreter.nodes.limits import seconds, tokens
from opencodeinterpreter.nodes.records import Turn
from opencodeinterpreter.nodes.settings import DEFAULT_MODEL, Limits, Retry, Settings
from opencodeinterpreter.tools.errors import InputError, ModelError, SandboxError
from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.models.protocol import Model, Role, Sampling
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import Runner, open_runner
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX, SandboxName
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import trace_of

Models = Mapping[Role, Model]

LIVE_TURNS, RETRY_DRAFTS, SEED = 3, 3, 1
SANDBOX = SandboxLimits(wall_seconds=4, cpu_seconds=2)
BRANCHED_BY_WORDS = "ferry_trips"
WORDS = "It timed out with a car that is longer than the deck. Such a car is turned away."
BRANCHED_BY_CODE = "leap_birthdays"
"""Its script never solves the task."""


StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        default_factory=lambda: str(Path(default_store()).with_name("demo.sqlite")),
        show_default="$XDG_DATA_HOME/opencodeinterpreter/demo.sqlite",
        help="Where the demo's runs are kept.",
    ),
]


@dataclass(frozen=True)
class Shown:
    """A row of the result table."""

    name: str
    model: str
    run: Run
    hidden: str
    """The result of the final code on tests that the loop never had."""


def demo(
    store: StoreOption, sandbox: SandboxOption = DEFAULT_SANDBOX, as_json: JsonOption = False
) -> None:
    """Show what the loop does: drafts, refinement, replay, branches.

    With --json the progress goes to stderr and the result table to stdout.
    """
    console = Console(stderr=as_json, highlight=False, soft_wrap=True, markup=False, emoji=False)
    rows = asyncio.run(_demo(store, sandbox, console))
    if as_json:
        print(json.dumps(rows))


async def _demo(url: str, name: SandboxName, console: Console) -> list[dict[str, Any]]:
    """Run the demo; return the rows of its table, none if the sandbox refuses."""
    async with open_store(url) as store, AsyncExitStack() as stack:
        try:
            runner = await stack.enter_async_context(open_runner(name))
        except SandboxError as refusal:
            await _without_sandbox(console, refusal)
            return []
        stage = _Stage(console, store, runner, name)
        await stage.play()
        return [_cells(shown) for shown in stage.shown.values()]


class _Stage:
    """The demo on a machine where code can run."""

    def __init__(
        self, console: Console, store: Store, runner: Runner, sandbox: SandboxName
    ) -> None:
        self.console = console
        self.store = store
        self.runner = runner
        self.sandbox = sandbox
        self.shown: dict[str, Shown] = {}

    async def play(self) -> None:
        """Run all parts, then print the table and some commands to try next."""
        await self._live()
        await self._scripted()
        await self._branches()
        await self._replays()
        self.console.print(self._table())
        self._commands()

    async def _live(self) -> None:
        self._head(
            f"LIVE: {DEFAULT_MODEL}, a real model of 0.5 billion parameters on this CPU. After a "
            f"draft that fails it writes {RETRY_DRAFTS} more from the feedback. It may fail."
        )
        settings = Settings(
            models={"coder": DEFAULT_MODEL},
            sampling={"coder": Sampling(max_tokens=256, seed=SEED)},
            retry=Retry(drafts=RETRY_DRAFTS),
            limits=Limits(turns=LIVE_TURNS),
            sandbox=SANDBOX,
        )
        try:
            async with open_models(settings.models, settings.client) as models:
                for task in demo_tasks("demo_live"):
                    await self._solve(task, settings, models)
        except (InputError, ModelError) as error:
            self.console.print(f"left out: {error}")

    async def _scripted(self) -> None:
        self._head(
            "SCRIPTED: drafts and critics come from files; execution, tests and verdicts are real. "
            "A script improves its draft only after the feedback that it names."
        )
        for task in demo_tasks("demo_tasks"):
            settings = scripted_settings(task)
            async with open_models(settings.models, settings.client) as models:
                await self._solve(task, settings, models)

    async def _branches(self) -> None:
        self._head("BRANCHES: each is a new run; its parent does not change.")
        tasks = {task.name: task for task in demo_tasks("demo_tasks")}
        by_words, by_code = tasks[BRANCHED_BY_WORDS], tasks[BRANCHED_BY_CODE]
        await self._branch(by_words, "other words", Edit(feedback=WORDS))
        await self._branch(by_code, "code edited", Edit(code=by_code.reference))

    async def _branch(self, task: DemoTask, how: str, edit: Edit) -> None:
        parent = self.shown[task.name].run
        seed = branch_seed(parent.record, parent.row.short, 1, edit)
        row = await create_run(self.store, seed, Origin(parent=parent.row.id, parent_turn=1))
        settings = scripted_settings(task)
        async with open_models(settings.models, settings.client) as models:
            await self._advance(task, f"{task.name}: {how}", row, models)

    async def _replays(self) -> None:
        self._head("REPLAYS: the same graph with recorded answers; no model, no sandbox.")
        for shown in self.shown.values():
            found = await replay(trace_of(shown.run))
            word = "identical" if found.identical else f"diverged: {found.divergence}"
            self.console.print(f"{shown.run.row.short}  {shown.name}: {word}")

    async def _solve(self, task: DemoTask, settings: Settings, models: Models) -> None:
        row = await create_run(self.store, task_seed(task.input(), settings))
        await self._advance(task, task.name, row, models)

    async def _advance(self, task: DemoTask, name: str, row: Row, models: Models) -> None:
        def watch(node: str, turn: Turn) -> None:
            self.console.print(f"  {node_line(node, turn)}")

        self.console.print(f"{row.short}  {name}: {task.title}")
        graph = build_graph(models, self.runner, checkpointer=self.store.saver)
        run = await advance(self.store, graph, row, watch=watch)
        hidden = await self._score(task, run)
        self.shown[name] = Shown(name, models["coder"].spec.partition(":")[0], run, hidden)

    async def _score(self, task: DemoTask, run: Run) -> str:
        """Run the hidden tests on the final code, outside the graph."""
        code = final_code(run)
        if code is None:
            return "no code"
        scored = await self.runner.run(
            Program(
                code=code,
                entry_point=task.entry_point,
                tests=PythonTests(source=task.scoring),
                limits=SANDBOX,
            )
        )
        return "passed" if scored.passed else "failed"

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for heading in ("run", "task", "model", "turns", "verdict", "hidden"):
            table.add_column(heading, no_wrap=heading != "task")
        for heading in ("tokens", "seconds"):
            table.add_column(heading, justify="right", no_wrap=True)
        for shown in self.shown.values():
            cells = {**_cells(shown), "run": shown.run.row.short}
            cells["tokens"] = cells["tokens"] or "-"
            cells["seconds"] = f"{cells['seconds']:.1f}"
            table.add_row(*(str(cell) for cell in cells.values()))
        self._head(
            "RESULT: `hidden` are tests that the loop never had; scripted models count no tokens."
        )
        return table

    def _commands(self) -> None:
        row = self.shown[BRANCHED_BY_CODE].run.row.short
        self._head("NEXT, TRY")
        command = f"{program()} {{}} --store {shlex.quote(self.store.name)}"
        for line in ("runs", f"show {row}", f"replay {row}", f"export {row} -o {row}.jsonl"):
            self.console.print(command.format(line))
        where = "" if self.sandbox == DEFAULT_SANDBOX else f" --sandbox {self.sandbox}"
        self.console.print(f'{program()} solve "Write a function …" --tests FILE{where}')

    def _head(self, text: str) -> None:
        self.console.print(f"\n{text}", style="bold")


def _cells(shown: Shown) -> dict[str, Any]:
    turns = shown.run.record.turns
    return {
        "run": shown.run.row.id,
        "task": shown.name,
        "model": shown.model,
        "turns": len(turns),
        "verdict": shown.run.row.status,
        "hidden": shown.hidden,
        "tokens": tokens(turns),
        "seconds": seconds(turns),
    }


def scripted_settings(task: DemoTask) -> Settings:
    """Return settings with which a task's own file answers for the coder and the critic."""
    return Settings(
        models={"coder": f"scripted:{task.path}"},
        critic="simulated" if task.critic else "execution",
        sandbox=SANDBOX,
    )


async def _without_sandbox(console: Console, refusal: SandboxError) -> None:
    """Run the part that needs no sandbox: replay the traces that come with the package."""
    console.print(f"The sandbox refuses, so no code is run here.\n{refusal}\n")
    console.print("Left out: the live and the scripted tasks, and the branches.")
    console.print("REPLAYS of recorded runs:", style="bold")
    with as_file(files("opencodeinterpreter.traces") / "examples") as folder:
        for path in sorted(folder.glob("*.jsonl")):
            found = await replay(read_trace_file(path))
            word = "identical" if found.identical else f"diverged: {found.divergence}"
            console.print(f"{path.stem}: {counted(found.turns, 'turn')}, {word}")
