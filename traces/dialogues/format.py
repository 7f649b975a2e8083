"""The file of dialogues: one JSON object a line, as Code-Feedback was published.

    {"id": 0, "messages": [{"role": "user", "content": "…"}, …], "provenance": {…}}

Every field of every line is there and has one type, with "" and 0 for what is unknown: readers of
columns (pyarrow, `datasets`) take the types from the first lines.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import ValidationError, model_validator

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.models.protocol import Message
from opencodeinterpreter.tools.strict_json import loads
from opencodeinterpreter.tools.validation import first_problem

Way = Literal["interaction", "correction", "similar", "follow-up", "packed", "published"]
"""How a dialogue came about: by one of the paper's five ways, or it was published before."""


class Provenance(Frozen):
    """Where a dialogue comes from."""

    way: Way
    origin: str
    """What it is made of, for a person: a run, a file and line."""
    run: str = ""
    """The run's whole id."""
    turn: int = 0
    """The turn of the run that gave the last answer."""
    model: str = ""
    """The model of the last answer, as its server names it; `given` if no model wrote it."""
    first_model: str = ""
    """The model of the first answer."""
    critic: str = ""
    """The kinds of feedback in it, as in `execution` or `execution, simulated`."""
    decided_by: str = ""
    """Who accepted the last answer: tests, model, run (nothing was checked), human."""
    settings: str = ""
    """The digest of the settings of that turn."""


class Dialogue(Frozen):
    """A dialogue that a model can be trained on."""

    messages: tuple[Message, ...]
    provenance: Provenance

    @model_validator(mode="after")
    def _trainable(self) -> Self:
        if problem := problem_of(self.messages):
            raise ValueError(problem)
        return self

    @property
    def answers(self) -> int:
        """How many messages are the assistant's."""
        return sum(message.role == "assistant" for message in self.messages)

    @property
    def text(self) -> str:
        """All that is said in it."""
        return "\n\n".join(message.content for message in self.messages)


class Dropped(Frozen):
    """What did not become a dialogue of the file, and why."""

    origin: str
    reason: str
    """In the same words for all that were dropped alike."""
    detail: str = ""


def problem_of(messages: Sequence[Message]) -> str:
    """Return why no chat template takes these messages; empty if templates do.

    Many templates refuse two messages of one role in a row.
    """
    spoken = messages[1:] if messages and messages[0].role == "system" else messages
    if not spoken or spoken[-1].role != "assistant":
        return "no answer at its end"
    for number, message in enumerate(spoken):
        if message.role != ("user", "assistant")[number % 2]:
            return "user and assistant do not alternate"
        if not message.content.strip():
            return "an empty message"
    return ""


def lines(dialogues: Iterable[Dialogue]) -> str:
    """Return the text of a file of dialogues, numbered from 0."""
    rows = ({"id": at, **each.model_dump(mode="json")} for at, each in enumerate(dialogues))
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def read_dialogues(path: Path) -> list[Dialogue]:
    """Return the dialogues of a file that was written here; raises InputError for a wrong line."""
    try:
        rows = path.read_text("utf-8").split("\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text") from None
    return [_dialogue(row, f"{path}, line {at}") for at, row in enumerate(rows, 1) if row.strip()]


def _dialogue(row: str, where: str) -> Dialogue:
    try:
        value = loads(row)
        return Dialogue.model_validate({name: value[name] for name in Dialogue.model_fields})
    except ValidationError as error:
        raise InputError(f"{where}: {first_problem(error)}") from None
    except KeyError as error:
        raise InputError(f"{where}: no dialogue: it has no {error}") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{where}: not a JSON object: {error}") from None
