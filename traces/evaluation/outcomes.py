"""What an evaluation's runs come to, task by task: programs to be graded, and their results."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from opencodeinterpreter.graph.arms import DRAFT, Arm
from opencodeinterpreter.graph.evaluation import Evaluation, Place, read_arms
from opencodeinterpreter.graph.runs import Run
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.nodes.limits import cost, seconds
from opencodeinterpreter.nodes.records import Turn
from opencodeinterpreter.tools.benchmarks.samples import Sample
from opencodeinterpreter.traces.evaluation.scoring import Verdicts, programs
from opencodeinterpreter.traces.metrics import Sample as Drawn
from opencodeinterpreter.traces.metrics import TaskResult


@dataclass(frozen=True)
class Outcomes:
    """The runs of an evaluation that ended, and why the others did not."""

    tasks: tuple[str, ...]
    """All that are to be run and scored."""
    runs: Mapping[Place, Run]
    unended: Mapping[Place, Run]
    """Runs that failed outside, or that were not finished."""

    def under(self, arm: Arm) -> Iterator[tuple[str, tuple[Run, ...]]]:
        """Yield each task that this arm is done with, and its runs: the last one is the arm's own.

        Where the first draft passed its feedback tests there is no other run, except of an arm that
        starts alone.
        """
        if arm.start == "alone":
            yield from ((place.task, (run,)) for place, run in self._runs_of(arm.name))
            return
        for place, drafted in self._runs_of(DRAFT.name):
            own = self.runs.get(Place(place.task, arm.name))
            if arm.name == DRAFT.name or drafted.record.solved:
                yield place.task, (drafted,)
            elif own is not None:
                yield place.task, (drafted, own) if arm.start == "anew" else (own,)

    def _runs_of(self, arm: str) -> Iterator[tuple[Place, Run]]:
        return ((place, run) for place, run in self.runs.items() if place.arm == arm)


async def read_outcomes(
    store: Store, evaluation: Evaluation, unscored: Collection[str] = ()
) -> Outcomes:
    """Read all runs of an evaluation from its store; those of `unscored` tasks give no result."""
    runs: dict[Place, Run] = {}
    unended: dict[Place, Run] = {}
    async for place, run in read_arms(store, evaluation):
        (runs if run.next == "end" else unended)[place] = run
    scored = tuple(task for task in evaluation.tasks if task not in unscored)
    return Outcomes(scored, runs, unended)


def problem(run: Run) -> str:
    """Return why a run has not ended."""
    failure = run.failure
    return f"{failure.owner}: {failure.message}" if failure else "not finished"


def samples_after(
    outcomes: Outcomes, arm: Arm, order: Mapping[str, object], turn: int | None = None
) -> list[Sample]:
    """Return the programs of an arm after a turn, by default its last, in the order of tasks."""
    found = {}
    for task, runs in outcomes.under(arm):
        after = _programs(runs)
        found[task] = Sample(task, after[-1] if turn is None else after[min(turn, len(after)) - 1])
    return [found[task] for task in order if task in found]


def all_samples(outcomes: Outcomes, arm: Arm) -> Iterator[Sample]:
    """Yield every program of an arm that may be scored."""
    for task, runs in outcomes.under(arm):
        if task not in outcomes.tasks:
            continue
        for program in (*_programs(runs), *(drawn for drawn, _ in _drawn(arm, runs))):
            yield Sample(task, program)


def results_of(outcomes: Outcomes, arm: Arm, verdicts: Verdicts) -> dict[str, TaskResult]:
    """Return an arm's results by task; one with a program that is not graded has none."""
    found = ((task, _result(task, arm, runs, verdicts)) for task, runs in outcomes.under(arm))
    return {task: result for task, result in found if result is not None}


def _result(task: str, arm: Arm, runs: tuple[Run, ...], verdicts: Verdicts) -> TaskResult | None:
    attempts = [verdicts.attempt(task, program) for program in _programs(runs)]
    graded = [attempt for attempt in attempts if attempt is not None]
    if len(graded) < len(attempts):
        return None
    turns = [turn for run in runs for turn in run.record.turns]
    usages = [call.usage for turn in turns for call in turn.calls() if call.usage]
    return TaskResult(
        attempts=tuple(graded),
        went_on=not _passed(turns[0], turns[0].chosen),
        calls=sum(1 for turn in turns for _ in turn.calls()),
        input_tokens=sum(usage.input_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
        seconds=seconds(turns),
        cost=cost(turns),
        samples=tuple(_samples(task, arm, runs, verdicts)),
        runs=tuple(run.row.id for run in runs),
    )


def _samples(task: str, arm: Arm, runs: tuple[Run, ...], verdicts: Verdicts) -> Iterator[Drawn]:
    for program, (passed, tokens) in _drawn(arm, runs):
        if (attempt := verdicts.attempt(task, program)) is not None:
            yield Drawn(attempt=attempt, passed=passed, output_tokens=tokens)


def _programs(runs: tuple[Run, ...]) -> tuple[str, ...]:
    return tuple(program for run in runs for program in programs(run.record))


def _drawn(arm: Arm, runs: tuple[Run, ...]) -> Iterator[tuple[str, tuple[bool, int]]]:
    """Yield the independent drafts of a run's first turn, each with whether it passed."""
    if arm.start == "branch" or (arm.start == "anew" and len(runs) < 2):
        return
    turn = runs[-1].record.turns[0]
    drafts = turn.drafts or ()
    for at, draft in enumerate(drafts if len(drafts) > 1 else ()):
        usage = draft.call.usage if draft.call else None
        yield draft.code or "", (_passed(turn, at), usage.output_tokens if usage else 0)


def _passed(turn: Turn, at: int) -> bool:
    execution = turn.executions[at] if turn.executions else None
    return execution is not None and execution.passed
