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


_INBOX = {"accept": "approve", "edit": "edit", "response": "words", "ignore": "stop"}


class PersonAnswer(Frozen):
    """A person's decision: approve, feedback for the coder, edited code, or stop."""

    action: Literal["words", "edit", "approve", "stop"]
    text: str = Field(default="")
    """The feedback or the edited code; empty for `approve` and `stop`."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        """Accept what hosts send: a bare string, which is feedback, and Agent Inbox's answers.

        Those are a list of one `{"type": "accept|edit|response|ignore", "args": …}`.
        """
        if isinstance(value, str):
            return {"action": "words", "text": value}
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, dict) and value.get("type") in _INBOX:
            action = _INBOX[value["type"]]
            text = _text(value.get("args")) if action in ("edit", "words") else ""
            return {"action": action, "text": text}
        return value


def _text(args: Any) -> Any:
    """Return the text in an answer's arguments, which Agent Inbox nests by name."""
    while isinstance(args, dict) and args:
        args = args["args"] if "args" in args else next(iter(args.values()))
    return args


class Person(Protocol):
    """A person who answers questions; an answer may take days."""

    async def ask(self, question: Question) -> PersonAnswer:
        """Return the person's answer."""
        ...
