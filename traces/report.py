"""The report of evaluations: their tables, as text for a terminal and as Markdown."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from opencodeinterpreter.graph.arms import DRAFT
from opencodeinterpreter.traces.evaluation.folder import Protocol
from opencodeinterpreter.traces.evaluation.published import PUBLISHED
from opencodeinterpreter.traces.evaluation.regressions import Moved, Since, counted
from opencodeinterpreter.traces.evaluation.results import ArmResults, Results
from opencodeinterpreter.traces.metrics import Gain, Interval, Tests

_HEADINGS: Mapping[tuple[Protocol, Tests], str] = {
    ("held-out", "base"): "feedback tests",
    ("held-out", "held-out"): "held-out tests",
    ("held-out", "plus"): "both",
    ("paper", "base"): "base",
    ("paper", "plus"): "plus",
}


@dataclass(frozen=True)
class Table:
    """A table of texts."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def tables(results: Results) -> Iterable[Table]:
    """Yield the tables of an evaluation."""
    yield _scores(results)
    if any(arm.pass_at_k for arm in results.arms):
        yield _samples(results)
    if any(arm.gain for arm in results.arms):
        yield _gains(results)
    if any(arm.matched for arm in results.arms):
        yield _baselines(results)
    yield _costs(results)
    if results.benchmark in PUBLISHED:
        yield _published(results)


def heading(results: Results, tests: Tests) -> str:
    """Return what a column of these tests is called."""
    name = _HEADINGS[results.protocol, tests]
    mbpp = results.benchmark == "mbpp+" and results.protocol == "held-out"
    # Of three base inputs the loop sees the one in the prompt.
    return "base tests" if mbpp and tests == "base" else name


def about(results: Results) -> list[str]:
    """Return what was evaluated, as lines."""
    models = ", ".join(f"{role} {spec}" for role, spec in results.models.items())
    tasks = max((arm.tasks for arm in results.arms), default=0)
    lines = [
        f"{results.benchmark}, protocol {results.protocol}: {tasks} of {results.tasks_chosen} "
        f"tasks, at most {results.max_turns} turns",
        f"models: {models}",
    ]
    return [*lines, *_warnings(results)]


def _warnings(results: Results) -> Iterable[str]:
    for arm in results.arms:
        if lacking := unfinished(results, arm):
            yield (
                f"{arm.name} lacks {len(lacking)} tasks whose first draft failed "
                f"({_most_common(lacking.values())}), so its pass@1 is too high and its gain too "
                "small; run `evaluate` on"
            )


def unfinished(results: Results, arm: ArmResults) -> dict[str, str]:
    """Return the tasks that an arm lacks, and why, if all are tasks whose first draft failed.

    An arm that continues from drafts has each task whose draft passed from the start, so what it
    has of the others decides nothing yet.
    """
    drafts = results.tasks[DRAFT.name]
    lacking = {task: why for task, why in arm.failed.items() if task in drafts}
    return lacking if all(drafts[task].went_on for task in lacking) else {}


def label(results: Results, arm: ArmResults) -> str:
    """Return an arm's name, with how much of it there is if its share of passed tasks misleads."""
    lacking = len(unfinished(results, arm))
    return f"{arm.name} ({arm.tasks} of {arm.tasks + lacking})" if lacking else arm.name


def _most_common(reasons: Iterable[str]) -> str:
    return Counter(reasons).most_common(1)[0][0]


def as_text(results: Results) -> str:
    """Return the report for a terminal."""
    blocks = ["\n".join(about(results)), *(as_lines(table) for table in tables(results))]
    return "\n\n".join([*blocks, "\n".join(notes(results))])


def as_markdown(results: Results) -> str:
    """Return the report as Markdown."""
    blocks = [
        f"# {results.benchmark}, protocol {results.protocol}",
        "\n".join(f"- {line}" for line in about(results)),
        *(_markdown(table) for table in tables(results)),
        "\n".join(f"- {line}" for line in notes(results)),
    ]
    return "\n\n".join(blocks) + "\n"


