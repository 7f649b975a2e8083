"""What `opencodeinterpreter doctor` says about the sandbox on this machine."""

import os
import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.sandbox.local import LocalSandbox, open_local_sandbox
from opencodeinterpreter.tools.sandbox.protocol import Tier


class Check(BaseModel):
    """One thing that was tried."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    ok: bool
    detail: str


class Report(BaseModel):
    """What was tried, what held, and what that comes to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tier: Tier | None
    """The isolation that was proved; `None` where the sandbox refuses."""
    checks: tuple[Check, ...]
    refusal: str = ""
    """Cause and cure where it refuses."""


async def probe(interpreter: Path | None = None) -> Report:
    """Open a sandbox, let a throw-away run try to get out, and report."""
    system = Check(name="system", ok=sys.platform == "linux", detail=_system())
    try:
        async with open_local_sandbox(interpreter=interpreter, concurrency=1) as sandbox:
            return Report(tier="full", checks=(system, *_checks(sandbox)))
    except SandboxError as refusal:
        weaker = await _reduced_works(interpreter)
        return Report(tier=None, checks=(system,), refusal=f"{refusal}; {weaker}")


async def _reduced_works(interpreter: Path | None) -> str:
    try:
        async with open_local_sandbox(interpreter=interpreter, tier="reduced", concurrency=1):
            return "`reduced` was tried, and works here"
    except SandboxError as refusal:
        return f"`reduced` was tried, and does not work either: {refusal}"


def _checks(sandbox: LocalSandbox) -> tuple[Check, ...]:
    facts = sandbox.facts
    version = facts.landlock if facts else 0
    landlock = f"version {version}" if version else "not in this kernel; the other walls stand"
    return (
        Check(name="user", ok=True, detail=_user()),
        Check(name="landlock", ok=version > 0, detail=landlock),
        Check(name="interpreter", ok=True, detail=f"Python {facts.python if facts else '?'}"),
        *(Check(name=canary.name, ok=True, detail=canary.held) for canary in sandbox.proof),
    )


def _system() -> str:
    if sys.platform != "linux":
        return sys.platform
    this = os.uname()
    return f"Linux {this.release} on {this.machine}"


def _user() -> str:
    if os.geteuid() == 0:
        return "root; runs get a user id that owns nothing"
    return f"user {os.geteuid()}, through a user namespace"
