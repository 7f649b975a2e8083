"""What an evaluation's verdicts say: pass@1 by setting, paired gains with their uncertainty, cost.

Settings are compared task by task. The p-value is McNemar's exact one, a two-sided binomial test
over the tasks on which two settings differ; intervals are percentile bootstraps over tasks.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.frozen import Frozen

RESAMPLES = 10_000
"""Bootstrap samples of an interval; their seed is fixed, so that a report is reproducible."""
_SEED = 0
Tests = Literal["base", "held-out", "plus"]
"""The base inputs; the further ones alone; both, as in EvalPlus's column of that name."""
Unit = Literal["calls", "output tokens"]
"""What a budget is counted in."""


class Attempt(Frozen):
    """What became of a program."""

    base: bool
    """Whether it passed the base inputs."""
    further: bool | None
    """Whether it passed the further inputs that score; `None` if the benchmark has none."""

    def passed(self, tests: Tests) -> bool:
        """Whether it passed; raises ValueError for further inputs that the benchmark lacks."""
        if tests == "base":
            return self.base
        if self.further is None:
            raise ValueError("this benchmark has base inputs alone")
        return self.further and (self.base or tests == "held-out")


class Sample(Frozen):
    """One of several independent drafts."""

    attempt: Attempt
    passed: bool
    """Whether it passed the feedback tests, by which samples are chosen."""
    output_tokens: int = 0


class TaskResult(Frozen):
    """One task under one setting."""

    attempts: tuple[Attempt, ...]
    """What scored after each turn; a run that ended early keeps its last one."""
    went_on: bool = False
    """Whether the first draft failed the feedback tests, so that it was worked on further."""
    calls: int = 0
    """Model calls, that of the first draft included; so are the tokens, seconds and cost."""
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    """Recorded seconds of models and runner."""
    cost: float | None = None
    """Money, in the unit of the prices; `None` where no price is known."""
    samples: tuple[Sample, ...] = ()
    """The independent drafts of an arm that samples several, in their order."""
    runs: tuple[str, ...] = ()
    """The runs that it is made of, by id."""

    @property
    def last(self) -> Attempt:
        """What scores: the attempt after the last turn."""
        return self.attempts[-1]

    def spent(self, unit: Unit) -> int:
        """Return what it cost."""
        return self.calls if unit == "calls" else self.output_tokens


Results = Mapping[str, TaskResult]
"""By task id; tasks that failed for an outside reason are left out."""


class Interval(Frozen):
    """A share with its 95 % interval, all between 0 and 1 (or -1 and 1 for a difference)."""

    value: float
    low: float
    high: float


class Gain(Frozen):
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
    return mean_interval(flags)


def pass_at_k(results: Results, tests: Tests) -> dict[int, Interval]:
    """Return pass@k by k, if every task has several samples: 1, 2, 4 … and the number of samples.

    It is the unbiased estimate of Chen et al. (arXiv 2107.03374, section 2.1).
    """
    most = min((len(result.samples) for result in results.values()), default=0)
    if most < 2:
        return {}
    counts = {2**power for power in range(most.bit_length())} | {most}
    return {
        k: mean_interval([_at_k(result.samples, tests, k) for result in results.values()])
        for k in sorted(counts)
    }


def _at_k(samples: Sequence[Sample], tests: Tests, k: int) -> float:
    """Return how likely one of `k` samples, drawn without replacement, passes."""
    failed = sum(not sample.attempt.passed(tests) for sample in samples)
    return 1 - math.comb(failed, k) / math.comb(len(samples), k)


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
        difference=mean_interval([float(after[task]) - float(before[task]) for task in shared]),
        gained=gained,
        broken=broken,
        p_value=_mcnemar(len(gained), len(broken)),
        repaired=len(gained) / failed if failed else None,
    )


def matched(drafts: Results, setting: Results, pool: Results, unit: Unit) -> dict[str, TaskResult]:
    """Return what plain sampling gives for the budget of `setting`, task by task.

    What a setting spent beyond the first draft buys samples of the task's `pool`, in their order,
    until it is spent or a sample passes the feedback tests; that one scores. Where none passes, the
    first draft does. The last sample may exceed the budget. Tasks without a pool keep the draft.
    """
    return {
        task: _bought(drafts[task], pool.get(task), result.spent(unit), unit)
        for task, result in setting.items()
        if task in drafts
    }


def _bought(draft: TaskResult, pool: TaskResult | None, budget: int, unit: Unit) -> TaskResult:
    scored, calls, tokens = draft.last, draft.calls, draft.output_tokens
    for sample in pool.samples if pool else ():
        if (calls if unit == "calls" else tokens) >= budget:
            break
        calls, tokens = calls + 1, tokens + sample.output_tokens
        if sample.passed:
            scored = sample.attempt
            break
    return TaskResult(attempts=(*draft.attempts, scored), calls=calls, output_tokens=tokens)


def total(results: Results, unit: Unit) -> int:
    """Return what all tasks cost together."""
    return sum(result.spent(unit) for result in results.values())


def _attempt(result: TaskResult, turn: int | None) -> Attempt:
    if turn is None:
        return result.last
    return result.attempts[min(turn, len(result.attempts)) - 1]


def _mcnemar(gained: int, broken: int) -> float:
    from scipy.stats import binomtest

    if gained + broken == 0:
        return 1.0
    return float(binomtest(gained, gained + broken).pvalue)


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean with its 95 % percentile bootstrap interval."""
    mean = sum(values) / len(values)
    if len(set(values)) == 1:
        return Interval(value=mean, low=mean, high=mean)
    import numpy
    from scipy.stats import bootstrap

    found = bootstrap(
        (numpy.asarray(values),),
        numpy.mean,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=numpy.random.default_rng(_SEED),
    ).confidence_interval
    return Interval(value=mean, low=float(found.low), high=float(found.high))
