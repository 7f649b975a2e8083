"""Progress of many runs: a live line with a bar on a terminal, now and then a line elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from opencodeinterpreter.cli.counting import counted
from opencodeinterpreter.graph.batch import Finished
from opencodeinterpreter.graph.runs import Run
from opencodeinterpreter.tools.benchmarks.grading import Watch

_LINE_SECONDS = 30.0
"""How often a line is written where there is no terminal."""


class RunsProgress:
    """Counts tasks and runs as they end, and shows them."""

    def __init__(self, console: Console, bar: Progress, total: int) -> None:
        self._console = console
        self._bar = bar
        self._total = total
        self._task = bar.add_task("", total=total, counts="")
        self._began = self._told = time.monotonic()
        self._done = self._solved = self._failed = self._tokens = 0

    def add(self, finished: Finished, tasks: int) -> None:
        """Count a run that ended; `tasks` is how many tasks are done with it, 0 or 1."""
        self._done += tasks
        self._solved += tasks and finished.run.record.solved
        self._failed += bool(finished.problem)
        self._tokens += 0 if finished.kept else _written(finished.run)
        self._bar.update(self._task, completed=self._done, counts=self._counts())
        if not self._console.is_terminal and time.monotonic() - self._told > _LINE_SECONDS:
            self._told = time.monotonic()
            self.tell()

    def tell(self) -> None:
        """Print what was counted as a line."""
        self._console.print(f"{self._done} of {self._total} tasks, {self._counts()}")

    def _counts(self) -> str:
        rate = self._tokens / max(time.monotonic() - self._began, 1e-9)
        failed = f", {counted(self._failed, 'run')} failed" if self._failed else ""
        return f"{self._solved} pass their feedback tests{failed}, {rate:.1f} tokens/s"


@contextmanager
def runs_progress(total: int) -> Iterator[RunsProgress]:
    """Yield progress over so many tasks, shown on stderr."""
    with tasks_bar() as bar:
        progress = RunsProgress(bar.console, bar, total)
        yield progress
        if not bar.console.is_terminal:
            progress.tell()


def tasks_bar() -> Progress:
    """Return a bar of tasks for stderr; its field `counts` tells more. Only a terminal shows it."""
    console = Console(stderr=True, emoji=False, highlight=False, markup=False, soft_wrap=True)
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _written(run: Run) -> int:
    """Return the tokens that models wrote for a run itself, not for what it was given."""
    found = 0
    for turn in run.record.turns:
        if turn.given:
            continue
        found += sum(call.usage.output_tokens for call in turn.calls() if call.usage)
    return found


@contextmanager
def grading_progress(total: int | None = None, done: int = 0) -> Iterator[Watch]:
    """Show a bar with the time that is left on a terminal, and nothing elsewhere."""
    console = Console(stderr=True, emoji=False)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("grading", total=total, completed=done)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


@contextmanager
def steps_progress(curve: str) -> Iterator[Callable[[int, int, float | None], None]]:
    """Yield what shows a training's steps and its loss or reward on stderr.

    A terminal has a bar with the time that is left; elsewhere there is a line now and then.
    """
    with tasks_bar() as bar:
        task = bar.add_task("", total=None, counts="")
        told = time.monotonic()

        def watch(step: int, steps: int, value: float | None) -> None:
            nonlocal told
            bar.update(task, completed=step, total=steps)
            if value is None:
                return
            bar.update(task, counts=f"{curve} {value:.3f}")
            if not bar.console.is_terminal and time.monotonic() - told > _LINE_SECONDS:
                told = time.monotonic()
                bar.console.print(f"step {step} of {steps}, {curve} {value:.3f}")

        yield watch
