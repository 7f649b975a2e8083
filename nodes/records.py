"""What a run records, declared once: task, turn, draft, verdict, feedback and their model calls.

Channels hold the JSON dumps of these models, traces hold the same lines; texts that went to or
came from a model stand once in the `messages` of a `Record`, and everything else names them by id.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from pydantic import Field

from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.grading.tests import Tests
from opencodeinterpreter.tools.models.protocol import Message, Position, Usage

Decision = Literal["solved", "revise", "stopped"]
CriticKind = Literal["none", "execution", "simulated", "oracle", "human"]
Part = Literal["drafts", "executions", "verdict", "feedback"]

PARTS: tuple[Part, ...] = ("drafts", "executions", "verdict", "feedback")
"""The parts of a turn in the order in which nodes make them."""


class Task(Frozen):
    """What is to be solved."""

    number: int = Field(default=1, ge=1)
    """Its place in the thread, from 1."""
    prompt: str = Field(min_length=1)
    """A sentence, or a function stub with its docstring."""
    entry_point: str | None = None
    """The function that tests call."""
    tests: Tests | None = None
    """Feedback tests: what the loop may run and show."""
    reference: str | None = None
    """A right solution; only the oracle critic sees it."""


class StoredMessage(Frozen):
    """A message of a conversation and the id of the one before it."""

    parent: str | None
    role: Literal["system", "user", "assistant"]
    content: str


class Call(Frozen):
    """One model call as it happened."""

    at: Position
    messages: str
    """The id of the last message sent; its parents are the rest of the request."""
    digest: str
    """The digest of the whole request: messages, sampling and schema."""
    response: str
    """The id of the answer."""
    model: str
    finish: str
    usage: Usage | None
    seconds: float
    attempts: int
    thinking: str = Field(default="", exclude_if=lambda thinking: not thinking)
    """What the model wrote to itself; it is never code, feedback or a verdict."""
    dropped: int = Field(default=0, ge=0, exclude_if=lambda dropped: not dropped)
    """How many old exchanges were left out, since the conversation overflowed the context.

    Tokens, seconds and attempts count the answers too that the context cut before.
    """


class Draft(Frozen):
    """The coder's message and the code taken from it."""

    message: str
    """The id of the coder's message, or of the message that holds given code."""
    code: str | None
    """`None` where the message holds no code. A stub's imports and helpers are put to it."""
    files: dict[str, str] = {}
    call: Call | None = None
    """`None` for given code."""


class Verdict(Frozen):
    """The judge's decision on a turn."""

    decision: Decision
    decided_by: Literal["tests", "tests in process", "model", "run", "limits", "human"]
    reason: str
    calls: tuple[Call, ...] = ()


class Feedback(Frozen):
    """What goes back to the coder, or what a person decided instead."""

    kind: CriticKind
    action: Literal["words", "edit", "approve", "stop"] = "words"
    message: str | None = None
    """The id of the user message that the coder sees next; only words have one."""
    notes: tuple[str, ...] = ()
    """What was wrong with a critic's reply and what was done about it, in order."""
    calls: tuple[Call, ...] = ()


class Turn(Frozen):
    """One pass coder → executor → judge → critic; parts that have not happened are `None`."""

    number: int = Field(ge=1)
    """Counted from 1 over the whole thread."""
    task: int
    settings: str
    """The digest of the settings it ran under."""
    drafts: tuple[Draft, ...] | None = None
    executions: tuple[Execution | None, ...] | None = None
    """What each program gave; `None` for a draft without code."""
    programs: tuple[str | None, ...] | None = None
    """The digests of the programs that were run, one a draft."""
    chosen: int = 0
    """The index of the draft that the turn goes on with."""
    verdict: Verdict | None = None
    feedback: Feedback | None = None
    given: dict[Part, str] = {}
    """The parts that no node made, and where each came from."""

    @property
    def draft(self) -> Draft | None:
        """The draft that the turn goes on with."""
        return self.drafts[self.chosen] if self.drafts else None

    @property
    def execution(self) -> Execution | None:
        """The execution of that draft."""
        return self.executions[self.chosen] if self.executions else None

    @property
    def code(self) -> str | None:
        """The code of that draft."""
        return self.draft.code if self.draft else None

    @property
    def outcome(self) -> Verdict | None:
        """The verdict, or the person's decision where one overrules it."""
        if self.feedback and self.feedback.action == "approve":
            return Verdict(decision="solved", decided_by="human", reason="approved by a person")
        if self.feedback and self.feedback.action == "stop":
            return Verdict(decision="stopped", decided_by="human", reason="stopped by a person")
        return self.verdict

    def part(self, **made: object) -> dict[str, Any]:
        """Return the channel write that adds just these parts to the turn."""
        fields = {"number", *made}
        return self.model_copy(update=made).model_dump(mode="json", include=fields)

    def calls(self) -> Iterator[Call]:
        """Yield every model call of the turn in order."""
        yield from (draft.call for draft in self.drafts or () if draft.call)
        yield from self.verdict.calls if self.verdict else ()
        yield from self.feedback.calls if self.feedback else ()

    def named_messages(self) -> Iterator[str]:
        """Yield the ids of the messages that the turn names."""
        yield from (draft.message for draft in self.drafts or ())
        if self.feedback and self.feedback.message:
            yield self.feedback.message
        for call in self.calls():
            yield from (call.messages, call.response)


class Record(Frozen):
    """All that a thread holds: its state, validated."""

    tasks: tuple[Task, ...] = ()
    settings: dict[str, dict[str, object]] = {}
    """The dumps of the settings, by digest."""
    messages: dict[str, StoredMessage] = {}
    turns: tuple[Turn, ...] = ()

    @property
    def task(self) -> Task:
        """The task being worked on: the last one."""
        return self.tasks[-1]

    @property
    def current(self) -> tuple[Turn, ...]:
        """The turns of that task."""
        return tuple(turn for turn in self.turns if turn.task == self.task.number)

    @property
    def outcome(self) -> Verdict | None:
        """The decision on the last turn."""
        return self.turns[-1].outcome if self.turns else None

    @property
    def solved(self) -> bool:
        """Whether the last turn was solved."""
        return self.outcome is not None and self.outcome.decision == "solved"

    @property
    def code(self) -> str | None:
        """The newest code that there is."""
        return next((turn.code for turn in reversed(self.turns) if turn.code is not None), None)

    def messages_of(self, turns: Iterable[Turn]) -> dict[str, StoredMessage]:
        """Return the messages that these turns name, and all that come before those."""
        needed: set[str] = set()
        for turn in turns:
            for named in turn.named_messages():
                at: str | None = named
                while at is not None and at not in needed:
                    needed.add(at)
                    at = self.messages[at].parent
        return {at: message for at, message in self.messages.items() if at in needed}

    def text(self, message: str) -> str:
        """Return the content of the message with this id."""
        return self.messages[message].content

    def conversation(self, last: str) -> tuple[Message, ...]:
        """Return the messages that end with the one of this id, first to last."""
        found: list[Message] = []
        at: str | None = last
        while at is not None:
            stored = self.messages[at]
            found.append(Message(role=stored.role, content=stored.content))
            at = stored.parent
        return tuple(reversed(found))
