"""The index of evaluations: tables and plots, and a row for each task under each setting."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from opencodeinterpreter.graph.evaluation import Place
from opencodeinterpreter.graph.runs import Run
from opencodeinterpreter.traces.evaluation.regressions import Changes, Since
from opencodeinterpreter.traces.evaluation.results import ArmResults, Results
from opencodeinterpreter.traces.metrics import Interval
from opencodeinterpreter.traces.page.document import Page
from opencodeinterpreter.traces.page.indexes import Entry, index_page
from opencodeinterpreter.traces.page.markup import as_html
from opencodeinterpreter.traces.page.plots import Mark, Point, interval_plot, scatter_plot
from opencodeinterpreter.traces.report import (
    Table,
    about,
    heading,
    label,
    notes,
    since_table,
    tables,
    unfinished,
)
from opencodeinterpreter.traces.trace import trace_of

_HOLLOW = (
    "Hollow: this setting lacks tasks whose first draft failed; its share is too high, its gain "
    "too small."
)


@dataclass(frozen=True)
class Evaluated:
    """An evaluation's results, and the runs that they come from, by id."""

    results: Results
    runs: Mapping[str, Run]
    unended: Mapping[Place, Run]
    """Runs that failed outside, or that were not finished: of tasks without a result."""


def evaluations_page(every: Mapping[str, Evaluated], since: Since | None = None) -> Page:
    """Return the index of evaluations by the names of their folders.

    What changed since a baseline comes first.
    """
    title = ", ".join(dict.fromkeys(_title(each.results) for each in every.values()))
    changes = since.changes if since else {}
    entries = [
        entry
        for name, each in every.items()
        for entry in _entries(each, f"{name}: " if len(every) > 1 else "", changes)
    ]
    parts = [f"<h1>{as_html(title)}</h1>", _table(since_table(since), 2) if since else ""]
    for name, each in every.items():
        parts += _section(each.results, name if len(every) > 1 else "Results")
    return index_page(title, entries, "".join(parts), ("change", False) if since else None)


def _entries(evaluated: Evaluated, prefix: str, changes: Changes) -> Iterator[Entry]:
    results = evaluated.results
    for arm, tasks in results.tasks.items():
        for task, result in tasks.items():
            run = evaluated.runs.get(result.runs[-1]) if result.runs else None
            if run is not None:
                yield Entry(
                    trace_of(run),
                    name=task,
                    setting=prefix + arm,
                    scored=result.last.passed(results.tests),
                    change=changes.get((arm, task), ""),
                )
    for place, run in evaluated.unended.items():
        yield Entry(
            trace_of(run),
            name=place.task,
            setting=prefix + place.arm,
            change=changes.get((place.arm, place.task), ""),
        )


def _title(results: Results) -> str:
    return f"{results.benchmark}, protocol {results.protocol}"


def _section(results: Results, name: str) -> Iterator[str]:
    yield f"<h2>{as_html(name)}</h2>{_list(about(results))}"
    plots = (f"<div><h3>{as_html(title)}</h3>{plot}</div>" for title, plot in _plots(results))
    yield f'<div class="plots">{"".join(plots)}</div>'
    if any(unfinished(results, arm) for arm in results.arms):
        yield f"<p>{_HOLLOW}</p>"
    yield from (_table(table, 3) for table in tables(results))
    yield _list(notes(results))


def _plots(results: Results) -> Iterable[tuple[str, str]]:
    tests = results.tests
    name = heading(results, tests)
    marks = [_mark(results, arm, arm.pass_at_1[tests][-1]) for arm in results.arms]
    yield f"pass@1 after the last turn, {name}", interval_plot(marks, "percent")
    gains = [arm for arm in results.arms if arm.gain]
    if marks := [_mark(results, arm, arm.gain[tests].difference) for arm in gains]:
        yield f"gain over none, {name}", interval_plot(marks, "points", zero=True)
    points = [
        Point(
            label(results, arm),
            arm.output_tokens,
            100 * arm.pass_at_1[tests][-1].value,
            bool(unfinished(results, arm)),
        )
        for arm in results.arms
        if arm.output_tokens
    ]
    if points:
        yield "what it costs", scatter_plot(points, "output tokens", "percent")


def _mark(results: Results, arm: ArmResults, found: Interval) -> Mark:
    value, low, high = (100 * each for each in (found.value, found.low, found.high))
    return Mark(label(results, arm), value, low, high, bool(unfinished(results, arm)))


def _list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{as_html(line)}</li>' for line in lines)}</ul>"


def _table(table: Table, level: int) -> str:
    kinds = [_kind(column) for column in zip(*table.rows, strict=True)]
    kinds = kinds or [""] * len(table.headings)
    head = _cells("th", table.headings, kinds)
    rows = "".join(f"<tr>{_cells('td', row, kinds)}</tr>" for row in table.rows)
    note = f"<p>{as_html(table.note)}</p>" if table.note else ""
    return (
        f"<h{level}>{as_html(table.title)}</h{level}>"
        '<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{as_html(table.title)}"><table class="plain"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{note}"
    )


def _kind(column: Iterable[str]) -> str:
    """Return the attribute of a column's cells: numbers stand on the right, their heading too."""
    return ' class="num"' if all(not cell or cell[0] in "+-0123456789" for cell in column) else ""


def _cells(tag: str, texts: Iterable[str], kinds: Iterable[str]) -> str:
    pairs = zip(texts, kinds, strict=False)
    return "".join(f"<{tag}{kind}>{as_html(text)}</{tag}>" for text, kind in pairs)
