"""A record's seams: models, a runner and a person that only answer what was recorded."""

import difflib
from collections.abc import Iterator, Mapping, Sequence

from opencodeinterpreter.nodes.records import Call, Record, Turn
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
from opencodeinterpreter.tools.runner import Program


class Diverged(Exception):
    """The replay left the record: at which turn and node, and how."""

    def __init__(self, turn: int, node: str, how: str) -> None:
        """Keep the place and the description."""
        super().__init__(f"turn {turn}, {node}: {how}")
        self.turn, self.node, self.how = turn, node, how


class NotRecorded(Exception):
    """The graph asked for something that comes after the record's end."""


class RecordedModel:
    """Answers a role's calls by their position and compares each request with the recorded one."""

    def __init__(self, spec: str, record: Record, turns: Sequence[Turn]) -> None:
        """Answer for the model that `spec` named in these of the record's turns."""
        self.spec = spec
        self._record = record
        self._calls: Mapping[Position, Call] = {
            call.at: call for turn in turns for call in turn.calls()
        }

    async def complete(self, request: Request) -> Response:
        """Return the recorded response; raises Diverged where request or response differ."""
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
        recorded = self._record.conversation(call.messages)
        if message_ids(recorded)[-1] != call.messages:
            raise self._diverged(call, "a recorded message does not match its digest")
        if recorded != request.messages:
            how = "the request differs from the recorded one:\n" + _diff(recorded, request.messages)
            raise self._diverged(call, how)
        if request.digest != call.digest:
            raise self._diverged(call, "the request's sampling or schema differs")

    def _text(self, call: Call) -> str:
        return self._record.text(call.response)

    @staticmethod
    def _diverged(call: Call, how: str) -> Diverged:
        return Diverged(call.at.turn, call.at.role, how)


class RecordedRunner:
    """Answers with the recorded executions in order; other programs show in the executor's part."""

    def __init__(self, turns: tuple[Turn, ...]) -> None:
        """Answer for the turns whose executions a node made."""
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
    """Answers as the person did."""

    def __init__(self, record: Record) -> None:
        """Answer for the turns with human feedback."""
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
        words = self._record.text(feedback.message) if feedback.message else ""
        return PersonAnswer(action=feedback.action, text=words)


def recorded_models(
    specs: Mapping[Role, str], record: Record, turns: Sequence[Turn]
) -> dict[Role, RecordedModel]:
    """Return a recorded model for every role that the settings of these turns name."""
    return {role: RecordedModel(spec, record, turns) for role, spec in specs.items()}


def _diff(recorded: tuple[Message, ...], asked: tuple[Message, ...]) -> str:
    return "\n".join(
        difflib.unified_diff(_shown(recorded), _shown(asked), "recorded", "replayed", "", "", 1, "")
    )


def _shown(messages: tuple[Message, ...]) -> list[str]:
    return [
        line
        for message in messages
        for line in (f"[{message.role}]", *message.content.splitlines())
    ]