def compared(every: Mapping[str, Results]) -> str:
    """Return one table about several evaluations, by the names of their folders."""
    about = ("folder", "benchmark", "protocol", "coder", "setting", "tasks", "scored by")
    rows = [
        (
            name,
            each.benchmark,
            each.protocol,
            each.models["coder"],
            label(each, arm),
            str(arm.tasks),
            heading(each, each.tests),
            _percent(arm.pass_at_1[each.tests], len(arm.pass_at_1[each.tests])),
            _points(arm.gain[each.tests].difference) if arm.gain else "",
            f"{arm.gain[each.tests].p_value:.3g}" if arm.gain else "",
            "" if arm.repaired is None else f"{100 * arm.repaired:.1f} %",
        )
        for name, each in every.items()
        for arm in each.arms
    ]
    headings = (*about, "pass@1", "gain in points", "p", "repaired")
    return as_lines(Table("Evaluations compared", headings, tuple(rows)))


def since_table(found: Since) -> Table:
    """Return what became of tasks since a baseline, with a row for each setting."""
    shown = list(counted(found.changes))
    headings = ("setting", *shown, "tasks on both sides", "before", "now", "difference in points")
    counts = Counter((arm, change) for (arm, _), change in found.changes.items())
    rows = [
        (arm, *(str(counts[arm, change] or "") for change in shown), *_moved(found.moved.get(arm)))
        for arm in dict.fromkeys([*found.moved, *(arm for arm, _ in counts)])
    ]
    return Table("Since the baseline, pass@1 in percent", headings, tuple(rows))


def _moved(found: Moved | None) -> tuple[str, str, str, str]:
    if found is None:
        return ("", "", "", "")
    before, now = _percent([found.before], 1), _percent([found.now], 1)
    return (str(found.tasks), before, now, _points(found.difference))


def notes(results: Results) -> list[str]:
    """Return what a reader must know of the numbers."""
    audit = results.audit
    canary = "planted texts were looked for and not found" if audit.canary else "no text planted"
    lines = [
        "Intervals are percentile bootstraps over tasks (95 %), p is McNemar's exact test.",
        f"Audit: {audit.prompts} prompts, {canary}; {len(audit.coincidences)} coincidences of "
        "prompts with scoring inputs.",
    ]
    if results.protocol == "paper":
        lines.append(
            "In this protocol the tests that score give the feedback, as in the paper: gains are "
            "upper bounds."
        )
    else:
        lines.append(
            "The loop saw the feedback tests alone; inputs that equal a base input do not score."
        )
    return lines


def _scores(results: Results) -> Table:
    turns = max(len(arm.pass_at_1[results.tests]) for arm in results.arms)
    shown = list(results.arms[0].pass_at_1)
    headings = [
        "setting",
        *(
            f"{heading(results, tests)}, turn {turn}"
            for tests in shown
            for turn in range(1, turns + 1)
        ),
    ]
    rows = [
        (
            label(results, arm),
            *(
                _percent(arm.pass_at_1[tests], turn)
                for tests in shown
                for turn in range(1, turns + 1)
            ),
        )
        for arm in results.arms
    ]
    return Table("pass@1 in percent", tuple(headings), tuple(rows))


def _samples(results: Results) -> Table:
    shown = list(results.arms[0].pass_at_1)
    headings = ("setting", "k", *(heading(results, tests) for tests in shown))
    rows = tuple(
        (arm.name, str(k), *(_percent([arm.pass_at_k[tests][k]], 1) for tests in shown))
        for arm in results.arms
        if arm.pass_at_k
        for k in arm.pass_at_k[results.tests]
    )
    return Table("pass@k of independent drafts, in percent", headings, rows)


def _gains(results: Results) -> Table:
    headings = (
        "setting",
        "gain in points",
        "p",
        "gained",
        "broken",
        "went on",
        "repaired",
        "by the critic alone",
    )
    rows = tuple(
        (
            label(results, arm),
            _points(arm.gain[results.tests].difference),
            f"{arm.gain[results.tests].p_value:.3g}",
            str(len(arm.gain[results.tests].gained)),
            str(len(arm.gain[results.tests].broken)),
            str(arm.went_on),
            "" if arm.repaired is None else f"{100 * arm.repaired:.1f} %",
            str(len(arm.only_by_critic)) if arm.only_by_critic else "",
        )
        for arm in results.arms
        if arm.gain
    )
    title = f"Gains over {DRAFT.name}, by {heading(results, results.tests)}"
    note = "Repaired: of the tasks whose first draft failed the feedback tests."
    return Table(title, headings, rows, note)


