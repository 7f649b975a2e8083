"""What became of each task since a baseline: the part of an evaluation that a CI looks at."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.traces.evaluation.results import Results

Change = Literal["newly failing", "flaky", "still failing", "fixed", "new", "still passing"]
ORDER: tuple[Change, ...] = (
    "newly failing",
    "flaky",
    "still failing",
    "fixed",
    "new",
    "still passing",
)
"""The worst first."""
Changes = Mapping[tuple[str, str], Change]
"""By setting and task."""


def changes(baseline: Mapping[str, Results], now: Mapping[str, Results]) -> Changes:
    """Compare evaluations, by the names of their folders, with earlier ones.

    Several on one side are repetitions: a task that passed in one and failed in another of the
    same side is flaky. Raises InputError if they were scored by different tests.
    """
    _check_same({**baseline, **now})
    before, after = _passed(list(baseline.values())), _passed(list(now.values()))
    found = {place: _change(before.get(place), flags) for place, flags in after.items()}
    return dict(sorted(found.items(), key=lambda item: (ORDER.index(item[1]), item[0])))


def counted(found: Changes) -> dict[Change, int]:
    """Return how many tasks each change has, the worst first."""
    counts = Counter(found.values())
    return {change: counts[change] for change in ORDER if counts[change]}


def _check_same(every: Mapping[str, Results]) -> None:
    (first, held), *others = every.items()
    for name, results in others:
        for field in ("benchmark", "sha256", "protocol", "tests"):
            if getattr(results, field) != getattr(held, field):
                raise InputError(
                    f"{name} cannot be compared with {first}: their {field} differs, "
                    f"{getattr(results, field)} and {getattr(held, field)}"
                )


def _passed(every: Sequence[Results]) -> dict[tuple[str, str], set[bool]]:
    found: dict[tuple[str, str], set[bool]] = {}
    for results in every:
        for arm, tasks in results.tasks.items():
            for task, result in tasks.items():
                found.setdefault((arm, task), set()).add(result.last.passed(results.tests))
    return found


def _change(before: set[bool] | None, after: set[bool]) -> Change:
    if len(after) > 1 or (before is not None and len(before) > 1):
        return "flaky"
    if before is None:
        return "new"
    match True in before, True in after:
        case True, True:
            return "still passing"
        case True, False:
            return "newly failing"
        case False, True:
            return "fixed"
    return "still failing"
