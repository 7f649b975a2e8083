"""Asking a model and recording that it was asked."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from opencodeinterpreter.nodes.records import Call, Record, StoredMessage
from opencodeinterpreter.tools.errors import ContextOverflow
from opencodeinterpreter.tools.models.protocol import (
    Message,
    Model,
    Request,
    Usage,
    message_ids,
)
from opencodeinterpreter.tools.thinking import split_thinking

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
    return Answer(said[-1].content, call, said)


async def ask_shortening(
    model: Model, request: Callable[[int], Request], dropped: int, most: int
) -> Answer:
    """Ask `request(dropped)`, and with more dropped, up to `most`, while the context overflows.

    An answer that the context cut counts as an overflow as long as more can be dropped. Raises
    ContextOverflow where even the shortest conversation is too long.
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
    """Return `call` with what the calls before it took added to its own."""
    if not before:
        return call
    calls = (*before, call)
    return call.model_copy(
        update={
            "usage": _sum([each.usage for each in calls if each.usage]),
            "seconds": sum(each.seconds for each in calls),
            "attempts": sum(each.attempts for each in calls),
        }
    )


def _sum(usages: Sequence[Usage]) -> Usage | None:
    if not usages:
        return None
    cached = [usage.cached_tokens for usage in usages if usage.cached_tokens is not None]
    costs = [usage.cost for usage in usages if usage.cost is not None]
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
        cached_tokens=sum(cached) if cached else None,
        cost=sum(costs) if costs else None,
    )


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
