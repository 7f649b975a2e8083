"""The conversation that the coder sees: task, response, feedback, response … (paper, section 4).

Earlier tasks of the thread come first, so a follow-up is answered in their light.
"""

import json
from collections.abc import Mapping

from opencodeinterpreter.nodes.prompts import fill
from opencodeinterpreter.nodes.records import Record, Task, Turn
from opencodeinterpreter.nodes.stub import is_stub
from opencodeinterpreter.tools.grading.tests import CallCase, PythonTests, Tests
from opencodeinterpreter.tools.models.protocol import Message

SHOWN_CASES = 3
"""Input/output cases that a task in words shows."""
_LONGEST_CASE = 1000
"""Characters of a case that is shown; a longer one is cut."""


def conversation(
    record: Record, prompts: Mapping[str, str], before: int, dropped: int = 0
) -> tuple[Message, ...]:
    """Return the messages that ask for the draft of turn `before`.

    The first `dropped` of what can be left out are; see `droppable`.
    """
    pieces: list[list[Message]] = []
    for task, turns in _shown(record, before):
        pieces.append([Message(role="user", content=task_message(task, prompts))])
        pieces += [_exchange(record, turn) for turn in turns]
    gone = {at for step in _steps(record, before)[:dropped] for at in step}
    messages = [message for at, piece in enumerate(pieces) if at not in gone for message in piece]
    if prompts["coder_system"]:
        messages.insert(0, Message(role="system", content=prompts["coder_system"]))
    return tuple(messages)


def droppable(record: Record, before: int) -> int:
    """Return how many times something can be left out of the conversation, the oldest first.

    Earlier tasks go exchange by exchange, each task's words with its last one; the current task
    and its last exchange stay.
    """
    return len(_steps(record, before))


def _steps(record: Record, before: int) -> list[tuple[int, ...]]:
    """Return which pieces of the conversation go together, in the order in which they go."""
    steps: list[tuple[int, ...]] = []
    shown = _shown(record, before)
    start = 0
    for task, turns in shown:
        end = start + len(turns)
        steps += [(at,) for at in range(start + 1, end)]
        if task is not shown[-1][0]:
            steps.append((start, end))
        start = end + 1
    return steps


def _shown(record: Record, before: int) -> list[tuple[Task, list[Turn]]]:
    """Return the tasks up to that of turn `before`, each with its turns before that one."""
    shown: list[tuple[Task, list[Turn]]] = []
    for task in record.tasks:
        turns = [turn for turn in record.turns if turn.task == task.number]
        if turns and turns[0].number > before:
            break
        shown.append((task, [turn for turn in turns if turn.number < before]))
    return shown


def _exchange(record: Record, turn: Turn) -> list[Message]:
    messages: list[Message] = []
    if turn.draft:
        messages.append(Message(role="assistant", content=record.text(turn.draft.message)))
    if turn.feedback and turn.feedback.message:
        messages.append(Message(role="user", content=record.text(turn.feedback.message)))
    return messages


def task_message(task: Task, prompts: Mapping[str, str]) -> str:
    """Return the first user message: the stub to complete, or the words and what must hold."""
    if is_stub(task.prompt):
        return fill(prompts, "task_function", prompt=task.prompt)
    text = fill(prompts, "task_words", prompt=task.prompt)
    if task.tests is None:
        return text
    return text + fill(prompts, "task_examples", examples=_examples(task.tests, task.entry_point))


def _examples(tests: Tests, entry_point: str | None) -> str:
    if isinstance(tests, PythonTests):
        return tests.source.strip()
    lines = []
    for case in tests.cases[:SHOWN_CASES]:
        if isinstance(case, CallCase):
            args = ", ".join(repr(arg) for arg in case.args)
            lines.append(_short(f"{entry_point}({args}) == {case.expected!r}"))
        else:
            lines.append(_short(f"input {json.dumps(case.stdin)} prints {json.dumps(case.stdout)}"))
    return "\n".join(lines)


def _short(case: str) -> str:
    return case if len(case) <= _LONGEST_CASE else f"{case[:_LONGEST_CASE]}…"
