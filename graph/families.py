"""Families of runs: a run, the runs that it was branched from, and the branches of it."""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from opencodeinterpreter.graph.store.rows import Row


class Families:
    """Rows by their parents and branches. A hostile store may hold parents in a circle."""

    def __init__(self, rows: Sequence[Row]) -> None:
        """Take all rows of a store, in their order."""
        self._rows = rows
        self._by_id = {row.id: row for row in rows}
        self._branches: dict[str, list[Row]] = {}
        for row in rows:
            if row.parent:
                self._branches.setdefault(row.parent, []).append(row)

    def parent(self, row: Row) -> Row | None:
        """Return the run from which a run was branched, if the store holds it."""
        return self._by_id.get(row.parent) if row.parent else None

    def branches(self, run: str) -> Sequence[Row]:
        """Return the runs that were branched from a run."""
        return self._branches.get(run, [])

    def near(self, run: str) -> Iterator[Row]:
        """Yield the other runs of a run's family, the nearest first."""
        seen, ahead = {run}, deque([run])
        while ahead:
            at = ahead.popleft()
            parent = self.parent(self._by_id[at]) if at in self._by_id else None
            for row in (*([parent] if parent else []), *self.branches(at)):
                if row.id not in seen:
                    seen.add(row.id)
                    ahead.append(row.id)
                    yield row

    def drawn(self, chosen: Collection[str]) -> Iterator["Drawn"]:
        """Yield whole families that hold a chosen run: a run, then its branches below it."""
        seen: set[str] = set()
        for row in self._rows:
            if row.id not in chosen or row.id in seen:
                continue
            ahead = [Drawn(self._root(row), "", "")]
            while ahead:
                at = ahead.pop()
                if at.row.id in seen:
                    continue
                seen.add(at.row.id)
                yield at
                below = sorted(self.branches(at.row.id), key=lambda each: each.created)
                ahead += [at.branch(each, last=each is below[-1]) for each in reversed(below)]

    def _root(self, row: Row) -> Row:
        seen = {row.id}
        while (parent := self.parent(row)) is not None and parent.id not in seen:
            seen.add(parent.id)
            row = parent
        return row


@dataclass(frozen=True)
class Drawn:
    """A run in a drawing of its family."""

    row: Row
    lines: str
    """The lines of the tree before the run."""
    below: str
    """The lines before its branches."""

    def branch(self, row: Row, *, last: bool) -> "Drawn":
        """Return a branch of this run, drawn below it."""
        here, further = ("└─ ", "   ") if last else ("├─ ", "│  ")
        return Drawn(row, self.below + here, self.below + further)