def _baselines(results: Results) -> Table:
    headings = (
        "setting",
        "budget in",
        "setting spent",
        "sampling spent",
        "sampling",
        "setting over sampling",
        "p",
        "better",
    )
    rows = tuple(
        (
            arm.name,
            each.unit,
            str(each.budget),
            str(each.spent),
            _percent([each.pass_at_1], 1),
            _points(each.gain.difference),
            f"{each.gain.p_value:.3g}",
            _winner(arm, each.gain),
        )
        for arm in results.arms
        for each in arm.matched
    )
    note = (
        "Sampling: independent drafts for the same budget, chosen by the same feedback tests; it "
        "stops at one that passes them."
    )
    return Table("Compared with plain sampling", headings, rows, note)


def _winner(arm: ArmResults, found: Gain) -> str:
    if found.difference.value == 0:
        return "neither"
    return arm.name if found.difference.value > 0 else "sampling"


def _costs(results: Results) -> Table:
    headings = (
        "setting",
        "calls",
        "input tokens",
        "output tokens",
        "tokens a solved task",
        "seconds",
        "cost",
        "cost a solved task",
        "no result",
    )
    rows = []
    for arm in results.arms:
        solved = round(arm.pass_at_1[results.tests][-1].value * arm.tasks)
        each = "" if arm.cost is None or not solved else f"{arm.cost / solved:.4g}"
        rows.append(
            (
                arm.name,
                str(arm.calls),
                str(arm.input_tokens),
                str(arm.output_tokens),
                "" if arm.tokens_per_solved is None else f"{arm.tokens_per_solved:.0f}",
                f"{arm.seconds:.0f}",
                "" if arm.cost is None else f"{arm.cost:.4g}",
                each,
                str(len(arm.failed)),
            )
        )
    return Table("Costs, the first drafts' included", headings, tuple(rows))


def _published(results: Results) -> Table:
    shown = [arm for arm in results.arms if arm.name in _PAPERS]
    names = [arm.name for arm in shown]
    headings = ("model", *(label(results, arm) for arm in shown))
    ours = {arm.name: _base_and_plus(arm) for arm in results.arms}
    rows = [(results.models["coder"], *(ours[name] for name in names))]
    for each in PUBLISHED[results.benchmark]:
        found = (each.settings.get(name) for name in names)
        rows.append((each.model, *(f"{pair[0]} ({pair[1]})" if pair else "" for pair in found)))
    note = (
        "The authors' numbers are those of their repository; feedback was given by the tests "
        "that score."
    )
    return Table("Beside the paper: pass@1 base (plus)", headings, tuple(rows), note)


_PAPERS = ("none", "execution", "simulated", "oracle")


def _base_and_plus(arm: ArmResults) -> str:
    base = f"{100 * arm.pass_at_1['base'][-1].value:.1f}"
    if "plus" not in arm.pass_at_1:
        return base
    return f"{base} ({100 * arm.pass_at_1['plus'][-1].value:.1f})"


def _percent(found: Sequence[Interval], turn: int) -> str:
    if turn > len(found):
        return ""
    each = found[turn - 1]
    return f"{100 * each.value:.1f} [{100 * each.low:.1f}, {100 * each.high:.1f}]"


def _points(each: Interval) -> str:
    return f"{100 * each.value:+.1f} [{100 * each.low:+.1f}, {100 * each.high:+.1f}]"


def as_lines(table: Table) -> str:
    """Return a table for a terminal."""
    lines = [table.headings, *table.rows]
    widths = [max(len(row[at]) for row in lines) for at in range(len(table.headings))]
    shown = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in lines
    ]
    return "\n".join([table.title, *shown, *([table.note] if table.note else [])])


def _markdown(table: Table) -> str:
    rule = tuple("---" for _ in table.headings)
    lines = [f"| {' | '.join(row)} |" for row in (table.headings, rule, *table.rows)]
    return "\n".join([f"## {table.title}", "", *lines, *(["", table.note] if table.note else [])])
