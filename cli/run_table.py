"""The table of runs: for a terminal, and for a pipe.

Lines are made by hand: rich takes seconds to lay out ten thousand rows.
"""

from collections.abc import Iterable, Iterator

from rich.cells import cell_len, set_cell_size

from opencodeinterpreter.cli.paint import paint
from opencodeinterpreter.graph.families import Drawn
from opencodeinterpreter.graph.store.rows import SHORT, Row
from opencodeinterpreter.tools.printable import printable

_COLOURS = {
    "running": "cyan",
    "waiting": "magenta",
    "interrupted": "yellow",
    "failed": "red",
    "solved": "green",
    "unsolved": "yellow",
}
_STATUS, _TURNS, _TOKENS, _TIME = 11, 5, 6, 11
_BEFORE = SHORT + _STATUS + _TURNS + _TOKENS + _TIME + 5 * 2
_LEAST = 10
"""Columns of the last cell on a terminal that is too narrow."""


def piped(row: Row) -> str:
    """Return a row for a pipe: its cells with tabs between."""
    parent = f"{printable(row.parent[:SHORT])} turn {row.parent_turn}" if row.parent else ""
    cells = (row.short, row.status, str(row.turns), str(row.tokens), row.updated[:19], parent)
    return "\t".join((*cells, *map(printable, (row.title, row.model, row.reason))))


def table(rows: Iterable[Row], width: int, year: str) -> Iterator[str]:
    """Yield a heading, and a line for each run; below it why it failed or was not solved."""
    yield _heading("task")
    for row in rows:
        branch = f"({row.parent[:SHORT]} at {row.parent_turn}) " if row.parent else ""
        yield _line(row, branch + row.title, width, year)
        if row.reason:
            yield _told(row.reason, SHORT + 2, width)


def tree(drawn: Iterable[Drawn], width: int, year: str) -> Iterator[str]:
    """Yield the same with families together, each branch below the run that it was taken from."""
    yield _heading("family")
    for each in drawn:
        row = each.row
        about = row.title
        if each.lines:
            about = f"{each.lines}at turn {row.parent_turn}"
        elif row.parent:
            about = f"({row.parent[:SHORT]} at {row.parent_turn}) {about}"
        yield _line(row, about, width, year)
        if row.reason:
            yield _told(each.below + row.reason, _BEFORE, width)


def _heading(last: str) -> str:
    return paint(_joined("run", "status", "turns", "tokens", "changed", last), "bold")


def _line(row: Row, about: str, width: int, year: str) -> str:
    when = row.updated[5:16] if row.updated.startswith(year) else row.updated[:10]
    return _joined(
        row.short,
        paint(f"{row.status:<{_STATUS}}", _COLOURS[row.status]),
        str(row.turns),
        short_number(row.tokens),
        when.replace("T", " "),
        _cut(printable(about), width - _BEFORE),
    )


def _told(reason: str, column: int, width: int) -> str:
    return " " * column + paint(_cut(printable(reason), width - column), "dim")


def _joined(run: str, status: str, turns: str, spent: str, when: str, last: str) -> str:
    return (
        f"{run:<{SHORT}}  {status:<{_STATUS}}  {turns:>{_TURNS}}  {spent:>{_TOKENS}}  "
        f"{when:<{_TIME}}  {last}"
    )


def short_number(value: int) -> str:
    """Return a whole number in at most six characters."""
    for unit, name in ((1, ""), (10**3, "k"), (10**6, "M"), (10**9, "G"), (10**12, "T")):
        if value < 10_000 * unit:
            return f"{value // unit}{name}"
    return "much"


def _cut(text: str, room: int) -> str:
    room = max(_LEAST, room)
    return text if cell_len(text) <= room else set_cell_size(text, room - 1) + "…"
