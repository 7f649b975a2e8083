"""A turn as a page shows it when it is opened, and the texts that were sent to models."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from opencodeinterpreter.nodes.records import Call, Draft, Record, Task, Turn
from opencodeinterpreter.tools.execution import Execution, Result, TestOutcome
from opencodeinterpreter.tools.grading.tests import CallCase, CaseTests, StdinCase
from opencodeinterpreter.traces.page.highlighting import aligned, coloured

_IMAGES = ("png", "jpeg")
_TEXTS = ("text", "markdown", "latex", "html", "svg", "javascript")
"""Shown as text: HTML, SVG and scripts come from hostile code."""


class Texts:
    """Numbers the texts of a record in the order in which turns name them.

    A page holds them in one block per turn, and follows the numbers of the texts before one to
    show a whole conversation.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._numbers: dict[str, int] = {}

    def number(self, at: str, added: list[list[Any]]) -> int:
        """Return the number of a text; a new one, and those before it, are appended to `added`."""
        chain: list[str] = []
        before: str | None = at
        while before is not None and before not in self._numbers:
            chain.append(before)
            before = self._record.texts[before].parent
        for each in reversed(chain):
            stored = self._record.texts[each]
            parent = self._numbers[stored.parent] if stored.parent is not None else -1
            self._numbers[each] = len(self._numbers)
            added.append([parent, stored.role, stored.content])
        return self._numbers[at]


def turn_event(
    record: Record, turn: Turn, before: Turn | None, texts: Texts
) -> tuple[dict[str, Any], list[list[Any]]]:
    """Return a turn with all that it holds, and the texts that no earlier turn named.

    `before` is the turn whose chosen draft this one's drafts are compared with.
    """
    added: list[list[Any]] = []
    last = shown_code(before) if before else None
    task = record.tasks[turn.task - 1]
    words = turn.feedback.message if turn.feedback else None
    event = {
        "number": turn.number,
        "chosen": turn.chosen,
        "drafts": [_draft(record, draft, last) for draft in turn.drafts or ()],
        "executions": [run and _execution(run, task) for run in turn.executions or ()],
        "verdict": None
        if turn.verdict is None
        else [turn.verdict.decision, turn.verdict.decided_by, turn.verdict.reason],
        "feedback": None
        if turn.feedback is None
        else {
            "kind": turn.feedback.kind,
            "action": turn.feedback.action,
            "words": record.text(words) if words else "",
            "notes": turn.feedback.notes,
        },
        "calls": [_call(call, texts, added) for call in turn.calls()],
    }
    return event, added


def shown_code(turn: Turn) -> str | None:
    """Return the chosen draft's code without the line ends after it."""
    return None if turn.code is None else turn.code.rstrip("\n")


def _draft(record: Record, draft: Draft, last: str | None) -> dict[str, Any]:
    code = None if draft.code is None else draft.code.rstrip("\n")
    rows = None if code is None or last is None or code == last else aligned(last, code)
    old = coloured(last) if last is not None and rows is not None else ()
    return {
        "said": record.text(draft.message),
        "code": None if code is None else coloured(code),
        "same": code is not None and code == last,
        "rows": rows,
        "removed": [[at, old[at - 1]] for at, new in rows or () if not new],
        "files": list(draft.files.items()),
        "thinking": draft.call.thinking if draft.call else "",
    }


def _execution(run: Execution, task: Task) -> dict[str, Any]:
    error = run.error
    return {
        "status": run.status,
        "reason": run.reason,
        "exit_code": run.exit_code,
        "seconds": run.seconds,
        "tier": run.tier,
        "profile": run.profile,
        "limits": run.limits_hit,
        "state_lost": run.state_lost,
        "stdout": [run.logs.stdout, run.logs.stdout_dropped],
        "stderr": [run.logs.stderr, run.logs.stderr_dropped],
        "error": error and [error.name, error.value, error.traceback],
        "results": [_result(each) for each in run.results],
        "artifacts": [[each.path, each.size, each.sha256] for each in run.artifacts],
        "tests": None if run.tests is None else list(_tests(run.tests, task)),
    }


def _result(result: Result) -> dict[str, Any]:
    """Return what a cell displayed: its first image, and its first text."""
    images = ((kind, getattr(result, kind)) for kind in _IMAGES)
    texts = ((kind, getattr(result, kind)) for kind in _TEXTS)
    return {
        "image": next(([kind, image] for kind, image in images if image), None),
        "text": next(([kind, text] for kind, text in texts if text), None),
    }


def _tests(outcomes: Sequence[TestOutcome], task: Task) -> Iterator[dict[str, Any]]:
    """Yield outcomes; what a passed case was given and expected stands in the task alone."""
    held = task.tests
    cases: Sequence[CallCase | StdinCase] = held.cases if isinstance(held, CaseTests) else ()
    asked = {f"case {number}": case for number, case in enumerate(cases, 1)}
    for test in outcomes:
        shown = dict(_values(test.message.removeprefix(test.name).strip("\n")))
        if not test.message and (case := asked.get(test.name)):
            shown.update(_case(case, task.entry_point or ""))
        yield {"name": test.name, "status": test.status, "word": test.word, **shown}


def _case(case: CallCase | StdinCase, entry_point: str) -> dict[str, str]:
    if isinstance(case, StdinCase):
        return {"input": case.stdin, "expected": case.stdout}
    arguments = ", ".join(map(repr, case.args))
    return {"input": f"{entry_point}({arguments})", "expected": repr(case.expected)}


_HEAD = re.compile(r"(Input|Expected|Actual)(?: \(from character \d+\))?: ")


def _values(message: str) -> Iterator[tuple[str, str]]:
    """Yield what a message says of input, expected and actual value; the rest is its text."""
    found: dict[str, list[str]] = {"text": []}
    field = "text"
    for line in message.split("\n"):
        head = _HEAD.match(line)
        if head and head[1].lower() not in found:
            field = head[1].lower()
            line = line[head.end() :]
        found.setdefault(field, []).append(line)
    yield from ((name, "\n".join(lines).strip("\n")) for name, lines in found.items())


def _call(call: Call, texts: Texts, added: list[list[Any]]) -> dict[str, Any]:
    usage = call.usage
    return {
        "role": call.at.role,
        "number": call.at.number,
        "model": call.model,
        "sent": texts.number(call.messages, added),
        "answer": texts.number(call.response, added),
        "thinking": call.thinking,
        "finish": call.finish,
        "seconds": call.seconds,
        "attempts": call.attempts,
        "dropped": call.dropped,
        "input": usage.input_tokens if usage else None,
        "output": usage.output_tokens if usage else None,
        "cached": usage.cached_tokens if usage else None,
        "cost": usage.cost if usage else None,
    }
