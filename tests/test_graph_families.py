"""Families of runs: how they are drawn, and what may be pruned; for any parents, also circles."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as some

from opencodeinterpreter.cli.run_table import short_number, table, tree
from opencodeinterpreter.graph.families import Families
from opencodeinterpreter.graph.removing import check_branches, prunable
from opencodeinterpreter.graph.store.rows import Row
from opencodeinterpreter.tools.errors import InputError


def row(number: int, parent: int | None = None, **fields: str) -> Row:
    """Return the row of a run that is the older, the higher its number is."""
    when = f"2026-01-01T00:00:{59 - number % 60:02}"
    of = None if parent is None else f"{parent:08}"
    blank = Row(f"{number:08}", of, 1 if of else None, "Task.", "solved", 1, 5, when, when)
    return Row(**{**blank.__dict__, **fields})


@some.composite
def stores(draw: some.DrawFn) -> list[Row]:
    """Return rows with any parents: of the store, not of it, of themselves, in a circle."""
    count = draw(some.integers(0, 12))
    parents = some.none() | some.integers(0, 14)
    status = some.sampled_from(["solved", "running", "failed"])
    return [row(number, draw(parents), status=draw(status)) for number in range(count)]


@given(stores(), some.sets(some.integers(0, 11)))
def test_a_drawing_holds_the_whole_family_of_each_chosen_run_once(
    rows: list[Row], numbers: set[int]
) -> None:
    chosen = {each.id for number, each in enumerate(rows) if number in numbers}
    families = Families(rows)
    whole = {each.id for run in chosen for each in families.near(run)} | chosen
    drawn = [each.row.id for each in families.drawn(chosen)]
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) == whole
    for each in families.drawn(chosen):
        if each.lines:
            assert drawn.index(each.row.parent or "") < drawn.index(each.row.id)


@given(stores(), some.integers(0, 12), some.integers(0, 60))
def test_no_parent_of_a_kept_branch_is_pruned(rows: list[Row], keep: int, second: int) -> None:
    gone = {each.id for each in prunable(rows, keep, f"2026-01-01T00:00:{second:02}")}
    check_branches(rows, gone)
    for place, each in enumerate(rows):
        if each.id in gone:
            assert place >= keep
            assert each.updated < f"2026-01-01T00:00:{second:02}"
            assert each.status != "running"
    for run in gone:
        below = {each.id for each in rows if each.parent == run}
        assert below <= gone


def test_a_run_with_a_kept_branch_is_refused() -> None:
    with pytest.raises(InputError, match="00000001 has branches that are kept: 00000000"):
        check_branches([row(0, 1), row(1)], {"00000001"})


def test_a_family_is_drawn_as_a_tree() -> None:
    rows = [row(0, 1), row(1, 3), row(2, 3), row(3)]
    drawn = Families(rows).drawn({"00000001"})
    assert [f"{each.lines}{each.row.short[-1]}" for each in drawn] == [
        "3",
        "├─ 2",
        "└─ 1",
        "   └─ 0",
    ]


@given(
    some.lists(some.text(max_size=90), min_size=1, max_size=4),
    some.sampled_from([80, 120]),
    some.integers(0, 10**25),
)
def test_every_line_fits_the_terminal(titles: list[str], width: int, tokens: int) -> None:
    from rich.cells import cell_len

    rows = [row(n, n + 1, title=t, reason=t) for n, t in enumerate(titles)]
    rows = [Row(**{**each.__dict__, "tokens": tokens}) for each in rows]
    drawn = Families(rows).drawn({each.id for each in rows})
    for line in (*table(rows, width, "2026-"), *tree(drawn, width, "2026-")):
        assert cell_len(line) <= width


@given(some.integers(0, 10**25))
def test_a_number_is_shown_in_at_most_six_characters(value: int) -> None:
    assert len(short_number(value)) <= 6


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def test_the_time_of_a_listing_grows_with_the_runs() -> None:
    def work(count: int) -> Callable[[], object]:
        rows = [row(number, number + 1 if number % 3 else None) for number in range(count)]

        def listed() -> None:
            families = Families(rows)
            list(tree(families.drawn({each.id for each in rows}), 80, "2026-"))
            list(table(rows, 80, "2026-"))

        return listed

    few, many = (min(_seconds(work(count)) for _ in range(5)) for count in (1_000, 10_000))
    assert many < 30 * few
