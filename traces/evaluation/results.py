"""The results of an evaluation: the schema of `results.json`, and how its numbers are computed."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from opencodeinterpreter.graph.arms import DRAFT, RESAMPLE, Arm
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.traces.evaluation.audit import Audit
from opencodeinterpreter.traces.evaluation.folder import Header, Protocol
from opencodeinterpreter.traces.metrics import (
    Gain,
    Interval,
    TaskResult,
    Tests,
    Unit,
    gain,
    matched,
    pass_at_1,
    pass_at_k,
    total,
)

_COLUMNS: Mapping[Protocol, tuple[Tests, ...]] = {
    "held-out": ("base", "held-out", "plus"),
    "paper": ("base", "plus"),
}
_UNITS: tuple[Unit, ...] = ("calls", "output tokens")


class Matched(Frozen):
    """How an arm compares with plain sampling for the same budget."""

    unit: Unit
    """What the budget is counted in."""
    budget: int
    """What the arm spent on all tasks."""
    spent: int
    """What sampling spent; it stops at a sample that passes the feedback tests."""
    pass_at_1: Interval
    """Of sampling, on the tests that score."""
    gain: Gain
    """The arm's gain over sampling, on the tests that score."""


class ArmResults(Frozen):
    """One arm on all tasks that it and the first drafts ended on."""

    name: str
    tasks: int
    pass_at_1: dict[Tests, tuple[Interval, ...]]
    """After each turn, by the tests."""
    pass_at_k: dict[Tests, dict[int, Interval]] = {}
    """By the tests and k, if the arm drew several independent drafts of every task."""
    gain: dict[Tests, Gain] = {}
    """Over the first drafts; empty for the first drafts themselves."""
    went_on: int
    """Tasks whose first draft failed the feedback tests."""
    repaired: float | None
    """The share of those tasks that score now and did not before; `None` if there are none."""
    only_by_critic: tuple[str, ...] = ()
    """For arms with a model as critic: tasks that score neither as drafted nor by execution."""
    matched: tuple[Matched, ...] = ()
    """Compared with plain sampling, where samples were drawn."""
    calls: int
    input_tokens: int
    output_tokens: int
    seconds: float
    """Recorded seconds of models and runner, as if nothing ran beside anything else."""
    cost: float | None
    tokens_per_solved: float | None
    """Input and output tokens over the tasks that score; `None` if there are none."""
    failed: dict[str, str] = {}
    """Tasks without a result, and why: an outside failure, or not run yet. They count nowhere."""


class Results(Frozen):
    """All that an evaluation found; `results.json` holds it."""

    format: Literal["opencodeinterpreter results"] = "opencodeinterpreter results"
    version: Literal[1] = 1
    benchmark: str
    sha256: str
    """Of the benchmark's file, unpacked."""
    protocol: Protocol
    models: dict[str, str]
    """Specs by role."""
    max_turns: int
    versions: dict[str, str]
    tests: Tests
    """The tests that score: gains, repairs and costs are about them."""
    tasks_chosen: int
    """Tasks that were to be run."""
    arms: tuple[ArmResults, ...]
    audit: Audit
    tasks: dict[str, dict[str, TaskResult]] = Field(default={}, repr=False)
    """Results by arm and task."""


def columns(protocol: Protocol, further: bool) -> tuple[Tests, ...]:
    """Return the tests by which a protocol counts; without further inputs only the base ones."""
    return _COLUMNS[protocol] if further else ("base",)


def scoring(protocol: Protocol, further: bool) -> Tests:
    """Return the tests that score."""
    if not further:
        return "base"
    return "held-out" if protocol == "held-out" else "plus"


