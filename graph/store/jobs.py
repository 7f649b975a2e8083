"""The jobs of batches that several processes work on, as rows of the store that they share.

A row says what to do and whether it has ended. Who does it now is said by the claim of its run
alone, so that no second truth can differ from the first.
"""

import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import now
from opencodeinterpreter.nodes.state import Input

MOST_DEATHS = 10
"""A job that so many processes died of is given up."""
_LOOKED_AT = 100
_ADDED_AT_ONCE = 100


@dataclass(frozen=True)
class StoredJob:
    """A job of a batch."""

    key: str
    run: str
    """The id of its run, which the first process to take the job stores."""
    seed: Input
    parent: str | None = None
    """The full id of a branch's parent."""
    parent_turn: int | None = None


@dataclass(frozen=True)
class StoredBatch:
    """What all jobs of a batch share."""

    name: str
    settings: str
    """The JSON of `Settings`."""
    deadline: float | None = None
    """Seconds after which a job's run is stopped."""


@dataclass(frozen=True)
class Standing:
    """How far a batch is."""

    total: int
    ended: int
    problems: int
    working: int
    """How many of its runs a living process has claimed."""
    oldest: str = ""
    """The key of the job whose claimed run has been silent for longest; empty if none is."""
    since: str = ""
    """When that run was last written to: UTC, ISO 8601."""


async def add_batch(store: Store, batch: StoredBatch, jobs: Sequence[StoredJob]) -> None:
    """Add a batch, or jobs to one that is there, whose deadline changes and whose jobs stay."""
    for at in range(0, len(jobs), _ADDED_AT_ONCE):
        some = jobs[at : at + _ADDED_AT_ONCE]
        rows = ", ".join(["(?, ?, ?, ?, ?, ?, '', 0)"] * len(some))
        await store.execute(
            "INSERT INTO opencodeinterpreter_jobs "
            "(batch, key, run, seed, parent, parent_turn, problem, deaths) "
            f"VALUES {rows} ON CONFLICT (batch, key) DO NOTHING",
            [each for job in some for each in _values(batch.name, job)],
        )
    # Last, so that nobody takes a half-written batch for a whole one.
    await store.execute(
        "INSERT INTO opencodeinterpreter_batches (name, settings, deadline, created) "
        "VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET deadline = excluded.deadline",
        [batch.name, batch.settings, batch.deadline, now()],
    )


def _values(batch: str, job: StoredJob) -> tuple[object, ...]:
    return batch, job.key, job.run, json.dumps(job.seed), job.parent, job.parent_turn


async def ask_again(store: Store, batch: str, keys: Collection[str]) -> None:
    """Open those of these jobs again that ended with a problem, or whose run was removed."""
    ended = await store.execute(
        "SELECT key FROM opencodeinterpreter_jobs "
        "WHERE batch = ? AND ended IS NOT NULL AND (problem <> '' OR NOT EXISTS "
        "(SELECT id FROM opencodeinterpreter_runs WHERE id = run))",
        [batch],
    )
    for key in {key for (key,) in ended}.intersection(keys):
        await store.execute(
            "UPDATE opencodeinterpreter_jobs SET ended = NULL, problem = '', deaths = 0 "
            "WHERE batch = ? AND key = ? AND ended IS NOT NULL",
            [batch, key],
        )


async def open_batch(store: Store) -> StoredBatch | None:
    """Return the oldest batch with jobs that have not ended."""
    found = await store.execute(
        "SELECT name, settings, deadline FROM opencodeinterpreter_batches WHERE EXISTS "
        "(SELECT key FROM opencodeinterpreter_jobs WHERE batch = name AND ended IS NULL) "
        "ORDER BY created LIMIT 1"
    )
    return StoredBatch(*found[0]) if found else None


async def take_job(store: Store, batch: str, mine: set[str]) -> StoredJob | None:
    """Return a job on whose run nobody works; `mine` are the keys on which this process does.

    The job's key is added to `mine` first, so that `put_back` is due for it even if the store
    fails and it is not known whether it was taken. It is chosen at random, so that many processes
    seldom choose the same.
    """
    found = await _some_open(store, batch, _LOOKED_AT + len(mine))
    claimed = await store.claimed(*(run for _, run, _ in found))
    for key, run, deaths in found:
        if key in mine or run in claimed:
            continue
        if deaths >= MOST_DEATHS:
            await end_job(store, batch, key, f"given up: {deaths} processes died working on it")
            continue
        mine.add(key)
        taken = await store.execute(
            "UPDATE opencodeinterpreter_jobs SET deaths = deaths + 1 "
            "WHERE batch = ? AND key = ? AND ended IS NULL RETURNING seed, parent, parent_turn",
            [batch, key],
        )
        if taken:
            seed, parent, parent_turn = taken[0]
            return StoredJob(key, run, json.loads(seed), parent, parent_turn)
        mine.remove(key)  # Another process ended it in the meantime.
    return None


async def _some_open(store: Store, batch: str, count: int) -> list[tuple[Any, ...]]:
    """Return key, run and deaths of open jobs: by their runs' ids, from a random one on and round.

    The ids are random, and an index holds those of the open jobs in order: no other is looked at.
    """
    place = str(uuid.uuid4())
    found: list[tuple[Any, ...]] = []
    for side in (">=", "<"):
        found += await store.execute(
            "SELECT key, run, deaths FROM opencodeinterpreter_jobs "
            f"WHERE batch = ? AND ended IS NULL AND run {side} ? ORDER BY run LIMIT ?",
            [batch, place, count - len(found)],
        )
    return found


async def put_back(store: Store, batch: str, key: str) -> None:
    """Note that a job was left by a process that lives."""
    await store.execute(
        "UPDATE opencodeinterpreter_jobs SET deaths = deaths - 1 "
        "WHERE batch = ? AND key = ? AND deaths > 0",
        [batch, key],
    )


async def end_job(store: Store, batch: str, key: str, problem: str) -> None:
    """Note that a job has ended, with a problem or without; the first end stands."""
    await store.execute(
        "UPDATE opencodeinterpreter_jobs SET ended = ?, problem = ? "
        "WHERE batch = ? AND key = ? AND ended IS NULL",
        [now(), problem, batch, key],
    )


async def jobs_left(store: Store, batch: str) -> int:
    """Return how many jobs of a batch have not ended."""
    found = await store.execute(
        "SELECT count(*) FROM opencodeinterpreter_jobs WHERE batch = ? AND ended IS NULL", [batch]
    )
    return int(found[0][0])


async def results(store: Store, batch: str) -> dict[str, tuple[str, str]]:
    """Return the run and the problem of each job by its key."""
    found = await store.execute(
        "SELECT key, run, problem FROM opencodeinterpreter_jobs WHERE batch = ?", [batch]
    )
    return {key: (run, problem) for key, run, problem in found}


async def standing(store: Store, batch: str) -> Standing:
    """Return how far a batch is."""
    ((total, ended, problems),) = await store.execute(
        "SELECT count(*), count(ended), count(NULLIF(problem, '')) "
        "FROM opencodeinterpreter_jobs WHERE batch = ?",
        [batch],
    )
    begun = await store.execute(
        "SELECT key, run, updated FROM opencodeinterpreter_jobs "
        "JOIN opencodeinterpreter_runs ON id = run "
        "WHERE batch = ? AND ended IS NULL ORDER BY updated",
        [batch],
    )
    claimed = await store.claimed(*(run for _, run, _ in begun))
    working = [(key, updated) for key, run, updated in begun if run in claimed]
    oldest, since = working[0] if working else ("", "")
    return Standing(total, ended, problems, len(working), oldest, since)
