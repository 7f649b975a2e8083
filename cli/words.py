"""Runs in words: the line after each node, the end, the whole story."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from typing import Any

from opencodeinterpreter.cli.printable import printable
from opencodeinterpreter.graph.runs import Run
from opencodeinterpreter.graph.store.rows import Row
from opencodeinterpreter.nodes.describe import describe
from opencodeinterpreter.nodes.limits import cost, seconds, tokens
from opencodeinterpreter.nodes.records import PARTS, Record, Turn, Verdict
from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX

NAME = "opencodeinterpreter"


def program() -> str:
    """Return how to call this command: its path where its name alone is not found."""
    return NAME if shutil.which(NAME) else shlex.quote(os.path.relpath(sys.argv[0]))


def node_line(node: str, turn: Turn) -> str:
    """Return one line about what a node made."""
    made = {
        "coder": _drafted,
        "executor": _executed,
        "judge": _judged,
        "critic": _answered,
    }[node](turn)
    return printable(f"turn {turn.number}  {node:<8}  {made}")


def _drafted(turn: Turn) -> str:
    drafts = turn.drafts or ()
    lines = [len(draft.code.splitlines()) for draft in drafts if draft.code]
    model = next((draft.call.model for draft in drafts if draft.call), "given")
    what = "no code" if not lines else f"{lines[turn.chosen] if len(drafts) == 1 else ''} lines"
    if len(drafts) > 1:
        what = f"{len(drafts)} drafts, {len(lines)} with code"
    dropped = max((draft.call.dropped for draft in drafts if draft.call), default=0)
    short = f", {dropped} old exchanges left out to fit the context" if dropped else ""
    return f"{what.strip()} from {model}{short}"


def _executed(turn: Turn) -> str:
    run = turn.execution
    if run is None:
        return "nothing to run"
    chosen = f"draft {turn.chosen + 1}: " if len(turn.drafts or ()) > 1 else ""
    return f"{chosen}{outcome_of(run)}, {run.seconds:.2f} s{_where(run)}"


def _where(run: Execution | None) -> str:
    """Return how isolated a run was, where that is not what is to be expected."""
    return f" (sandbox {run.tier})" if run and run.tier not in ("", DEFAULT_SANDBOX) else ""


def outcome_of(run: Execution) -> str:
    """Return an execution's outcome in a few words."""
    words: str = run.status
    if run.error:
        words += f" ({run.error.name})"
    elif run.reason:
        words += f" ({run.reason})"
    if run.tests is not None:
        passed = sum(test.status == "passed" for test in run.tests)
        words += f", {passed} of {len(run.tests)} tests passed"
    return words


def _judged(turn: Turn) -> str:
    return verdict_of(turn.verdict)


def verdict_of(verdict: Verdict | None) -> str:
    """Return a verdict, who decided it and why."""
    if verdict is None:
        return "none yet"
    return f"{verdict.decision} by {verdict.decided_by}: {verdict.reason}"


def _answered(turn: Turn) -> str:
    feedback = turn.feedback
    if feedback is None:
        return "given code" if turn.given else "nothing"
    notes = f" ({'; '.join(feedback.notes)})" if feedback.notes else ""
    what = "" if feedback.action == "words" else f", {feedback.action}"
    return f"{feedback.kind} feedback{what}{notes}"


def summary(run: Run, resume: str) -> str:
    """Return how a run stands, in one or two lines."""
    row, turns = run.row, run.record.turns
    outcome = run.record.outcome
    lines = [f"run {row.short}: {row.status}"]
    if outcome and outcome.decision != "revise":
        lines[0] += f" in turn {turns[-1].number}, {verdict_of(outcome)}"
    if run.failure:
        lines[0] += f" at {run.failure.node}: {run.failure.owner}: {run.failure.message}"
    spent = cost(turns)
    price = f", cost {spent:g}" if spent is not None else ""
    lines.append(f"{len(turns)} turns, {tokens(turns)} tokens, {seconds(turns):.1f} s{price}")
    if run.question:
        lines.append(
            f"it waits for a person: {resume} --approve | --feedback TEXT | --code FILE | --stop"
        )
    return printable("\n".join(lines))


def row_line(row: Row) -> tuple[str, ...]:
    """Return a run's cells in the table of runs."""
    parent = f"{row.parent[:8]} turn {row.parent_turn}" if row.parent else ""
    cells = (row.short, row.status, str(row.turns), str(row.tokens), row.updated[:19], parent)
    return (*cells, printable(row.title))


ROW_HEADINGS = ("run", "status", "turns", "tokens", "updated (UTC)", "branch of", "task")


def story(record: Record) -> Iterator[str]:
    """Yield a record turn by turn as text for a terminal."""
    for task in record.tasks:
        yield f"== task {task.number}"
        yield task.prompt.rstrip()
        for turn in record.turns:
            if turn.task == task.number:
                yield from _turn_story(record, turn)


def _turn_story(record: Record, turn: Turn) -> Iterator[str]:
    yield ""
    settings: dict[str, Any] = record.settings[turn.settings]
    coder = settings["models"]["coder"]
    yield f"-- turn {turn.number} (coder {coder}, critic {settings['critic']})"
    for part in PARTS:
        if source := turn.given.get(part):
            yield f"   {part} given by {source}"
    for index, draft in enumerate(turn.drafts or ()):
        if len(turn.drafts or ()) > 1:
            yield f"draft {index + 1}{' (goes on)' if index == turn.chosen else ''}:"
        yield draft.code.rstrip() if draft.code else record.text(draft.message).rstrip()
        for path, text in draft.files.items():
            yield f"file {path}:\n{text.rstrip()}"
        if turn.executions is not None:
            execution = turn.executions[index]
            yield f"execution{_where(execution)}: {describe(execution)}"
    if turn.verdict:
        yield f"verdict: {verdict_of(turn.verdict)}"
    if turn.feedback:
        yield f"critic: {_answered(turn)}"
        if turn.feedback.message:
            yield record.text(turn.feedback.message).rstrip()
