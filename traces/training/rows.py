"""Dialogues as TRL takes them: a file's lines, of which a stage uses some."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.traces.dialogues.reading import Messages, messages_of, numbered_lines
from opencodeinterpreter.traces.training.settings import Learned

Row = dict[str, Any]


def read_dialogues(path: Path) -> list[Messages]:
    """Return the dialogues of a file; raises InputError that names the line that is none."""
    found: list[Messages] = []
    for number, line in numbered_lines(path):
        try:
            found.append(messages_of(line))
        except ValueError as error:
            raise InputError(f"{path}, line {number}: {error}") from None
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


def _answers(messages: Messages) -> int:
    return sum(message.role == "assistant" for message in messages)
