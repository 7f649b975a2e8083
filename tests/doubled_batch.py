"""A batch of many tasks in three turns, and what two stores of its runs are compared by."""

import json
from pathlib import Path

from opencodeinterpreter.graph.runs import Run, open_run
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import list_runs
from tests.doubling import PLUS_TWO, RIGHT, TESTS, TRIPLE, draft, write_script


def lay_out(home: Path, count: int) -> tuple[str, ...]:
    """Return the arguments of a batch of tasks that are solved in three turns of some time."""
    replies = [draft(PLUS_TWO), draft(TRIPLE), draft(RIGHT)]
    spec = write_script(home / "script.toml", replies, delays=(2.0,))
    lines = [
        {"id": f"{n}", "prompt": f"Write double(n), way {n}.", "tests": TESTS} for n in range(count)
    ]
    tasks = home / "tasks.jsonl"
    tasks.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return ("batch", str(tasks), "--model", spec, "--concurrency", "1")


async def stored(url: str) -> list[Run]:
    async with open_store(url) as store:
        return [await open_run(store, row.id) for row in await list_runs(store)]


async def begun_again(url: str) -> int:
    """Return how many jobs were begun again after a process had died."""
    async with open_store(url) as store:
        return len(await store.execute("SELECT key FROM opencodeinterpreter_jobs WHERE deaths > 1"))


def told(runs: list[Run]) -> list[tuple[str, str, list[str | None]]]:
    """Return what matters of runs: task, status, and the program of each turn."""
    return sorted(
        (
            run.record.task.prompt,
            run.row.status,
            [turn.draft.code if turn.draft else None for turn in run.record.turns],
        )
        for run in runs
    )
