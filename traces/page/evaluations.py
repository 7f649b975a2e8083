"""The index of evaluations: tables and plots, and a row for each task under each setting."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape

from opencodeinterpreter.graph.runs import Run
from opencodeinterpreter.traces.evaluation.regressions import Changes
from opencodeinterpreter.traces.evaluation.results import Results
from opencodeinterpreter.traces.page.document import Page
from opencodeinterpreter.traces.page.indexes import Entry, index_page
from opencodeinterpreter.traces.page.plots import Mark, Point, interval_plot, scatter_plot
from opencodeinterpreter.traces.report import Table, about, heading, notes, tables
from opencodeinterpreter.traces.trace import trace_of


@dataclass(frozen=True)
class Evaluated:
    """An evaluation's results, and the runs that they come from, by id."""

    results: Results
    runs: Mapping[str, Run]


def evaluations_page(every: Mapping[str, Evaluated], changes: Changes | None = None) -> Page:
    """Return the index of evaluations by the names of their folders.

    `changes`, since a baseline, are those of the last one; they come first then.
    """
    found = list(every.values())
    title = ", ".join(dict.fromkeys(_title(each.results) for each in found))
    outline = "".join(_section(each.results) for each in found)
    entries = [
        entry
        for name, each in every.items()
        for entry in _entries(each, f"{name}: " if len(every) > 1 else "", changes or {})
    ]
    return index_page(title, entries, outline, ("change", False) if changes else None)


def _entries(evaluated: Evaluated, prefix: str, changes: Changes) -> Iterable[Entry]:
    for arm, tasks in evaluated.results.tasks.items():
        for task, result in tasks.items():
            run = evaluated.runs.get(result.runs[-1]) if result.runs else None
            if run is not None:
                yield Entry(
                    trace_of(run),
                    name=task,
                    setting=prefix + arm,
                    scored=result.last.passed(evaluated.results.tests),
                    change=changes.get((arm, task), ""),
                )


def _title(results: Results) -> str:
    return f"{results.benchmark}, protocol {results.protocol}"


def _section(results: Results) -> str:
    parts = [f"<h2>{escape(_title(results))}</h2>", _list(about(results))]
    parts += [f"<h3>{escape(name)}</h3>{plot}" for name, plot in _plots(results)]
    parts += [_table(table) for table in tables(results)]
    return "".join([*parts, _list(notes(results))])


def _plots(results: Results) -> Iterable[tuple[str, str]]:
    tests = results.tests
    name = heading(results, tests)
    scores = [(arm.name, arm.pass_at_1[tests][-1]) for arm in results.arms]
    marks = [Mark(arm, 100 * each.value, 100 * each.low, 100 * each.high) for arm, each in scores]
    yield f"pass@1 after the last turn, {name}", interval_plot(marks, "percent")
    gains = [(arm.name, arm.gain[tests].difference) for arm in results.arms if arm.gain]
    marks = [Mark(arm, 100 * each.value, 100 * each.low, 100 * each.high) for arm, each in gains]
    if marks:
        yield f"gain over none, {name}", interval_plot(marks, "points", zero=True)
    points = [
        Point(arm.name, arm.output_tokens, 100 * arm.pass_at_1[tests][-1].value)
        for arm in results.arms
        if arm.output_tokens
    ]
    if points:
        yield "what it costs", scatter_plot(points, "output tokens", "percent")


def _list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _table(table: Table) -> str:
    kinds = [_kind(column) for column in zip(*table.rows, strict=True)]
    kinds = kinds or [""] * len(table.headings)
    head = _cells("th", table.headings, kinds)
    rows = "".join(f"<tr>{_cells('td', row, kinds)}</tr>" for row in table.rows)
    note = f"<p>{escape(table.note)}</p>" if table.note else ""
    return (
        f'<h3>{escape(table.title)}</h3><div class="scroll" tabindex="0" role="region" '
        f'aria-label="{escape(table.title)}"><table class="plain"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{note}"
    )


def _kind(column: Iterable[str]) -> str:
    """Return the attribute of a column's cells: numbers stand on the right, their heading too."""
    return ' class="num"' if all(not cell or cell[0] in "+-0123456789" for cell in column) else ""


def _cells(tag: str, texts: Iterable[str], kinds: Iterable[str]) -> str:
    pairs = zip(texts, kinds, strict=False)
    return "".join(f"<{tag}{kind}>{escape(text)}</{tag}>" for text, kind in pairs)
