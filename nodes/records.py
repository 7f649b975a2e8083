"""The record of a run: task, turn, draft, verdict, feedback and their model calls.

Channels and traces hold the JSON dumps of these models. Each text that went to or came from a
model is stored once, in the `texts` of a `Record`; everything else refers to it by id.
"""

import base64
import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from operator import attrgetter
from typing import Any, Literal

from pydantic import Field, field_validator

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import Artifact, Execution
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.grading.tests import Tests
from opencodeinterpreter.tools.growing import Growing
from opencodeinterpreter.tools.input_files import InputFiles
from opencodeinterpreter.tools.models.protocol import Message, Position, Usage

Decision = Literal["solved", "revise", "stopped"]
CriticKind = Literal["none", "execution", "simulated", "oracle", "human"]
Part = Literal["drafts", "executions", "verdict", "feedback"]

PARTS: tuple[Part, ...] = ("drafts", "executions", "verdict", "feedback")
"""The parts of a turn in the order in which nodes make them."""


class Task(Frozen):
    """A task to solve."""

    number: int = Field(default=1, ge=1)
    """Its number in the thread, from 1."""
    prompt: str = Field(min_length=1)
    """A sentence, or a function stub with its docstring."""
    entry_point: str | None = None
    """The function that tests call."""
    tests: Tests | None = None
    """Feedback tests: the loop runs them and shows their results to the coder."""
    reference: str | None = None
    """A right solution; only the oracle critic sees it."""
    files: InputFiles = Field(default={}, exclude_if=lambda files: not files)
    """Files that lie in the work folder of every run, and beside tests in Python."""
    session: bool = Field(default=False, exclude_if=lambda session: not session)
    """Whether it continues what the thread's earlier tasks began: programs find the variables and
    files of their programs, the coder sees their last result and may answer in words.
    """

    @field_validator("tests", mode="before")
    @classmethod
    def _plain(cls, tests: object) -> object:
        """Accept the source of tests in Python, or a list of cases."""
        if isinstance(tests, str):
            return {"kind": "python", "source": tests}
        return {"kind": "cases", "cases": tests} if isinstance(tests, list) else tests


class StoredMessage(Frozen):
    """A message of a conversation and the id of the one before it."""

    parent: str | None
    role: Literal["system", "user", "assistant"]
    content: str


class Call(Frozen):
    """The record of one model call."""

    at: Position
    messages: str
    """The id of the last message sent; its ancestors are the rest of the request."""
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
    """The model's reasoning; it is never used as code, feedback or a verdict."""
    dropped: int = Field(default=0, ge=0, exclude_if=lambda dropped: not dropped)
    """How many old exchanges were left out because the conversation overflowed the context.

    Tokens, seconds and attempts include earlier answers that the context cut off.
    """

    @property
    def cut(self) -> bool:
        """Whether the answer ended at a limit of tokens, its own or the context's."""
        return self.finish.lower() in ("length", "max_tokens", "context")


class Draft(Frozen):
    """The coder's message and the code taken from it."""

    message: str = ""
    """The id of the coder's message, or of the message that holds given code; empty for an edit
    that the executor has not run yet."""
    code: str | None
    """`None` if the message has no code. Imports and helpers of a stub are added to it."""
    files: dict[str, str] = {}
    call: Call | None = None
    """`None` for given code."""


class Verdict(Frozen):
    """The judge's decision on a turn."""

    decision: Decision
    decided_by: Literal["tests", "model", "run", "limits", "human"]
    reason: str
    calls: tuple[Call, ...] = ()


class Feedback(Frozen):
    """The critic's answer: words for the coder, or a person's decision."""

    kind: CriticKind
    action: Literal["words", "edit", "approve", "stop"] = "words"
    message: str | None = None
    """The id of the user message that the coder sees next; only words and edits have one."""
    notes: tuple[str, ...] = ()
    """What was wrong with the critic's replies and how it was handled, in order."""
    calls: tuple[Call, ...] = ()


class Turn(Frozen):
    """One pass coder → executor → judge → critic; parts that are not made yet are `None`."""

    number: int = Field(ge=1)
    """Counted from 1 over the whole thread."""
    task: int
    settings: str
    """The digest of the settings it ran under."""
    drafts: tuple[Draft, ...] | None = None
    executions: tuple[Execution | None, ...] | None = None
    """The result of each draft; `None` for a draft without code."""
    programs: tuple[str | None, ...] | None = None
    """The digests of the programs that were run, one per draft."""
    chosen: int = 0
    """The index of the chosen draft."""
    verdict: Verdict | None = None
    feedback: Feedback | None = None
    given: dict[Part, str] = {}
    """The parts that no node made, and where each came from."""

    @property
    def draft(self) -> Draft | None:
        """The chosen draft."""
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
        """The verdict, or a person's decision if that overrules it."""
        if self.feedback and self.feedback.action == "approve":
            return Verdict(decision="solved", decided_by="human", reason="approved by a person")
        if self.feedback and self.feedback.action == "stop":
            if self.feedback.message:
                reason = f"no turn is left for a person's words; {'; '.join(self.feedback.notes)}"
                return Verdict(decision="stopped", decided_by="limits", reason=reason)
            return Verdict(decision="stopped", decided_by="human", reason="stopped by a person")
        return self.verdict

    def part(self, **made: object) -> dict[str, Any]:
        """Return the channel write that adds these parts to the turn."""
        fields = {"number", *made}
        return self.model_copy(update=made).model_dump(mode="json", include=fields)

    def calls(self) -> Iterator[Call]:
        """Yield every model call of the turn in order."""
        yield from (draft.call for draft in self.drafts or () if draft.call)
        yield from self.verdict.calls if self.verdict else ()
        yield from self.feedback.calls if self.feedback else ()

    def named_texts(self) -> Iterator[str]:
        """Yield the ids of the messages that the turn refers to."""
        yield from (draft.message for draft in self.drafts or () if draft.message)
        if self.feedback and self.feedback.message:
            yield self.feedback.message
        for call in self.calls():
            yield from (call.messages, call.response)


