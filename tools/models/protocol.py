"""The model seam: a request as plain data in, a response out.

A `Request` is independent of any client and holds no ids, so equal requests have equal digests.
That makes a recorded call comparable with a live one.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, Protocol

from pydantic import ConfigDict, Field, field_validator

from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.growing import Growing

Role = Literal["coder", "judge", "critic"]
"""Which node asks. Each role may have a model of its own."""


class Message(Frozen):
    """One chat message; content is always text."""

    role: Literal["system", "user", "assistant"]
    content: str

    @field_validator("content")
    @classmethod
    def _storable(cls, text: str) -> str:
        """Replace lone surrogates, which no UTF-8 file or database can hold."""
        return text if text.isascii() else text.encode("utf-8", "replace").decode()


@lru_cache(maxsize=4096)
def _message_id(parent: str | None, role: str, content: str) -> str:
    # Each request of a run repeats all messages of the one before.
    return digest({"parent": parent, "role": role, "content": content})


def message_ids(messages: Sequence[Message]) -> tuple[str, ...]:
    """Return one id per message: the sha256 of role, content and the id before it.

    The last id identifies the whole conversation, and a longer conversation keeps the ids of its
    beginning. So messages stored by id are stored once, however many calls repeat them.
    """
    return tuple(_ids(messages))


_ids = Growing[Message, str](
    lambda parent, message: _message_id(parent, message.role, message.content)
)


class Sampling(Frozen):
    """Sampling parameters. `None` means the server's default."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    temperature: float | None = Field(default=0.0, ge=0)
    """0 is greedy: always the likeliest token."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Draw from the likeliest tokens that together have this probability."""
    max_tokens: int = Field(default=1024, ge=1, lt=2**63)
    """The maximum number of tokens of one response; the paper uses 1024."""
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    """Of the random draw; `None` leaves it to the server."""


class Position(Frozen):
    """The position of a call in a run: turn, role, and number within both, counted from 1."""

    turn: int
    role: Role
    number: int


class Request(Frozen):
    """One request to a model."""

    messages: tuple[Message, ...] = Field(min_length=1)
    sampling: Sampling = Sampling()
    json_schema: Mapping[str, Any] | None = None
    """The JSON schema of the answer; the caller still validates the answer."""
    at: Position
    """Its position in the run; not part of the digest."""
    dropped: int = 0
    """How many exchanges were left out to fit the context; not part of the digest."""

    @property
    def digest(self) -> str:
        """The sha256 of messages, sampling and schema.

        Recorded calls are compared by it, so a field that is added later must not change it while
        the field has its default.
        """
        settings = self.model_dump(mode="json", include={"sampling", "json_schema"})
        return digest({"messages": message_ids(self.messages)[-1], **settings})


class Usage(Frozen):
    """Tokens and cost of one call, as the server counted them. `None` means unknown, never 0."""

    input_tokens: int = Field(ge=0, lt=2**63)
    output_tokens: int = Field(ge=0, lt=2**63)
    cached_tokens: int | None = Field(default=None, ge=0, lt=2**63)
    cost: float | None = Field(default=None, ge=0)


def summed(usages: Iterable[Usage | None]) -> Usage | None:
    """Return the sum of the known usages; `None` if none is known."""
    known = [usage for usage in usages if usage]
    if not known:
        return None
    cached = [usage.cached_tokens for usage in known if usage.cached_tokens is not None]
    costs = [usage.cost for usage in known if usage.cost is not None]
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in known),
        output_tokens=sum(usage.output_tokens for usage in known),
        cached_tokens=sum(cached) if cached else None,
        cost=sum(costs) if costs else None,
    )


class Response(Frozen):
    """A model's answer to a request."""

    text: str
    model: str
    """The model's name as the server reports it."""
    finish: str = "stop"
    """Why it ended: `stop`, `length`, or another reason of the server's.

    `context` means that the context was full before `max_tokens` was reached.
    """
    usage: Usage | None = None
    seconds: float = 0.0
    """Wall time, with retries."""
    attempts: int = 1
    thinking: str | None = None
    """What the model wrote to itself before the text. `None`: the text may still hold it."""


class Model(Protocol):
    """A chat model for one or more roles."""

    @property
    def spec(self) -> str:
        """Its spec, such as `openai:NAME@URL`."""
        ...

    async def complete(self, request: Request) -> Response:
        """Answer `request`.

        Raises ModelError when the retries are spent, and ContextOverflow if the request is longer
        than the model's context.
        """
        ...
