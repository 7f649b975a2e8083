"""How model servers are called: keys, deadlines and retries."""

from collections.abc import Iterator
from typing import Any

from pydantic import Field, field_validator

from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.models.prices import Price


class ModelOptions(Frozen):
    """What every model client obeys; recorded with a run, so it names a key and never holds one."""

    key_variable: str | None = None
    """The environment variable that holds the API key.

    `None` means OPENAI_API_KEY for OpenAI's own host and no key for any other.
    """
    timeout_seconds: float = Field(default=600.0, gt=0)
    """The hard deadline of one call, all its attempts and the waits between them included."""
    attempt_seconds: float = Field(default=180.0, gt=0)
    """How long one attempt may take before it counts as a fault that may pass."""
    retries: int = Field(default=3, ge=0, lt=2**63)
    """How often a call is tried again after a fault that may pass."""
    # Left out of the dump while empty, so that records from before they were there keep their
    # digests.
    prices: dict[str, Price] = Field(default={}, exclude_if=lambda prices: not prices)
    """Prices by spec. A model without one has costs that are unknown, not none."""
    engine: dict[str, Any] = Field(default={}, exclude_if=lambda engine: not engine)
    """Options of vLLM's engine by vLLM's own names, for `vllm:` and `vllm-serve:`."""

    @field_validator("engine")
    @classmethod
    def _storable(cls, engine: dict[str, Any]) -> dict[str, Any]:
        """Refuse numbers that no store can hold, at any depth."""
        for number in _numbers(engine):
            if not -(2**63) <= number < 2**63:
                raise ValueError(f"{number} is no number of at most 64 bits")
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
