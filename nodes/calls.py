"""Asking a model and recording that it was asked."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from opencodeinterpreter.nodes.records import Call, Record, StoredMessage
from opencodeinterpreter.tools.models.protocol import Message, Model, Request, message_ids

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """A response, the call that it came by, and the conversation that it ends."""

    text: str
    call: Call
    conversation: tuple[Message, ...]

    def then(self, words: str) -> tuple[Message, ...]:
        """Return the conversation with one more user message."""
        return (*self.conversation, Message(role="user", content=words))


async def ask(model: Model, request: Request) -> Answer:
    """Ask `model`; raises ModelError when its retries are spent."""
    response = await model.complete(request)
    said = (*request.messages, Message(role="assistant", content=response.text))
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
    )
    return Answer(response.text, call, said)


def new_messages(record: Record, conversations: Iterable[Sequence[Message]]) -> dict[str, Any]:
    """Return the channel write for the messages that `record` does not hold yet, by id."""
    found: dict[str, Any] = {}
    for messages in conversations:
        parent: str | None = None
        for message, at in zip(messages, message_ids(messages), strict=True):
            if at not in record.messages:
                stored = StoredMessage(parent=parent, role=message.role, content=message.content)
                found[at] = stored.model_dump(mode="json")
            parent = at
    return found


async def all_of(awaitables: Sequence[Awaitable[T]]) -> list[T]:
    """Await all at once, in order; the first failure cancels the rest and is raised as it is."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
