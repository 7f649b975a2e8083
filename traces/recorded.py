"""Recorded models, runner and person: they answer what a record holds, for a replay."""

import difflib
from collections.abc import Iterator, Mapping, Sequence

from opencodeinterpreter.nodes.records import Call, Record, StoredMessage, Turn
from opencodeinterpreter.tools.errors import ContextOverflow
from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.models.protocol import (
    Message,
    Position,
    Request,
    Response,
    Role,
    message_ids,
)
from opencodeinterpreter.tools.person import PersonAnswer, Question
from opencodeinterpreter.tools.program import Program


class Diverged(Exception):
    """The replay differs from the record: at which turn and node, and how."""

    def __init__(self, turn: int, node: str, how: str) -> None:
        """Keep the place and the description."""
        super().__init__(f"turn {turn}, {node}: {how}")
        self.turn, self.node, self.how = turn, node, how


class NotRecorded(Exception):
    """The graph asked for something after the end of the record."""


class RecordedModel:
    """Answers a role's calls by their position, and compares each request with the recorded one."""

    def __init__(self, spec: str, record: Record, turns: Sequence[Turn]) -> None:
        """Take the calls of the model that `spec` named in `turns`."""
        self.spec = spec
        self._record = record
        self._same: set[str] = set()
        """The ids of messages that were found as recorded, with all before them."""
        self._calls: Mapping[Position, Call] = {
            call.at: call for turn in turns for call in turn.calls()
        }

    async def complete(self, request: Request) -> Response:
        """Return the recorded response; raises Diverged if request or response differ."""
        call = self._calls.get(request.at)
        if call is None:
            raise NotRecorded
        if request.dropped < call.dropped:
            raise ContextOverflow("recorded: the conversation was longer than the context")
        self._compare(request, call)
        said = (*request.messages, Message(role="assistant", content=self._text(call)))
        if message_ids(said)[-1] != call.response:
            raise self._diverged(call, "the recorded response does not match its digest")
        return Response(
            text=self._text(call),
            model=call.model,
            finish=call.finish,
            usage=call.usage,
            seconds=call.seconds,
            attempts=call.attempts,
            thinking=call.thinking,
        )

    def _compare(self, request: Request, call: Call) -> None:
        if request.digest == call.digest and self._as_recorded(request, call.messages):
            return
        recorded = self._record.conversation(call.messages)
        if message_ids(recorded)[-1] != call.messages:
            raise self._diverged(call, "a recorded message does not match its digest")
        if recorded != request.messages:
            how = "the request differs from the recorded one:\n" + difference(
                recorded, request.messages
            )
            raise self._diverged(call, how)
        if request.digest != call.digest:
            raise self._diverged(call, "the request's sampling or schema differs")

    def _as_recorded(self, request: Request, last: str) -> bool:
        """Return whether a request's messages are those that end with `last`.

        Those that an earlier request began with are not compared again.
        """
        ids = message_ids(request.messages)
        at = len(ids)
        while at and ids[at - 1] not in self._same:
            at -= 1
            stored = self._record.texts.get(ids[at])
            message = request.messages[at]
            parent = ids[at - 1] if at else None
            if stored != StoredMessage(parent=parent, role=message.role, content=message.content):
                return False
        self._same.update(ids[at:])
        return ids[-1] == last

    def _text(self, call: Call) -> str:
        return self._record.text(call.response)

    @staticmethod
    def _diverged(call: Call, how: str) -> Diverged:
        return Diverged(call.at.turn, call.at.role, how)


class RecordedRunner:
    """Answers with the recorded executions in order.

    The programs are not compared here: a difference shows in the executor's part.
    """

    def __init__(self, turns: tuple[Turn, ...]) -> None:
        """Take the executions of `turns` that a node made."""
        self._executions: Iterator[Execution] = (
            execution
            for turn in turns
            if "executions" not in turn.given
            for execution in turn.executions or ()
            if execution is not None
        )

    async def run(self, program: Program) -> Execution:
        """Return the next recorded execution."""
        execution = next(self._executions, None)
        if execution is None:
            raise NotRecorded
        return execution


class RecordedPerson:
    """Answers with the person's recorded answers."""

    def __init__(self, record: Record) -> None:
        """Take the turns with human feedback."""
        self._record = record

    async def ask(self, question: Question) -> PersonAnswer:
        """Return the recorded answer to a question about a turn."""
        turn = next(turn for turn in self._record.turns if turn.number == question.turn)
        feedback = turn.feedback
        if feedback is None:
            raise NotRecorded
        if feedback.action == "edit":
            if len(self._record.turns) <= question.turn:
                raise NotRecorded
            edited = self._record.turns[question.turn]
            return PersonAnswer(action="edit", text=edited.code or "")
        if feedback.message:  # also where no turn was left for the words
            return PersonAnswer(action="words", text=self._record.text(feedback.message))
        return PersonAnswer(action=feedback.action)


def recorded_models(
    specs: Mapping[Role, str], record: Record, turns: Sequence[Turn]
) -> dict[Role, RecordedModel]:
    """Return a recorded model for every role that the settings of these turns name."""
    return {role: RecordedModel(spec, record, turns) for role, spec in specs.items()}


def difference(recorded: Sequence[Message], replayed: Sequence[Message]) -> str:
    """Return how messages differ, as the lines of a unified diff."""
    return "\n".join(
        difflib.unified_diff(
            _shown(recorded), _shown(replayed), "recorded", "replayed", "", "", 1, ""
        )
    )


def _shown(messages: Sequence[Message]) -> list[str]:
    return [
        line
        for message in messages
        for line in (f"[{message.role}]", *message.content.splitlines())
    ]
