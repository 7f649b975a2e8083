"""The person seam: a question about a turn in, a decision out."""

from typing import Any, Literal, Protocol

from pydantic import Field, model_validator

from opencodeinterpreter.tools.frozen import Frozen


class Question(Frozen):
    """What a person is shown when asked about a turn."""

    turn: int
    code: str | None
    result: str
    """What running the code gave, in words."""
    verdict: str
    """The judge's reason."""


class PersonAnswer(Frozen):
    """What a person decided: approve, words for the coder, edited code, or stop."""

    action: Literal["words", "edit", "approve", "stop"]
    text: str = Field(default="")
    """The words, or the edited code; empty for approve and stop."""

    @model_validator(mode="before")
    @classmethod
    def _from_words(cls, told: Any) -> Any:
        """Take a bare string for words: it is what people type into LangGraph Studio."""
        return {"action": "words", "text": told} if isinstance(told, str) else told


class Person(Protocol):
    """Somebody who can be asked; an answer may take days."""

    async def ask(self, question: Question) -> PersonAnswer:
        """Return the person's decision."""
        ...
