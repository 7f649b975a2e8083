"""How models are called: keys, time limits, retries, prices, engine options."""

from collections.abc import Iterator
from typing import Any

from pydantic import ConfigDict, Field, field_validator

from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.models.prices import Price


class ModelOptions(Frozen):
    """Settings of every model client. They are recorded, so they name a key but never hold one."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    key_variable: str | None = None
    """The environment variable with the API key.

    `None` means OPENAI_API_KEY for OpenAI's own host and no key for any other host.
    """
    timeout_seconds: float = Field(default=600.0, gt=0)
    """The deadline of one call, with all its attempts and the waits between them."""
    attempt_seconds: float = Field(default=180.0, gt=0)
    """The time limit of one attempt; it is retried after that."""
    retries: int = Field(default=3, ge=0, lt=2**63)
    """How often a call is retried after a temporary fault."""
    # Left out of the dump while empty, so that older records keep their digests.
    prices: dict[str, Price] = Field(default={}, exclude_if=lambda prices: not prices)
    """Prices by spec. The cost of a model without a price is unknown, not zero."""
    engine: dict[str, Any] = Field(default={}, exclude_if=lambda engine: not engine)
    """Engine options by vLLM's own names, for `vllm:` and `vllm-serve:`."""

    @field_validator("engine")
    @classmethod
    def _storable(cls, engine: dict[str, Any]) -> dict[str, Any]:
        """Refuse numbers of more than 64 bits, which no store can hold, at any depth."""
        for number in _numbers(engine):
            if not -(2**63) <= number < 2**63:
                raise ValueError(f"{number} does not fit into 64 bits")
        return engine


def _numbers(value: object) -> Iterator[float]:
    match value:
        case int() | float():
            yield value
        case dict():
            for inner in value.values():
                yield from _numbers(inner)
        case list():
            for inner in value:
                yield from _numbers(inner)
