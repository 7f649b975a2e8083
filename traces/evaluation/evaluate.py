"""An evaluation from start to end: run the arms, score their programs, compute the results."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from opencodeinterpreter.graph.arms import DRAFT, Arm
from opencodeinterpreter.graph.batch import Plan
from opencodeinterpreter.graph.evaluation import Ended, Evaluation, run_arms
from opencodeinterpreter.graph.opening import open_graph
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.tools.benchmarks.grading import Grade, grade_here
from opencodeinterpreter.tools.benchmarks.grading import Watch as GradingWatch
from opencodeinterpreter.tools.benchmarks.tasks import Benchmark, InputTask
from opencodeinterpreter.tools.canonical import canonical
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX, SandboxName
from opencodeinterpreter.traces.evaluation.audit import (
    Audit,
    check_canary,
    coincidences,
    prompts_of,
)
from opencodeinterpreter.traces.evaluation.folder import Folder, Header
from opencodeinterpreter.traces.evaluation.outcomes import (
    Outcomes,
    all_samples,
    problem,
    read_outcomes,
    results_of,
    samples_after,
)
from opencodeinterpreter.traces.evaluation.results import Results, results
from opencodeinterpreter.traces.evaluation.scoring import Verdicts, grade_missing, samples_text
from opencodeinterpreter.traces.evaluation.tasks import loop_tasks, scoring_benchmark
from opencodeinterpreter.traces.page.document import html
from opencodeinterpreter.traces.page.evaluations import Evaluated, evaluations_page
from opencodeinterpreter.traces.report import as_markdown

Watch = Callable[[Ended], None]


@dataclass(frozen=True)
class Work:
    """How an evaluation runs."""

    concurrency: int = 4
    """Most runs at once."""
    deadline: float | None = None
    """Seconds after which one run is stopped, to be resumed by another start."""
    sandbox: SandboxName = DEFAULT_SANDBOX
    grade: Grade = grade_here


async def prepare(
    folder: Folder, benchmark: Benchmark, asked: Header, names: Sequence[str], work: Work
) -> Evaluation:
    """Prepare the folder; return what is to be run now: these tasks under these arms.

    Raises InputError if the folder holds another evaluation, or if a planted text is in a task;
    BenchmarkError and SandboxError.
    """
    header = folder.begin(asked)
    kept = folder.tasks()
    if missing := [name for name in names if name not in kept]:
        made = await loop_tasks(work.sandbox, benchmark, missing, header.protocol, header.canary)
        order = [name for name in benchmark.tasks if name in made or name in kept]
        kept = {name: made.get(name) or kept[name] for name in order}
        for name, task in made.items():
            check_canary(canonical({**task}), header.canary, f"task {name}")
        folder.keep_tasks(kept)
    wanted = {name: kept[name] for name in names}
    arms = tuple(arm for arm in header.arms if arm.name in {each.name for each in asked.arms})
    return Evaluation(header.benchmark, wanted, header.settings, arms, folder.batch(header))


async def run(folder: Folder, evaluation: Evaluation, work: Work, watch: Watch) -> None:
    """Run an evaluation's arms; call `watch` when a run has ended. Raises as `run_arms` does."""
    plan = Plan(concurrency=work.concurrency, deadline=work.deadline)
    async with (
        open_store(folder.store) as store,
        open_graph(evaluation.settings, store, sandbox=work.sandbox) as graph,
        aclosing(run_arms(store, graph, evaluation, plan)) as ends,
    ):
        async for ended in ends:
            watch(ended)


