"""The table of what pupils have learned."""

from collections.abc import Iterator, Mapping, Sequence

from learn.lesson import Report
from learn.runs import ARMS, Measured


def table(lessons: Mapping[int, Sequence[Report]]) -> str:
    """Return the reports by seed as a table in Markdown.

    In per cent: what passes, and in brackets the share of failed drafts that is repaired.
    """
    heads = ["seed", "after", "single turn", *ARMS, "processor min"]
    rows = [heads, ["---"] * len(heads)]
    for seed, reports in lessons.items():
        rows += [[str(seed), *_row(report)] for report in reports]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(report: Report) -> Iterator[str]:
    found = report.measured
    yield report.stage
    yield f"{found.single / found.tasks:.1%}".rstrip("%")
    for arm in ARMS:
        yield _cell(found, found.repaired[arm])
    yield f"{report.seconds / 60:.1f}"


def _cell(found: Measured, repaired: int) -> str:
    passed = 100 * (found.single + repaired) / found.tasks
    share = 100 * repaired / max(1, found.tasks - found.single)
    return f"{passed:.1f} ({share:.1f})"
