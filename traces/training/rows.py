"""Dialogues as TRL takes them: a file's lines, of which a stage uses some."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.protocol import Message
from opencodeinterpreter.tools.validation import first_problem
from opencodeinterpreter.traces.dialogues.format import problem_of
from opencodeinterpreter.traces.training.settings import Learned

Messages = tuple[Message, ...]
Row = dict[str, Any]


def read_dialogues(path: Path) -> list[Messages]:
    """Return the dialogues of a file with a JSON object per line.

    An object has `messages`, as Code-Feedback has, or `query` and `answer`, as the paper's single
    instructions have. Raises InputError that names the line.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the dialogues {path}: {error}") from None
    found = [
        _dialogue(line, f"{path}, line {number}")
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip()
    ]
    if not found:
        raise InputError(f"{path}: no dialogue")
    return found


def of_stage(dialogues: Sequence[Messages], stage: int) -> list[Messages]:
    """Return the dialogues that a stage learns; raises InputError if there are none."""
    if stage == 2:
        return list(dialogues)
    found = [each for each in dialogues if _answers(each) == 1]
    if not found:
        raise InputError(
            "stage 1 learns dialogues with one answer, and there are none; "
            "`dialogues build --answers 1` keeps runs that were solved at once"
        )
    return found


def rows(dialogues: Iterable[Messages], loss: Learned) -> list[Row]:
    """Return TRL's rows: whole dialogues, or what comes before the last answer, and that."""
    plain = ([message.model_dump() for message in each] for each in dialogues)
    if loss == "all":
        return [{"messages": each} for each in plain]
    return [{"prompt": each[:-1], "completion": each[-1:]} for each in plain]


def _dialogue(line: str, where: str) -> Messages:
    try:
        messages = tuple(map(Message.model_validate, _messages(json.loads(line))))
    except ValidationError as error:
        raise InputError(f"{where}: {first_problem(error)}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: {error}") from None
    if problem := problem_of(messages):
        raise InputError(f"{where}: {problem}")
    return messages


def _messages(row: object) -> Iterator[object]:
    match row:
        case {"messages": [*messages]}:
            yield from messages
        case {"query": query, "answer": answer}:
            yield {"role": "user", "content": query}
            yield {"role": "assistant", "content": answer}
        case _:
            raise ValueError("a dialogue has `messages`, or `query` and `answer`")


def _answers(messages: Messages) -> int:
    return sum(message.role == "assistant" for message in messages)
