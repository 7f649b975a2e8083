"""What tokens cost, where that is known."""

from pydantic import Field

from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.models.protocol import Usage

_TOKENS = 1_000_000


class Price(Frozen):
    """The price of a million tokens, in any unit of money; limits and costs are in the same."""

    input: float = Field(ge=0, lt=2**63)
    output: float = Field(ge=0, lt=2**63)
    cached: float | None = Field(default=None, ge=0, lt=2**63)
    """For input tokens out of the server's cache; `None` means the same as `input`."""

    def of(self, usage: Usage) -> float:
        """Return what a call of this usage costs."""
        # Some servers count the cached tokens beside the others.
        cached = min(usage.cached_tokens or 0, usage.input_tokens)
        cached_price = self.input if self.cached is None else self.cached
        fresh = (usage.input_tokens - cached) * self.input
        return (fresh + cached * cached_price + usage.output_tokens * self.output) / _TOKENS
