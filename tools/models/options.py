"""How model servers are called: keys, deadlines and retries."""

from pydantic import BaseModel, ConfigDict, Field


class ModelOptions(BaseModel):
    """What every model client obeys; recorded with a run, so it names a key and never holds one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key_variable: str | None = None
    """The environment variable that holds the API key.

    `None` means OPENAI_API_KEY for OpenAI's own host and no key for any other.
    """
    timeout_seconds: float = Field(default=600.0, gt=0)
    """The hard deadline of one call, all its attempts and the waits between them included."""
    attempt_seconds: float = Field(default=180.0, gt=0)
    """How long one attempt may take before it counts as a fault that may pass."""
    retries: int = Field(default=3, ge=0)
    """How often a call is tried again after a fault that may pass."""