def results(
    header: Header,
    chosen: int,
    tasks: Mapping[str, Mapping[str, TaskResult]],
    failed: Mapping[str, Mapping[str, str]],
    audit: Audit,
) -> Results:
    """Compute an evaluation's results from those of its tasks, by arm and task.

    Raises InputError if no first draft has a result.
    """
    drafts = tasks[DRAFT.name]
    further = any(result.last.further is not None for result in drafts.values())
    tests = scoring(header.protocol, further)
    shown = columns(header.protocol, further)
    done = [arm for arm in header.arms if tasks.get(arm.name)]
    return Results(
        benchmark=header.benchmark,
        sha256=header.sha256,
        protocol=header.protocol,
        models={**header.settings.models},
        max_turns=header.settings.limits.turns,
        versions=header.settings.versions,
        tests=tests,
        tasks_chosen=chosen,
        arms=tuple(
            _arm(arm, tasks, failed.get(arm.name, {}), shown=shown, tests=tests) for arm in done
        ),
        audit=audit,
        tasks={arm.name: dict(tasks[arm.name]) for arm in done},
    )


def _arm(
    arm: Arm,
    tasks: Mapping[str, Mapping[str, TaskResult]],
    failed: Mapping[str, str],
    *,
    shown: Sequence[Tests],
    tests: Tests,
) -> ArmResults:
    own, drafts = tasks[arm.name], tasks[DRAFT.name]
    turns = max(len(result.attempts) for result in own.values())
    went_on = [task for task, result in own.items() if result.went_on]
    solved = sum(result.last.passed(tests) for result in own.values())
    costs = [result.cost for result in own.values() if result.cost is not None]
    read, written = (
        sum(result.input_tokens for result in own.values()),
        sum(result.output_tokens for result in own.values()),
    )
    return ArmResults(
        name=arm.name,
        tasks=len(own),
        pass_at_1={
            each: tuple(pass_at_1(own, each, turn) for turn in range(1, turns + 1))
            for each in shown
        },
        pass_at_k={each: found for each in shown if (found := pass_at_k(own, each))},
        gain={} if arm == DRAFT else {each: gain(drafts, own, each) for each in shown},
        went_on=len(went_on),
        repaired=_repaired(own, went_on, tests),
        only_by_critic=_only_by_critic(arm, tasks, tests),
        matched=_matched(arm, tasks, tests),
        calls=sum(result.calls for result in own.values()),
        input_tokens=read,
        output_tokens=written,
        seconds=sum(result.seconds for result in own.values()),
        cost=sum(costs) if costs else None,
        tokens_per_solved=(read + written) / solved if solved else None,
        failed=dict(failed),
    )


def _repaired(own: Mapping[str, TaskResult], went_on: Sequence[str], tests: Tests) -> float | None:
    if not went_on:
        return None
    found = [own[task].attempts for task in went_on]
    gained = sum(all_[-1].passed(tests) and not all_[0].passed(tests) for all_ in found)
    return gained / len(went_on)


def _only_by_critic(
    arm: Arm, tasks: Mapping[str, Mapping[str, TaskResult]], tests: Tests
) -> tuple[str, ...]:
    if arm.changes.get("critic") in (None, "none", "execution"):
        return ()
    others = [tasks[name] for name in (DRAFT.name, "execution") if name in tasks]
    return tuple(
        task
        for task, result in tasks[arm.name].items()
        if result.last.passed(tests)
        and not any(task in other and other[task].last.passed(tests) for other in others)
    )


def _matched(
    arm: Arm, tasks: Mapping[str, Mapping[str, TaskResult]], tests: Tests
) -> tuple[Matched, ...]:
    pool = tasks.get(RESAMPLE.name)
    if pool is None or arm.name in (DRAFT.name, RESAMPLE.name):
        return ()
    drafts = tasks[DRAFT.name]
    # A task whose samples are missing can't be compared.
    own = {task: result for task, result in tasks[arm.name].items() if task in pool}
    if not own:
        return ()
    found = []
    for unit in _UNITS:
        if not (budget := total(own, unit)):
            continue
        sampled = matched(drafts, own, pool, unit)
        found.append(
            Matched(
                unit=unit,
                budget=budget,
                spent=total(sampled, unit),
                pass_at_1=pass_at_1(sampled, tests),
                gain=gain(sampled, own, tests),
            )
        )
    return tuple(found)
