"""The table of runs in a store: one row per run."""

import difflib
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Literal

from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.tools.errors import InputError

Status = Literal["running", "waiting", "interrupted", "failed", "solved", "unsolved"]
SHORT = 8
"""How many characters of a run's id are shown."""


LATEST = "latest"
"""What names the newest run; no id starts with it."""


@dataclass(frozen=True)
class Row:
    """A run's row in the table of runs."""

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
    model: str = ""
    """The coder's spec; empty if an older release wrote the row."""
    reason: str = ""
    """Why it failed or stayed unsolved, in one line; empty for other runs."""

    @property
    def short(self) -> str:
        """The id as it is shown; any unambiguous prefix names the run."""
        return self.id[:SHORT]


_COLUMNS = ", ".join(field.name for field in fields(Row))
_READ = _COLUMNS.replace("model", "COALESCE(model, '')").replace("reason", "COALESCE(reason, '')")
_MARKS = ", ".join("?" for _ in fields(Row))


async def read_row(store: Store, run_id: str) -> Row | None:
    """Return the row of the run with this full id."""
    found = await store.execute(
        f"SELECT {_READ} FROM opencodeinterpreter_runs WHERE id = ?", [run_id]
    )
    return Row(*found[0]) if found else None


async def insert_row(store: Store, row: Row) -> None:
    """Add a row to the table."""
    await store.execute(
        f"INSERT INTO opencodeinterpreter_runs ({_COLUMNS}) VALUES ({_MARKS})", astuple(row), row.id
    )


async def update_row(store: Store, row: Row) -> Row:
    """Write what changes of a row; return it with the new time of update."""
    row = replace(row, updated=now())
    await store.execute(
        "UPDATE opencodeinterpreter_runs SET status = ?, turns = ?, tokens = ?, updated = ?, "
        "model = ?, reason = ? WHERE id = ?",
        [row.status, row.turns, row.tokens, row.updated, row.model, row.reason, row.id],
        row.id,
    )
    return row


async def delete_row(store: Store, run_id: str) -> None:
    """Delete the row of a run."""
    await store.execute("DELETE FROM opencodeinterpreter_runs WHERE id = ?", [run_id], run_id)


async def list_runs(store: Store) -> list[Row]:
    """Return all runs, newest first; a run whose process died counts as interrupted."""
    found = await store.execute(
        f"SELECT {_READ} FROM opencodeinterpreter_runs ORDER BY created DESC, id"
    )
    rows = [Row(*values) for values in found]
    running = {row.id for row in rows if row.status == "running"}
    dead = running - await store.claimed(*running)
    return [replace(row, status="interrupted") if row.id in dead else row for row in rows]


async def find_run(store: Store, prefix: str) -> Row:
    """Return the run whose id starts with `prefix`, or the newest one for `latest`.

    Raises InputError that names the nearest runs if there is none.
    """
    if not prefix:
        raise InputError("the name of the run is empty; write its id, its beginning, or latest")
    rows = await list_runs(store)
    if prefix == LATEST and rows:
        return rows[0]
    found = [row for row in rows if row.id.startswith(prefix.lower())]
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


def title_of(prompt: str) -> str:
    """Return a run's title: the first line of its task, shortened."""
    lines = [line.strip() for line in prompt.splitlines() if line.strip()]
    return _printable(lines[0][:60]) if lines else ""


def reason_of(told: str) -> str:
    """Return an error or a verdict's reason as a row holds it: one line, shortened."""
    return _printable(" ".join(told.split())[:200])


def _printable(text: str) -> str:
    # A database's text cannot hold every control character.
    return "".join(c if c.isprintable() else " " for c in text)


def now() -> str:
    """Return the current time in UTC as ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
