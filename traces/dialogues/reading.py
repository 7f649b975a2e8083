"""Lines of files of dialogues: ours, and the paper's as they were published.

Code-Feedback has `messages`; CodeFeedback-Filtered-Instruction has `query` and `answer`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.protocol import Message
from opencodeinterpreter.tools.validation import first_problem
from opencodeinterpreter.traces.dialogues.format import (
    Dialogue,
    Dropped,
    Provenance,
    problem_of,
)

Messages = tuple[Message, ...]


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file that are not blank, with their numbers; raises InputError."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the dialogues {path}: {error}") from None


def messages_of(line: str) -> Messages:
    """Return a line's messages; raises ValueError that says why they are no dialogue."""
    try:
        messages = tuple(map(Message.model_validate, _plain(json.loads(line))))
    except ValidationError as error:
        raise ValueError(f"{first_problem(error)}") from None
    except RecursionError as error:
        raise ValueError(f"{error}") from None
    if problem := problem_of(messages):
        raise ValueError(problem)
    return messages


def published(path: Path) -> Iterator[Dialogue | Dropped]:
    """Yield the dialogues of a published file, and the lines that are none; raises InputError."""
    for number, line in numbered_lines(path):
        origin = f"{path}, line {number}"
        try:
            messages = messages_of(line)
        except ValueError as error:
            yield Dropped(origin=origin, reason="no dialogue", detail=f"{error}")
        else:
            provenance = Provenance(way="published", origin=origin)
            yield Dialogue(messages=messages, provenance=provenance)


def _plain(row: object) -> Iterator[object]:
    match row:
        case {"messages": [*messages]}:
            yield from messages
        case {"query": query, "answer": answer}:
            yield {"role": "user", "content": query}
            yield {"role": "assistant", "content": answer}
        case _:
            raise ValueError("a dialogue has `messages`, or `query` and `answer`")
