"""The conversation that the coder sees: task, response, feedback, response … (paper, section 4).

Earlier tasks of the thread come first, so that a follow-up can refer to them.
"""

import ast
import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter

from opencodeinterpreter.nodes.describe import describe_turn
from opencodeinterpreter.nodes.prompts import fill
from opencodeinterpreter.nodes.records import Record, Task, Turn, message_of
from opencodeinterpreter.nodes.settings import RetryForm, Settings
from opencodeinterpreter.nodes.stub import is_stub
from opencodeinterpreter.tools.grading.tests import CallCase, PythonTests, Tests
from opencodeinterpreter.tools.growing import Growing
from opencodeinterpreter.tools.input_files import Content, size_of
from opencodeinterpreter.tools.models.protocol import Message
from opencodeinterpreter.tools.python_syntax import parsed

SHOWN_CASES = 3
"""How many input/output cases are shown with a task in words."""
_SHOWN_FILES = 20
_HEAD, _HEAD_LINES = 400, 4
"""How many of a task's files are shown, and the characters and lines that are shown of a text."""
_LONGEST_CASE = 1000
"""The most characters shown of a case; a longer one is cut."""


def conversation(
    record: Record,
    prompts: Mapping[str, str],
    before: int,
    dropped: int = 0,
    form: RetryForm = "dialogue",
) -> tuple[Message, ...]:
    """Return the messages that ask for the draft of turn `before`; `form` is the retry's form.

    The first `dropped` exchanges that may be left out are left out; see `droppable`.
    """
    system = prompts["coder_system"]
    messages = [message_of("system", system)] if system else []
    for task, turns in _left(_shown(record, before, form), dropped):
        text = _last_result(record, task, prompts) + task_message(task, prompts)
        if task is record.task and form == "without_draft":
            text += _last_feedback(record, prompts)
        messages.append(message_of("user", text))
        messages += record.said(chain.from_iterable(_named(turns)))
    return tuple(messages)


def retry_form(record: Record, settings: Settings) -> RetryForm:
    """Return the form in which the coder is asked for the current task's next draft."""
    human = record.current and _by_person(record.current)[-1]
    return "dialogue" if human else settings.retry_form


def droppable(record: Record, before: int, form: RetryForm = "dialogue") -> int:
    """Return how many exchanges can be left out of the conversation, the oldest first.

    Earlier tasks lose one exchange after the other, and their text with the last one; the current
    task and its last exchange stay.
    """
    shown = _shown(record, before, form)
    return sum(map(_exchanges, shown)) + len(shown[:-1])


_Shown = tuple[Task, Sequence[Turn]]
"""A task and those of its turns that are shown."""


def _exchanges(shown: _Shown) -> int:
    """Return how many exchanges of a task can be left out without its text."""
    return max(len(shown[1]) - 1, 0)


def _left(shown: list[_Shown], dropped: int) -> Iterator[_Shown]:
    """Yield what is left after `dropped` exchanges are left out, the oldest first."""
    for at, (task, turns) in enumerate(shown):
        gone = min(dropped, _exchanges((task, turns)))
        dropped -= gone
        if dropped and at < len(shown) - 1:
            dropped -= 1
        else:
            yield task, turns[gone:]


def _shown(record: Record, before: int, form: RetryForm) -> list[_Shown]:
    """Return the tasks up to that of turn `before`, each with the turns that are shown."""
    shown: list[_Shown] = []
    for task in record.tasks:
        turns = record.turns_of(task)
        if turns and turns[0].number > before:
            break
        turns = turns[: bisect_left(turns, before, key=attrgetter("number"))]
        shown.append((task, _kept(turns, form) if task is record.task else turns))
    return shown


def _kept(turns: Sequence[Turn], form: RetryForm) -> Sequence[Turn]:
    if form == "dialogue":
        return turns
    return turns[-1:] if form == "by_error" and turns and _raised(turns[-1]) else ()