@lru_cache(maxsize=4096)
def message_of(role: Literal["system", "user", "assistant"], content: str) -> Message:
    """Return a message, the same object for the same words: each conversation repeats them."""
    return Message(role=role, content=content)


_said = Growing[StoredMessage, Message](lambda _, stored: message_of(stored.role, stored.content))


class Record(Frozen):
    """The validated state of a thread."""

    tasks: tuple[Task, ...] = ()
    settings: dict[str, dict[str, object]] = {}
    """The dumps of the settings, by digest."""
    texts: dict[str, StoredMessage] = {}
    """What went to or came from a model, by id."""
    turns: tuple[Turn, ...] = ()
    artifacts: dict[str, str] = {}
    """The contents of files that programs wrote, in base64, by their sha256; see `artifact`."""

    @property
    def task(self) -> Task:
        """The task being worked on: the last one."""
        return self.tasks[-1]

    @property
    def current(self) -> tuple[Turn, ...]:
        """The turns of that task; none before the first task."""
        return self.turns_of(self.task) if self.tasks else ()

    def turns_of(self, task: Task) -> tuple[Turn, ...]:
        """Return the turns of a task; the turns are in the order of the tasks."""
        of_task = attrgetter("task")
        start = bisect_left(self.turns, task.number, key=of_task)
        return self.turns[start : bisect_right(self.turns, task.number, key=of_task)]

    @property
    def outcome(self) -> Verdict | None:
        """The decision on the last turn."""
        return self.turns[-1].outcome if self.turns else None

    @property
    def solved(self) -> bool:
        """Whether the last turn was solved."""
        return self.outcome is not None and self.outcome.decision == "solved"

    @property
    def final(self) -> Draft | None:
        """The newest draft with code, of those that turns went on with."""
        return turn.draft if (turn := self._final_turn()) else None

    @property
    def written(self) -> tuple[Artifact, ...]:
        """The files that the newest program wrote when it ran."""
        turn = self._final_turn()
        return turn.execution.artifacts if turn and turn.execution else ()

    def _final_turn(self) -> Turn | None:
        return next((turn for turn in reversed(self.turns) if turn.code is not None), None)

    @property
    def code(self) -> str | None:
        """The code of the newest turn that has some; `None` if no turn has."""
        return self.final.code if self.final else None

    def texts_of(self, turns: Iterable[Turn]) -> dict[str, StoredMessage]:
        """Return the messages that these turns refer to, and all their ancestors."""
        needed: set[str] = set()
        for turn in turns:
            for named in turn.named_texts():
                at: str | None = named
                while at is not None and at not in needed:
                    needed.add(at)
                    at = self.texts[at].parent
        return {at: message for at, message in self.texts.items() if at in needed}

    def artifact(self, sha256: str) -> bytes | None:
        """Return the content of a file that a program wrote; `None` if it was not kept.

        Raises InputError if the content was changed after it was kept.
        """
        if sha256 not in self.artifacts:
            return None
        try:
            content = base64.b64decode(self.artifacts[sha256], validate=True)
        except ValueError:
            content = b""
        if hashlib.sha256(content).hexdigest() != sha256:
            raise InputError(f"the artifact {sha256[:12]} was changed after the run kept it")
        return content

    def artifacts_of(self, turns: Iterable[Turn]) -> dict[str, str]:
        """Return the contents of the files that the programs of these turns wrote."""
        runs = (run for turn in turns for run in turn.executions or () if run)
        named = {each.sha256 for run in runs for each in run.artifacts}
        return {at: content for at, content in self.artifacts.items() if at in named}

    def text(self, message: str) -> str:
        """Return the content of the message with this id."""
        return self.texts[message].content

    def said(self, ids: Iterable[str]) -> list[Message]:
        """Return the messages with these ids."""
        return _said(list(map(self.texts.__getitem__, ids)))

    def conversation(self, last: str) -> tuple[Message, ...]:
        """Return the conversation that ends with the message of this id, first to last."""
        ids: list[str] = []
        at: str | None = last
        while at is not None:
            ids.append(at)
            at = self.texts[at].parent
        return tuple(self.said(reversed(ids)))