async def score(
    folder: Folder, benchmark: Benchmark, work: Work, watch: GradingWatch | None = None
) -> Results:
    """Grade the programs that have no verdict, write samples and results, return the results.

    Raises InputError if a planted text is in a prompt; SandboxError, BenchmarkError, and what
    `work.grade` raises.
    """
    header, evaluation = folder.header(), folder.evaluation()
    async with open_store(folder.store) as store:
        outcomes = await read_outcomes(store, evaluation, header.unscored)
    folder.write_text("audit.json", _audit(outcomes, header, benchmark).model_dump_json(indent=1))
    _write_samples(folder, outcomes, evaluation)
    await grade_missing(
        Verdicts(folder.verdicts),
        scoring_benchmark(benchmark, header.protocol),
        [sample for arm in header.arms for sample in all_samples(outcomes, arm)],
        work.sandbox,
        work.grade,
        watch,
    )
    return rebuilt(folder, outcomes).results


async def rebuild(folder: Folder) -> Evaluated:
    """Recompute the results from the runs and verdicts of a folder, and write the reports.

    Raises InputError if there is no evaluation, or if no first draft was graded yet.
    """
    header, evaluation = folder.header(), folder.evaluation()
    async with open_store(folder.store) as store:
        outcomes = await read_outcomes(store, evaluation, header.unscored)
    return rebuilt(folder, outcomes)


def rebuilt(folder: Folder, outcomes: Outcomes) -> Evaluated:
    """Compute the results of runs that were read, and write results and reports."""
    header, verdicts = folder.header(), Verdicts(folder.verdicts)
    tasks = {arm.name: results_of(outcomes, arm, verdicts) for arm in header.arms}
    if not tasks[DRAFT.name]:
        raise InputError(f"{folder.path}: no first draft has been graded yet; run `evaluate` on")
    failed = {arm.name: _failed(outcomes, arm, tasks[arm.name]) for arm in header.arms}
    found = results(header, len(outcomes.tasks), tasks, failed, folder.audit())
    folder.write_text("results.json", found.model_dump_json(indent=1))
    folder.write_text("report.md", as_markdown(found))
    evaluated = Evaluated(
        found, {run.row.id: run for run in outcomes.runs.values()}, outcomes.unended
    )
    folder.write_text("report.html", html(evaluations_page({str(folder.path): evaluated})))
    return evaluated


def _failed(outcomes: Outcomes, arm: Arm, done: Mapping[str, object]) -> dict[str, str]:
    """Return why tasks have no result under an arm."""
    ended = {task for task, _ in outcomes.under(arm)}
    missing = {
        task: "not graded" if task in ended else "not run yet"
        for task in outcomes.tasks
        if task not in done
    }
    return missing | {
        place.task: problem(run)
        for place, run in outcomes.unended.items()
        if place.arm == arm.name or (place.arm == DRAFT.name and arm.start != "alone")
    }


def _write_samples(folder: Folder, outcomes: Outcomes, evaluation: Evaluation) -> None:
    turns = evaluation.settings.limits.turns
    for arm in evaluation.arms:
        for turn in (None, *range(1, turns if arm.start in ("branch", "alone") else 1)):
            samples = samples_after(outcomes, arm, evaluation.tasks, turn)
            path = folder.samples(arm.name, turn)
            folder.write_text(str(path.relative_to(folder.path)), samples_text(samples))


def _audit(outcomes: Outcomes, header: Header, benchmark: Benchmark) -> Audit:
    """Look through all prompts; raises InputError for a planted text in one."""
    prompts: set[str] = set()
    by_task: dict[str, dict[str, list[str]]] = {}
    for place, run in outcomes.runs.items():
        texts = list(prompts_of(run.record))
        prompts.update(texts)
        by_task.setdefault(place.task, {})[run.row.short] = texts
        for text in texts:
            check_canary(text, header.canary, f"a prompt of run {run.row.short} ({place.task})")
    # In the paper's protocol all prompts show tests that score.
    held_out = header.protocol == "held-out"
    tasks = [benchmark.tasks[name] for name in by_task] if held_out else []
    found = [
        each
        for task in tasks
        if isinstance(task, InputTask)
        for each in coincidences(task, by_task[task.task_id])
    ]
    return Audit(prompts=len(prompts), canary=bool(header.canary), coincidences=tuple(found))
