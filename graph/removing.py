"""Remove runs from a store: those that are named, or old ones. A kept branch keeps its parents."""

from collections.abc import Collection, Iterator, Sequence

from opencodeinterpreter.graph.families import Families
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import Row
from opencodeinterpreter.tools.errors import InputError


def prunable(rows: Sequence[Row], newest: int, before: str) -> list[Row]:
    """Return which of all `rows` (newest first) can be removed.

    Kept are the `newest`, those that changed at or after the time `before`, those that a process
    works on, and every run from which a kept one was branched.
    """
    kept = {
        row.id
        for place, row in enumerate(rows)
        if place < newest or row.updated >= before or row.status == "running"
    }
    kept |= set(_ancestors(rows, kept))
    return [row for row in rows if row.id not in kept]


def check_branches(rows: Sequence[Row], removed: Collection[str]) -> None:
    """Raise InputError if a run of `removed` has a branch that is kept."""
    families = Families(rows)
    for row in rows:
        kept = [each.short for each in families.branches(row.id) if each.id not in removed]
        if row.id in removed and kept:
            raise InputError(
                f"run {row.short} has branches that are kept: {', '.join(kept)}; remove them too"
            )


async def remove(store: Store, run: str) -> None:
    """Remove a run; raises InputError if a process works on it.

    Its checkpoints go first: a removal that was cut off leaves the row, so that the run can be
    named again.
    """
    async with store.claim(run):
        await store.saver.adelete_thread(run)


def _ancestors(rows: Sequence[Row], runs: Collection[str]) -> Iterator[str]:
    parents = {row.id: row.parent for row in rows}
    seen: set[str] = set()
    for run in runs:
        at = parents.get(run)
        while at is not None and at not in seen:
            seen.add(at)
            yield at
            at = parents.get(at)
