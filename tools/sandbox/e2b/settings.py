"""Settings of the E2B sandbox. The API key is never part of them."""

from pydantic import Field

from opencodeinterpreter.tools.frozen import Frozen


class E2BSettings(Frozen):
    """What the E2B sandboxes are like, and how many there may be."""

    template: str = "code-interpreter-v1"
    """E2B template; it must have the code interpreter and Python 3.11 or newer."""
    internet_access: bool = False
    """Whether code can reach the internet. If so, a run is never repeated."""
    concurrency: int = Field(default=4, ge=1)
    """Most runs at once. E2B's free plan allows 20 sandboxes, contexts included."""
    contexts: int = Field(default=4, ge=0)
    """Most contexts at once; each has its own sandbox."""
    creations_per_second: float = Field(default=1.0, gt=0)
    """Most sandboxes created per second. E2B's plans allow 1 (free) or 5."""
    runs_per_sandbox: int = Field(default=1, ge=1)
    """Number of runs that share a sandbox, one after another.

    Only 1 isolates runs from each other: hostile code can change a sandbox for later runs.
    """
    lifetime_seconds: int = Field(default=300, ge=30)
    """When E2B ends an unused sandbox. A context unused for so long is lost."""
    call_seconds: float = Field(default=30.0, gt=0)
    """Time limit of a call that runs no code."""
    patience_seconds: float = Field(default=120.0, ge=0)
    """How long to retry the creation of a sandbox while E2B is busy."""
    domain: str | None = None
    """Domain of a self-hosted E2B, or of another service with its API."""
    api_url: str | None = None
    """URL of the API, if not `api.DOMAIN`; for tests, like `sandbox_url`."""
    sandbox_url: str | None = None
