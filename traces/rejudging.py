"""Judge stored drafts again: with newer tests, another judge, or the same judge several times.

A draft is given to the loop as code to start from, so that executor and judge are the loop's own.
The stored run does not change; what comes out says where it came from.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.nodes.records import Draft, Record, Task, Turn
from opencodeinterpreter.nodes.settings import Limits, Settings
from opencodeinterpreter.nodes.state import read
from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.grading.tests import Tests
from opencodeinterpreter.tools.models.protocol import Model, Request, Response
from opencodeinterpreter.tools.runner import Runner
from opencodeinterpreter.traces.trace import Trace


class Opinion(Frozen):
    """A decision on a draft, without limits: what it did is `solved` or `revise`."""

    decision: str
    decided_by: str
    reason: str


class Rejudged(Frozen):
    """What became of one stored draft."""

    run: str
    turn: int
    code: str
    """The sha256 of the draft's code."""
    tests: str | None
    """The sha256 of the tests; `None` if the task has none."""
    judge: str | None
    """The judge model's spec."""
    versions: dict[str, str]
    """Of the packages that judged now."""
    before: Opinion | None
    """The recorded decision."""
    after: tuple[Opinion, ...]
    """One for each time."""

    @property
    def changed(self) -> bool:
        """Whether a decision differs from the recorded one, or from another time's."""
        decisions = {opinion.decision for opinion in self.after}
        return len(decisions) > 1 or (
            self.before is not None and decisions != {self.before.decision}
        )

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each decision came out."""
        return Counter(opinion.decision for opinion in self.after)


class _Nobody:
    """Stands for the coder, which is not asked: every draft is given."""

    spec = "closed"

    async def complete(self, request: Request) -> Response:
        raise NotImplementedError(request)


def drafts_of(record: Record) -> Iterator[tuple[Turn, Draft, Task]]:
    """Yield the chosen drafts with code, and their tasks."""
    for turn in record.turns:
        if turn.draft is not None and turn.draft.code is not None:
            yield turn, turn.draft, record.tasks[turn.task - 1]


def settings_at(record: Record, turn: Turn, judge: str | None) -> Settings:
    """Return a turn's recorded settings, with another judge model if one is named."""
    held = Settings.model_validate(record.settings[turn.settings])
    return held.model_copy(update={"models": {**held.models, "judge": judge}}) if judge else held


def settings_for(record: Record, turn: Turn, judge: str | None) -> Settings:
    """Return the settings under which a draft is judged again: the turn's, without a critic."""
    held = settings_at(record, turn, judge)
    models = {role: held.models[role] for role in ("coder", "judge") if role in held.models}
    return Settings(
        models=models,
        critic="none",
        limits=Limits(turns=1),
        sampling=held.sampling,
        sandbox=held.sandbox,
        client=held.client,
        prompts=held.prompts,
    )


@dataclass(frozen=True)
class Case:
    """A stored draft, and by what it is judged again."""

    trace: Trace
    turn: Turn
    tests: Tests | None
    """`None`: the task's own."""
    settings: Settings

    @property
    def task(self) -> Task:
        """The task with the tests that decide now."""
        task = self.trace.record.tasks[self.turn.task - 1]
        return task.model_copy(update={"tests": self.tests or task.tests})


async def rejudge(case: Case, judge: Model | None, runner: Runner) -> Opinion:
    """Judge a draft again; raises ModelError and SandboxError."""
    turn, settings = case.turn, case.settings
    task = case.task.model_dump(mode="json", exclude={"number"})
    assert turn.draft is not None and turn.draft.code is not None
    seed = task_seed(task, settings, turn.draft.code)
    seed["turns"][0]["drafts"][0]["files"] = dict(turn.draft.files)
    models: dict[Any, Model] = {"coder": _Nobody(), **({"judge": judge} if judge else {})}
    graph = build_graph(models, runner)
    made = read(cast(Any, await graph.ainvoke(seed, context=settings)))
    return opinion_on(made.turns[-1])


def opinion_on(turn: Turn) -> Opinion:
    """Return the decision on a turn; one that a limit stopped counts as not solved."""
    outcome = turn.outcome
    assert outcome is not None
    decision = "solved" if outcome.decision == "solved" else "revise"
    execution = turn.execution
    by: str = outcome.decided_by
    if by == "limits":
        by = "tests" if execution and execution.tests is not None else "run"
        by = "model" if turn.verdict and turn.verdict.calls else by
    return Opinion(decision=decision, decided_by=by, reason=outcome.reason)


def rejudged(case: Case, after: tuple[Opinion, ...]) -> Rejudged:
    """Return what became of a draft, with where it came from."""
    turn, settings, used = case.turn, case.settings, case.task.tests
    return Rejudged(
        run=case.trace.header.run,
        turn=turn.number,
        code=digest(turn.code),
        tests=digest(used.model_dump(mode="json")) if used else None,
        judge=settings.models.get("judge"),
        versions=settings.versions,
        before=opinion_on(turn) if turn.outcome else None,
        after=after,
    )
