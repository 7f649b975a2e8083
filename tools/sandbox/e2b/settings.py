"""How E2B is used: everything but the key, which is never part of settings."""

from pydantic import Field

from opencodeinterpreter.tools.frozen import Frozen


class E2BSettings(Frozen):
    """What the sandboxes are like, and how many there may be."""

    template: str = "code-interpreter-v1"
    """What sandboxes are made from: it has the code interpreter and Python 3.11 or newer."""
    internet_access: bool = False
    """Whether code may reach the internet. A run that may is never done twice."""
    concurrency: int = Field(default=4, ge=1)
    """Most sandboxes for one-shot runs at once; E2B's free plan allows 20, contexts included."""
    contexts: int = Field(default=4, ge=0)
    """Most contexts at once, each of which has a sandbox to itself."""
    creations_per_second: float = Field(default=1.0, gt=0)
    """What the plan allows: 1 on the free one, 5 on the next."""
    runs_per_sandbox: int = Field(default=1, ge=1)
    """How many one-shot runs share a sandbox, one after the other.

    Only 1 keeps runs apart: hostile code may change a sandbox for those that come after it.
    """
    lifetime_seconds: int = Field(default=300, ge=30)
    """When E2B ends a sandbox that we don't use or forgot; a context unused so long is lost."""
    call_seconds: float = Field(default=30.0, gt=0)
    """Most time for one call that runs no code."""
    patience_seconds: float = Field(default=120.0, ge=0)
    """How long to try for a new sandbox while E2B is busy."""
    domain: str | None = None
    """Of a self-hosted E2B or another service with its API."""
    api_url: str | None = None
    """Where the API is, where it isn't at `api.DOMAIN`; like `sandbox_url` for tests."""
    sandbox_url: str | None = None
