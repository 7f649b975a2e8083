"""The person seam: a question about a turn in, an answer out."""

from typing import Any, Literal, Protocol

from pydantic import Field, model_validator

from opencodeinterpreter.tools.frozen import Frozen


class Question(Frozen):
    """What a person sees when asked about a turn."""

    turn: int
    code: str | None
    result: str
    """The execution of the code, in words."""
    verdict: str
    """The judge's reason."""


class PersonAnswer(Frozen):
    """A person's decision: approve, feedback for the coder, edited code, or stop."""

    action: Literal["words", "edit", "approve", "stop"]
    text: str = Field(default="")
    """The feedback or the edited code; empty for `approve` and `stop`."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        """Accept a bare string as feedback: that is what people type into LangGraph Studio."""
        return {"action": "words", "text": value} if isinstance(value, str) else value


class Person(Protocol):
    """A person who answers questions; an answer may take days."""

    async def ask(self, question: Question) -> PersonAnswer:
        """Return the person's answer."""
        ...
