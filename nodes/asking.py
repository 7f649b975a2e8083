"""Call a model and record the call."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from opencodeinterpreter.nodes.node import log
from opencodeinterpreter.nodes.records import Call, Record, StoredMessage
from opencodeinterpreter.tools.errors import ContextOverflow
from opencodeinterpreter.tools.models.protocol import (
    Message,
    Model,
    Request,
    message_ids,
    summed,
)
from opencodeinterpreter.tools.thinking import split_thinking


@dataclass(frozen=True)
class Answer:
    """A response, the record of its call, and the conversation up to it."""

    text: str
    call: Call
    conversation: tuple[Message, ...]

    def then(self, words: str) -> tuple[Message, ...]:
        """Return the conversation with one more user message."""
        return (*self.conversation, Message(role="user", content=words))


async def ask(model: Model, request: Request) -> Answer:
    """Call `model`; raises ModelError when its retries are spent."""
    response = await model.complete(request)
    thinking, text = (
        split_thinking(response.text)
        if response.thinking is None
        else (response.thinking, response.text)
    )
    said = (*request.messages, Message(role="assistant", content=text))
    ids = message_ids(said)
    call = Call(
        at=request.at,
        messages=ids[-2],
        digest=request.digest,
        response=ids[-1],
        model=response.model,
        finish=response.finish,
        usage=response.usage,
        seconds=response.seconds,
        attempts=response.attempts,
        thinking=thinking.encode("utf-8", "replace").decode(),
        dropped=request.dropped,
    )
    if call.cut:
        log.info("answer cut at its limit", role=call.at.role, model=call.model)
    return Answer(said[-1].content, call, said)


async def ask_shortening(
    model: Model, request: Callable[[int], Request], dropped: int, most: int
) -> Answer:
    """Call with `request(dropped)`; while the context overflows, drop one more, up to `most`.

    An answer that the context cut off counts as an overflow if more can be dropped. Raises
    ContextOverflow if even the shortest conversation is too long.
    """
    cut: list[Call] = []
    while True:
        try:
            answer = await ask(model, request(dropped))
        except ContextOverflow:
            if dropped >= most:
                raise
        else:
            if answer.call.finish != "context" or dropped >= most:
                return replace(answer, call=_with_spent(answer.call, cut))
            cut.append(answer.call)
        dropped += 1


def _with_spent(call: Call, before: Sequence[Call]) -> Call:
    """Return `call` with the tokens, seconds and attempts of the calls before it added."""
    if not before:
        return call
    calls = (*before, call)
    return call.model_copy(
        update={
            "usage": summed(each.usage for each in calls),
            "seconds": sum(each.seconds for each in calls),
            "attempts": sum(each.attempts for each in calls),
        }
    )


def new_texts(record: Record, conversations: Iterable[Sequence[Message]]) -> dict[str, Any]:
    """Return the channel write for the messages that are not in `record` yet, by id."""
    found: dict[str, Any] = {}
    for messages in conversations:
        ids = message_ids(messages)
        # Where a message is stored, so are those before it.
        new = len(ids)
        while new and ids[new - 1] not in record.texts:
            new -= 1
        for at in range(new, len(ids)):
            parent = ids[at - 1] if at else None
            message = messages[at]
            stored = StoredMessage(parent=parent, role=message.role, content=message.content)
            found[ids[at]] = stored.model_dump(mode="json")
    return found
