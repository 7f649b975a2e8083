"""The table of runs in a store: one row a run, listed and found quickly."""

import difflib
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Literal

from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.tools.errors import InputError

Status = Literal["running", "waiting", "interrupted", "failed", "solved", "unsolved"]
SHORT = 8
"""Characters of a run's id that are shown."""


@dataclass(frozen=True)
class Row:
    """A run's line in the table of runs."""

    id: str
    parent: str | None
    parent_turn: int | None
    title: str
    status: Status
    turns: int
    tokens: int
    created: str
    """UTC, ISO 8601."""
    updated: str

    @property
    def short(self) -> str:
        """The id as it is shown; any unambiguous prefix names the run."""
        return self.id[:SHORT]


_COLUMNS = ", ".join(field.name for field in fields(Row))
_MARKS = ", ".join("?" for _ in fields(Row))


async def read_row(store: Store, run_id: str) -> Row | None:
    """Return the row of the run with this full id."""
    found = await store.execute(
        f"SELECT {_COLUMNS} FROM opencodeinterpreter_runs WHERE id = ?", [run_id]
    )
    return Row(*found[0]) if found else None


async def insert_row(store: Store, row: Row) -> None:
    """Add a row to the table."""
    await store.execute(
        f"INSERT INTO opencodeinterpreter_runs ({_COLUMNS}) VALUES ({_MARKS})", astuple(row)
    )


async def update_row(store: Store, row: Row) -> Row:
    """Write what changes of a row while its run goes on; return it with the time of that."""
    row = replace(row, updated=now())
    await store.execute(
        "UPDATE opencodeinterpreter_runs SET status = ?, turns = ?, tokens = ?, updated = ? "
        "WHERE id = ?",
        [row.status, row.turns, row.tokens, row.updated, row.id],
    )
    return row


async def list_runs(store: Store) -> list[Row]:
    """Return all runs, newest first; one whose process died shows as interrupted."""
    found = await store.execute(
        f"SELECT {_COLUMNS} FROM opencodeinterpreter_runs ORDER BY created DESC, id"
    )
    rows = [Row(*values) for values in found]
    return [
        replace(row, status="interrupted")
        if row.status == "running" and not await store.claimed(row.id)
        else row
        for row in rows
    ]


async def find_run(store: Store, prefix: str) -> Row:
    """Return the run whose id starts with `prefix`; raises InputError that names the nearest."""
    rows = await list_runs(store)
    found = [row for row in rows if row.id.startswith(prefix.lower())] if prefix else []
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{prefix!r} names {len(found)} runs: {_named(found[:5])}")
    if not rows:
        raise InputError(f"no run {prefix!r}; the store holds none yet")
    near = difflib.get_close_matches(prefix, [row.short for row in rows], 3, 0.5)
    nearest = [row for row in rows if row.short in near] or rows[:3]
    raise InputError(f"no run {prefix!r}; nearest: {_named(nearest)}")


def _named(rows: Sequence[Row]) -> str:
    return ", ".join(f"{row.short} ({row.title})" for row in rows)


def now() -> str:
    """Return the time as rows hold it: UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