def _raised(turn: Turn) -> bool:
    """Return whether a draft ended in an error, which helps to fix it, not in a wrong answer."""
    run = turn.execution
    if run is None or run.error is not None:
        return True
    return any(test.status == "error" for test in run.tests or ())


def _last_feedback(record: Record, prompts: Mapping[str, str]) -> str:
    last = record.current[-1].feedback if record.current else None
    if last is None or last.message is None:
        return ""
    return fill(prompts, "retry_without_draft", feedback=record.text(last.message))


def _last_result(record: Record, task: Task, prompts: Mapping[str, str]) -> str:
    """Return what the program before a task of a session gave, if no feedback told it already."""
    if not task.session or task.number == 1:
        return ""
    turns = record.turns_of(record.tasks[task.number - 2])
    if not turns or turns[-1].execution is None or turns[-1].feedback is not None:
        return ""
    result = describe_turn(turns[-1]).rstrip()
    return fill(prompts, "execution_result", result=result) + "\n\n"


def _exchange(turn: Turn) -> tuple[str, ...]:
    """Return the ids of a turn's draft and feedback."""
    draft = (turn.draft.message,) if turn.draft else ()
    feedback = (turn.feedback.message,) if turn.feedback and turn.feedback.message else ()
    return draft + feedback


_named = Growing[Turn, tuple[str, ...]](lambda _, turn: _exchange(turn))
_by_person = Growing[Turn, bool](
    lambda before, turn: bool(before or (turn.feedback and turn.feedback.kind == "human"))
)


def task_message(task: Task, prompts: Mapping[str, str]) -> str:
    """Return the first user message: the stub to complete, or the text and its examples."""
    files = fill(prompts, "task_files", files=described_files(task.files)) if task.files else ""
    if task.session and task.tests is None:
        return fill(prompts, "task_session", prompt=task.prompt) + files
    if is_stub(task.prompt):
        return fill(prompts, "task_function", prompt=task.prompt) + files
    text = fill(prompts, "task_words", prompt=task.prompt) + files
    if task.tests is None:
        return text
    examples = _examples(task.tests, task.entry_point)
    assertions = _assertions(task.tests) or examples
    return text + fill(prompts, "task_examples", examples=examples, assertions=assertions)


def described_files(files: Mapping[str, Content]) -> str:
    """Return the names and sizes of files, and how texts begin."""
    lines = []
    for path, content in list(files.items())[:_SHOWN_FILES]:
        lines.append(f"{path} ({size_of(content):,} bytes)")
        if isinstance(content, str):
            head = content[:_HEAD].splitlines()[:_HEAD_LINES]
            lines += [f"    {line}" for line in head]
    if len(files) > _SHOWN_FILES:
        lines.append(f"and {len(files) - _SHOWN_FILES} more")
    return "\n".join(lines)


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


def _assertions(tests: Tests) -> str:
    """Return the assertions of tests that hold nothing else; "" for other tests.

    A small model that sees a whole test file tends to answer with it.
    """
    module = parsed(tests.source) if isinstance(tests, PythonTests) else None
    try:
        return "\n".join(map(ast.unparse, _asserts(module.body))) if module else ""
    except (LookupError, RecursionError):
        return ""


def _asserts(body: Sequence[ast.stmt]) -> Iterator[ast.Assert]:
    """Yield the assertions of a test file; raises LookupError if they may depend on more."""
    for statement in body:
        match statement:
            case ast.Assert():
                yield statement
            case ast.FunctionDef(name=name, args=args, decorator_list=[]) if name.startswith(
                "test"
            ) and not ast.unparse(args):
                yield from _asserts(statement.body)
            case ast.Import(names=names) | ast.ImportFrom(names=names) if not any(
                each.asname for each in names
            ):
                pass
            case ast.Expr(value=ast.Constant()):
                pass
            case _:
                raise LookupError(f"line {statement.lineno} holds more than an assertion")


def _short(case: str) -> str:
    return case if len(case) <= _LONGEST_CASE else f"{case[:_LONGEST_CASE]}…"
