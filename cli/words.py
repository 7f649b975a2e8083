"""Describe runs for people: a line per node, a summary, the whole run turn by turn."""

import os
import shlex
import shutil
import sys

from opencodeinterpreter.cli.counting import counted
from opencodeinterpreter.graph.runs import Run
from opencodeinterpreter.nodes.limits import cost, seconds, tokens
from opencodeinterpreter.nodes.records import Draft, Turn, Verdict
from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.printable import printable
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX

NAME = "opencodeinterpreter"


def program() -> str:
    """Return how to call this command: its name, or its path if the name is not found."""
    return NAME if shutil.which(NAME) else shlex.quote(os.path.relpath(sys.argv[0]))


def node_line(node: str, turn: Turn) -> str:
    """Return one line about a node's result."""
    made = {
        "coder": _drafted,
        "executor": _executed,
        "judge": _judged,
        "critic": answered,
    }[node](turn)
    return printable(f"turn {turn.number}  {node:<8}  {made}")


def _drafted(turn: Turn) -> str:
    drafts = turn.drafts or ()
    lines = [len(draft.code.splitlines()) for draft in drafts if draft.code]
    model = next((draft.call.model for draft in drafts if draft.call), "given")
    what = counted(lines[0], "line") if lines else "no code"
    if len(drafts) > 1:
        what = f"{len(drafts)} drafts, {len(lines)} with code"
    dropped = max((draft.call.dropped for draft in drafts if draft.call), default=0)
    short = f", {dropped} old exchanges left out to fit the context" if dropped else ""
    cut = f", {words}" if (words := cut_of(turn.draft)) else ""
    return f"{what} from {model}{cut}{short}"


def cut_of(draft: Draft | None) -> str:
    """Return how a draft's answer was cut; empty if it was not."""
    if draft is None or draft.call is None or not draft.call.cut:
        return ""
    full = draft.call.finish == "context"
    return "cut where the context was full" if full else "cut at its limit of tokens"


def _executed(turn: Turn) -> str:
    run = turn.execution
    if run is None:
        return "nothing to run"
    chosen = f"draft {turn.chosen + 1}: " if len(turn.drafts or ()) > 1 else ""
    return f"{chosen}{outcome_of(run)}, {run.seconds:.2f} s{where_of(run)}"


def where_of(run: Execution | None) -> str:
    """Return the sandbox that a run used, if it was not the default one."""
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
    """Return a verdict, who decided it, and the reason."""
    if verdict is None:
        return "none yet"
    return f"{verdict.decision} by {verdict.decided_by}: {verdict.reason}"


def answered(turn: Turn) -> str:
    """Return in a few words what the critic gave."""
    feedback = turn.feedback
    if feedback is None:
        return "given code" if turn.given else "nothing"
    notes = f" ({'; '.join(feedback.notes)})" if feedback.notes else ""
    what = "" if feedback.action == "words" else f", {feedback.action}"
    return f"{feedback.kind} feedback{what}{notes}"


def summary(run: Run, resume: str) -> str:
    """Return a run's state in two or three lines."""
    row, turns = run.row, run.record.turns
    outcome = run.record.outcome
    lines = [f"run {row.short}: {row.status}"]
    if outcome and outcome.decision != "revise":
        lines[0] += f" in turn {turns[-1].number}, {verdict_of(outcome)}"
    if run.failure:
        lines[0] += f" at {run.failure.node}: {run.failure.owner}: {run.failure.message}"
    spent = cost(turns)
    price = f", cost {spent:g}" if spent is not None else ""
    lines.append(
        f"{counted(len(turns), 'turn')}, {tokens(turns)} tokens, {seconds(turns):.1f} s{price}"
    )
    if run.question:
        lines.append(
            f"it waits for a person: {resume} --approve | --feedback TEXT | --code FILE | --stop"
        )
    return printable("\n".join(lines))
