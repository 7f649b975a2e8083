"""The price of tokens, where it is known."""

from pydantic import ConfigDict, Field

from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.models.protocol import Usage

_TOKENS = 1_000_000


class Price(Frozen):
    """The price of a million tokens, in any currency; limits and costs use the same one."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    input: float = Field(ge=0, lt=2**63)
    """The price of input tokens."""
    output: float = Field(ge=0, lt=2**63)
    """The price of output tokens."""
    cached: float | None = Field(default=None, ge=0, lt=2**63)
    """The price of input tokens from the server's cache; `None` means the same as `input`."""

    def of(self, usage: Usage) -> float:
        """Return the cost of a call with this usage."""
        # Some servers do not include the cached tokens in the input tokens.
        cached = min(usage.cached_tokens or 0, usage.input_tokens)
        cached_price = self.input if self.cached is None else self.cached
        fresh = (usage.input_tokens - cached) * self.input
        return (fresh + cached * cached_price + usage.output_tokens * self.output) / _TOKENS
