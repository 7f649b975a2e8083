"""What became of each task since a baseline: the part of an evaluation that a CI looks at."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.traces.evaluation.results import Results
from opencodeinterpreter.traces.metrics import Interval, mean_interval

Change = Literal[
    "newly failing", "flaky", "no result", "still failing", "fixed", "new", "still passing"
]
ORDER: tuple[Change, ...] = (
    "newly failing",
    "flaky",
    "no result",
    "still failing",
    "fixed",
    "new",
    "still passing",
)
"""The worst first."""
Changes = Mapping[tuple[str, str], Change]
"""By setting and task."""


class Moved(Frozen):
    """How far a setting's score moved, on the tasks that both sides have."""

    tasks: int
    before: Interval
    now: Interval
    difference: Interval


@dataclass(frozen=True)
class Since:
    """What became of an evaluation since a baseline."""

    changes: Changes
    """The worst first; then in the order of settings and tasks."""
    moved: Mapping[str, Moved]
    """By setting; one that only one side has is left out."""


def since(baseline: Mapping[str, Results], now: Mapping[str, Results]) -> Since:
    """Compare evaluations, by the names of their folders, with earlier ones.

    Several on one side are repetitions: a task that passed in one and failed in another of the
    same side is flaky. Raises InputError if they were scored by different tests.
    """
    _check_same({**baseline, **now})
    before, after = _passed(list(baseline.values())), _passed(list(now.values()))
    found = {place: _change(before.get(place), flags) for place, flags in after.items()}
    lost = [place for place in _without_result(now.values()) if place in before]
    found.update({place: "no result" for place in lost if place not in after})
    return Since(
        changes=dict(sorted(found.items(), key=lambda item: ORDER.index(item[1]))),
        moved=_moved(before, after),
    )


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


_Flags = Mapping[tuple[str, str], Sequence[bool]]
"""Whether a task passed under a setting, once for each repetition."""


def _passed(every: Sequence[Results]) -> _Flags:
    found: dict[tuple[str, str], list[bool]] = {}
    for results in every:
        for arm, tasks in results.tasks.items():
            for task, result in tasks.items():
                found.setdefault((arm, task), []).append(result.last.passed(results.tests))
    return found


def _without_result(every: Iterable[Results]) -> Iterator[tuple[str, str]]:
    return ((arm.name, task) for results in every for arm in results.arms for task in arm.failed)


def _change(before: Sequence[bool] | None, after: Sequence[bool]) -> Change:
    if len(set(after)) > 1 or (before is not None and len(set(before)) > 1):
        return "flaky"
    if before is None:
        return "new"
    match before[0], after[0]:
        case True, True:
            return "still passing"
        case True, False:
            return "newly failing"
        case False, True:
            return "fixed"
    return "still failing"


def _moved(before: _Flags, after: _Flags) -> dict[str, Moved]:
    """Return each setting's scores; of repetitions, a task has the share that passed."""
    shares: dict[str, list[tuple[float, float]]] = {}
    for (arm, task), flags in after.items():
        if earlier := before.get((arm, task)):
            pair = (sum(earlier) / len(earlier), sum(flags) / len(flags))
            shares.setdefault(arm, []).append(pair)
    return {
        arm: Moved(
            tasks=len(pairs),
            before=mean_interval([old for old, _ in pairs]),
            now=mean_interval([new for _, new in pairs]),
            difference=mean_interval([new - old for old, new in pairs]),
        )
        for arm, pairs in shares.items()
    }
