"""A run as a page shows it at first sight: what it was asked, its turns in numbers, its path.

Maps whose keys come from a trace are lists of pairs here, so that no name can be special to the
page's script.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from opencodeinterpreter.nodes.limits import cost, seconds, tokens
from opencodeinterpreter.nodes.records import Record, Task, Turn
from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.input_files import Content, size_of
from opencodeinterpreter.traces.diff import flat
from opencodeinterpreter.traces.trace import NODE_OF, Trace

_SHOWN = 20_000
Step = tuple[str, str]
"""From one node to the next; `start` and `end` are nodes too."""


def title_of(record: Record) -> str:
    """Return the first line of a run's task."""
    lines = (line.strip() for task in record.tasks for line in task.prompt.splitlines())
    return next((line for line in lines if line), "")[:120]


def status_of(trace: Trace) -> str:
    """Return how a run stands: `solved`, `unsolved`, `failed` or `unfinished`."""
    if trace.header.failure:
        return "failed"
    outcome = trace.record.outcome
    if outcome is None or outcome.decision == "revise":
        return "unfinished"
    return "solved" if outcome.decision == "solved" else "unsolved"


def known_tokens(record: Record) -> int | None:
    """Return a run's tokens; `None` if no call's usage is known."""
    known = any(call.usage for turn in record.turns for call in turn.calls())
    return tokens(record.turns) if known else None


def summary(trace: Trace) -> dict[str, Any]:
    """Return what a page shows of a run before one of its turns is opened."""
    header, record = trace.header, trace.record
    outcome, failure = record.outcome, header.failure
    steps = list(_steps(trace))
    return {
        "id": header.run,
        "title": title_of(record),
        "status": status_of(trace),
        "by": outcome.decided_by if outcome else "",
        "reason": outcome.reason if outcome else "",
        "parent": header.parent,
        "parent_turn": header.parent_turn,
        "created": header.created,
        "failure": [failure.node, failure.owner, failure.message] if failure else None,
        "changed": trace.changed,
        "tasks": [_task(task) for task in record.tasks],
        "settings": [[at, list(flat(values))] for at, values in record.settings.items()],
        "turns": [
            {**_turn(turn), "path": [step for number, *step in steps if number == turn.number]}
            for turn in record.turns
        ],
        "path": [[*step, n] for step, n in Counter((a, b) for _, a, b in steps).items()],
        "tokens": known_tokens(record),
        "seconds": seconds(record.turns),
        "cost": cost(record.turns),
    }


def _task(task: Task) -> dict[str, Any]:
    tests = task.tests
    if tests is None:
        shown = None
    elif isinstance(tests, PythonTests):
        shown = {"file": tests.file, "source": tests.source, "files": list(tests.files.items())}
    else:
        cases = [case.model_dump(mode="json") for case in tests.cases]
        shown = {"file": f"{len(cases)} cases", "source": "\n".join(map(_json, cases)), "files": []}
    return {
        "number": task.number,
        "prompt": task.prompt,
        "entry_point": task.entry_point,
        "tests": shown,
        "reference": task.reference,
        "files": [[path, _shown(content)] for path, content in task.files.items()],
    }


def _shown(content: Content) -> str:
    """Return a file's beginning; the summary of a run is unpacked whole, so it must stay small."""
    if isinstance(content, str) and len(content) <= _SHOWN:
        return content
    cut = content[:_SHOWN] if isinstance(content, str) else ""
    return f"{cut}\n({size_of(content):,} bytes in all)"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _turn(turn: Turn) -> dict[str, Any]:
    run, outcome = turn.execution, turn.outcome
    tests = run.tests if run else None
    usages = [call.usage for call in turn.calls() if call.usage]
    return {
        "number": turn.number,
        "task": turn.task,
        "settings": turn.settings,
        "decision": outcome.decision if outcome else "",
        "by": outcome.decided_by if outcome else "",
        "reason": outcome.reason if outcome else "",
        "status": run.status if run else "",
        "passed": sum(test.status == "passed" for test in tests or ()),
        "tests": len(tests) if tests is not None else None,
        "drafts": len(turn.drafts or ()),
        "feedback": turn.feedback.kind if turn.feedback else "",
        "action": turn.feedback.action if turn.feedback else "",
        "given": list(turn.given.items()),
        "input": sum(usage.input_tokens for usage in usages) if usages else None,
        "output": sum(usage.output_tokens for usage in usages) if usages else None,
        "thinking": sum(call.seconds for call in turn.calls()),
        "running": sum(each.seconds for each in turn.executions or () if each),
        "seconds": seconds([turn]),
        "cost": cost([turn]),
    }


def _steps(trace: Trace) -> Iterator[tuple[int, str, str]]:
    """Yield each step that a run took, with the turn that it led to or ended in.

    Each message of a chat goes from the start to the end.
    """
    before: tuple[Turn, str] | None = None
    for turn, route in zip(trace.record.turns, trace.routes, strict=True):
        if not route and set(turn.given) >= {part for part in NODE_OF if getattr(turn, part)}:
            continue  # A branch's stem: it was walked in another run.
        if before and before[0].task != turn.task:
            yield before[0].number, before[1], "end"
            before = None
        for node in route:
            yield turn.number, before[1] if before else "start", node
            before = turn, node
    outcome = trace.record.outcome
    if outcome and outcome.decision != "revise" and before:
        yield before[0].number, before[1], "end"
