"""What an evaluation's verdicts say: pass@1 by setting, paired gains with their uncertainty, cost.

Settings are compared task by task. The p-value is McNemar's exact one, a two-sided binomial test
over the tasks on which two settings differ; intervals are percentile bootstraps over tasks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from opencodeinterpreter.tools.errors import InputError

RESAMPLES = 10_000
"""Bootstrap samples of an interval; their seed is fixed, so that a report is reproducible."""
_SEED = 0
Tests = Literal["base", "plus"]


@dataclass(frozen=True)
class Attempt:
    """The scored program of one task under one setting, after one turn."""

    base: bool
    """Whether it passed the base inputs."""
    plus: bool | None
    """Whether it passed the base and the plus inputs; `None` if the benchmark has none."""

    def passed(self, tests: Tests) -> bool:
        """Whether it passed; raises ValueError for plus inputs that the benchmark lacks."""
        if tests == "base":
            return self.base
        if self.plus is None:
            raise ValueError("this benchmark has no plus inputs")
        return self.plus


@dataclass(frozen=True)
class TaskResult:
    """One task under one setting."""

    attempts: tuple[Attempt, ...]
    """What scored after each turn; a run that ended early keeps its last one."""
    output_tokens: int = 0
    seconds: float = 0.0
    """Recorded seconds of models and runner."""
    cost: float | None = None
    calls: int = 0
    critic_solved: bool = False
    """Whether it became right at a turn that followed a critic's words."""

    @property
    def last(self) -> Attempt:
        """What scores: the attempt after the last turn."""
        return self.attempts[-1]


Results = Mapping[str, TaskResult]
"""By task id; tasks that failed for an outside reason are left out."""


@dataclass(frozen=True)
class Interval:
    """A share with its 95 % interval, all between 0 and 1 (or -1 and 1 for a difference)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Gain:
    """How one setting compares with another on the tasks that both have."""

    tasks: int
    difference: Interval
    """The difference of their pass@1."""
    gained: tuple[str, ...]
    """Tasks that fail under the baseline and pass under this setting."""
    broken: tuple[str, ...]
    """Tasks that pass under the baseline and fail under this setting."""
    p_value: float
    """McNemar's exact one."""
    repaired: float | None
    """The share of the baseline's failures that this setting passes; `None` if there are none."""


def pass_at_1(results: Results, tests: Tests, turn: int | None = None) -> Interval:
    """Return the share of tasks whose program passes after `turn`, by default after the last.

    Raises InputError if there are no results.
    """
    flags = [float(_attempt(result, turn).passed(tests)) for result in results.values()]
    if not flags:
        raise InputError("no task has a result, so there is nothing to compute")
    return _mean_interval(flags)


def gain(baseline: Results, setting: Results, tests: Tests) -> Gain:
    """Compare `setting` with `baseline`, task by task; raises InputError if they share no task."""
    shared = [task for task in baseline if task in setting]
    if not shared:
        raise InputError("the two settings share no task, so they cannot be compared")
    before = {task: baseline[task].last.passed(tests) for task in shared}
    after = {task: setting[task].last.passed(tests) for task in shared}
    gained = tuple(task for task in shared if after[task] and not before[task])
    broken = tuple(task for task in shared if before[task] and not after[task])
    failed = sum(not passed for passed in before.values())
    return Gain(
        tasks=len(shared),
        difference=_mean_interval([float(after[task]) - float(before[task]) for task in shared]),
        gained=gained,
        broken=broken,
        p_value=_mcnemar(len(gained), len(broken)),
        repaired=len(gained) / failed if failed else None,
    )


def _attempt(result: TaskResult, turn: int | None) -> Attempt:
    if turn is None:
        return result.last
    return result.attempts[min(turn, len(result.attempts)) - 1]


def _mcnemar(gained: int, broken: int) -> float:
    from scipy.stats import binomtest

    if gained + broken == 0:
        return 1.0
    return float(binomtest(gained, gained + broken).pvalue)


def _mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean with its 95 % percentile bootstrap interval."""
    import numpy
    from scipy.stats import bootstrap

    mean = sum(values) / len(values)
    if len(set(values)) == 1:
        return Interval(mean, mean, mean)
    found = bootstrap(
        (numpy.asarray(values),),
        numpy.mean,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=numpy.random.default_rng(_SEED),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high))
