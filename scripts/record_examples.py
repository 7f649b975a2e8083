"""Record the traces that come with the package anew, where their form or the prompts changed.

    python scripts/record_examples.py FOLDER

FOLDER is new and gets a trace file for each example; the store beside them holds their runs. Run it
at the root of the project: the scripts of the models are named from there.
"""

import asyncio
import sys
from pathlib import Path

from opencodeinterpreter.cli.demo_task import demo_tasks
from opencodeinterpreter.cli.verbs.demo import LIVE_TURNS, RETRY_DRAFTS, SANDBOX, SEED, WORDS
from opencodeinterpreter.graph.runs import Origin, advance, create_run, open_run
from opencodeinterpreter.graph.seeds import Edit, branch_seed
from opencodeinterpreter.graph.solve import open_solver
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.nodes.records import CriticKind
from opencodeinterpreter.nodes.settings import DEFAULT_MODEL, Limits, Retry, Settings
from opencodeinterpreter.tools.models.protocol import Sampling
from opencodeinterpreter.tools.person import PersonAnswer, Question
from opencodeinterpreter.traces.trace import Trace, trace_of

TASKS = {task.name: task for folder in ("demo_tasks", "demo_live") for task in demo_tasks(folder)}
EXAMPLES: dict[str, tuple[str, CriticKind]] = {
    "endless_loop": ("ferry_trips", "execution"),
    "never_solved": ("leap_birthdays", "execution"),
    "no_code_at_first": ("high_water", "execution"),
    "simulated_user": ("stock_take", "simulated"),
    "person": ("garden_fence", "human"),
}
"""Examples by name: their task and critic. Their models are scripted."""
BRANCHES = {
    "branch_by_words": ("endless_loop", 1, Edit(feedback=WORDS)),
    "branch_by_code": ("never_solved", 2, Edit(code=TASKS["leap_birthdays"].reference)),
}
"""Branches by name: the example, the turn and the edit."""
LIVE = Settings(
    models={"coder": DEFAULT_MODEL},
    sampling={"coder": Sampling(max_tokens=256, seed=SEED)},
    retry=Retry(form="without_draft", drafts=RETRY_DRAFTS),
    limits=Limits(turns=LIVE_TURNS),
    sandbox=SANDBOX,
)


class Person:
    """Says what is wrong whenever it is asked."""

    async def ask(self, question: Question) -> PersonAnswer:
        """Answer with words."""
        words = "Trying it, I got a NameError for math. Please mend it."
        return PersonAnswer(action="words", text=words)


def scripted(task: str, critic: CriticKind = "execution") -> Settings:
    """Return settings with which a task's own file answers."""
    spec = f"scripted:cli/demo_tasks/{task}.toml"
    return Settings(models={"coder": spec}, critic=critic, sandbox=SANDBOX)


def main() -> None:
    """Record all examples, then write them."""
    folder = Path(sys.argv[1])
    folder.mkdir()
    for name, trace in asyncio.run(recorded(str(folder / "examples.sqlite"))).items():
        text = "".join(f"{line}\n" for line in trace.lines())
        (folder / f"{name}.jsonl").write_text(text, "utf-8")


async def recorded(url: str) -> dict[str, Trace]:
    """Return the examples' traces by name, recorded in a new store."""
    async with open_store(url) as store:
        made = {name: await solved(store, *about) for name, about in EXAMPLES.items()}
        for name, (parent, turn, edit) in BRANCHES.items():
            made[name] = await branched(store, EXAMPLES[parent][0], made[parent], turn, edit)
        made["live_drafts"] = await repaired(store)
        return {name: trace_of(await open_run(store, run)) for name, run in made.items()}


async def solved(store: Store, task: str, critic: CriticKind) -> str:
    """Solve a task with its script and return the run's id."""
    async with open_solver(scripted(task, critic), store=store, person=Person()) as solver:
        return str((await solver.run(TASKS[task].input())).run)


async def branched(store: Store, task: str, parent: str, turn: int, edit: Edit) -> str:
    """Branch a run at a turn and return the branch's id."""
    of = await open_run(store, parent)
    seed = branch_seed(of.record, of.row.short, turn, edit)
    row = await create_run(store, seed, Origin(parent=parent, parent_turn=turn))
    async with open_solver(scripted(task), store=store) as solver:
        await advance(store, solver.graph, row)
    return row.id


async def repaired(store: Store) -> str:
    """Return a run in which the default model repaired a draft of its own."""
    async with open_solver(LIVE, store=store) as solver:
        for task in demo_tasks("demo_live"):
            done = await solver.run(task.input())
            if done.record.solved and len(done.record.turns) > 1:
                return str(done.run)
    raise SystemExit("error: the model repaired no draft; change the seed")


if __name__ == "__main__":
    main()
