"""The file of dialogues: one JSON object a line, as Code-Feedback was published.

    {"id": 0, "messages": [{"role": "user", "content": "…"}, …], "provenance": {…}}

Every field of every line is there and has one type, with "" and 0 for what is unknown: readers of
columns (pyarrow, `datasets`) take the types from the first lines.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Literal, Self

from pydantic import model_validator

from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.models.protocol import Message

Way = Literal["interaction", "published"]
"""How a dialogue came about: as a run of the graph, or read from a file that others published."""


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
