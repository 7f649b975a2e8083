"""The conversation that the coder sees: task, response, feedback, response … (paper, section 4).

Earlier tasks of the thread come first, so a follow-up is answered in their light.
"""

import ast
import json
from collections.abc import Mapping

from opencodeinterpreter.nodes.prompts import fill
from opencodeinterpreter.nodes.records import Record, Task, Turn
from opencodeinterpreter.tools.grading.tests import CallCase, PythonTests, Tests
from opencodeinterpreter.tools.models.protocol import Message

SHOWN_CASES = 3
"""Input/output cases that a task in words shows."""


def conversation(record: Record, prompts: Mapping[str, str], before: int) -> tuple[Message, ...]:
    """Return the messages that ask for the draft of turn `before`."""
    messages: list[Message] = []
    if prompts["coder_system"]:
        messages.append(Message(role="system", content=prompts["coder_system"]))
    for task in record.tasks:
        turns = [turn for turn in record.turns if turn.task == task.number]
        if turns and turns[0].number > before:
            break
        messages.append(Message(role="user", content=task_message(task, prompts)))
        for turn in turns:
            if turn.number < before:
                messages += _exchange(record, turn)
    return tuple(messages)


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


def is_stub(prompt: str) -> bool:
    """Return whether a prompt is Python with a function to complete, not words."""
    try:
        body = ast.parse(prompt).body
    except (SyntaxError, ValueError):
        return False
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in body)


def _examples(tests: Tests, entry_point: str | None) -> str:
    if isinstance(tests, PythonTests):
        return tests.source.strip()
    lines = []
    for case in tests.cases[:SHOWN_CASES]:
        if isinstance(case, CallCase):
            args = ", ".join(repr(arg) for arg in case.args)
            lines.append(f"{entry_point or 'solve'}({args}) == {case.expected!r}")
        else:
            lines.append(f"input {json.dumps(case.stdin)} prints {json.dumps(case.stdout)}")
    return "\n".join(lines)
