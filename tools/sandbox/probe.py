"""Try a sandbox on this machine, or on E2B, for `opencodeinterpreter doctor`."""

import asyncio
import os
import sys
from pathlib import Path

from opencodeinterpreter.tools.errors import InputError, SandboxError
from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.sandbox.local.cgroups import NoCgroupsError, open_cgroups
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox, open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from opencodeinterpreter.tools.sandbox.opening import open_sandbox
from opencodeinterpreter.tools.sandbox.protocol import Tier

_LIST_PACKAGES = """
import importlib.metadata
print(*sorted({each.name.lower() for each in importlib.metadata.distributions()}))
"""
_LISTED = 100_000
_SHOWN_PACKAGES = 12


class Check(Frozen):
    """The result of one check."""

    name: str
    ok: bool
    detail: str


class Report(Frozen):
    """The results of all checks of a sandbox."""

    tier: str | None
    """The isolation that was proved, or `e2b`; `None` if the sandbox cannot be opened."""
    checks: tuple[Check, ...]
    refusal: str = ""
    """Why the sandbox cannot be opened, and what to do; empty if it can."""


async def probe(interpreter: Path | None = None, tier: Tier = "full") -> Report:
    """Open a local sandbox of this tier, which proves its isolation, and report."""
    system = Check(name="system", ok=sys.platform == "linux", detail=_system())
    try:
        async with open_local_sandbox(
            LocalSandboxSettings(interpreter=interpreter, tier=tier, concurrency=1)
        ) as sandbox:
            packages = await _packages(sandbox, interpreter or Path(sys.executable))
            checks = (system, await _accounting(tier), *_checks(sandbox, tier), packages)
            return Report(tier=tier, checks=checks)
    except SandboxError as refusal:
        weaker = f"; {await _reduced_works(interpreter)}" if tier == "full" else ""
        return Report(tier=None, checks=(system,), refusal=f"{refusal}{weaker}")


async def probe_e2b() -> Report:
    """Run one line in a new E2B sandbox and report."""
    checks: list[Check] = []
    try:
        async with open_sandbox("e2b") as sandbox:
            checks.append(Check(name="account", ok=True, detail="E2B accepts the key"))
            ran = await sandbox.run_code("print(6 * 7)")
        if ran.logs.stdout != "42\n":
            raise SandboxError(f"E2B did not run the test program: {ran.status} {ran.reason}")
    except (InputError, SandboxError) as refusal:
        return Report(tier=None, checks=tuple(checks), refusal=str(refusal))
    detail = f"code ran in its own sandbox, {ran.seconds:.1f} s"
    checks.append(Check(name="run", ok=True, detail=detail))
    return Report(tier=sandbox.tier, checks=tuple(checks))


async def _reduced_works(interpreter: Path | None) -> str:
    try:
        async with open_local_sandbox(
            LocalSandboxSettings(interpreter=interpreter, tier="reduced", concurrency=1)
        ):
            return "the tier `reduced` works here"
    except SandboxError as refusal:
        return f"the tier `reduced` does not work either: {refusal}"


async def _accounting(tier: Tier) -> Check:
    """Return who counts what a run uses."""
    watched = "the host checks each process at intervals"
    if tier == "reduced":
        return Check(name="accounting", ok=True, detail=watched)
    try:
        cgroups = await asyncio.to_thread(open_cgroups)
    except NoCgroupsError as why:
        return Check(name="accounting", ok=True, detail=f"{watched}; no cgroups: {why}")
    await cgroups.close()
    exactly = "cgroup v2 counts all processes of a run in the profile proc"
    return Check(name="accounting", ok=True, detail=f"{exactly}; in pure, {watched}")


async def _packages(sandbox: LocalSandbox, interpreter: Path) -> Check:
    """Return which packages programs can import, and whether tests in Python can run."""
    ran = await sandbox.run_code(_LIST_PACKAGES, limits=SandboxLimits(output_bytes=_LISTED))
    names = ran.logs.stdout.split()
    tests = "" if "pytest" in names else "; tests in Python need pytest there"
    some = ", ".join(names[:_SHOWN_PACKAGES]) + (" ..." if len(names) > _SHOWN_PACKAGES else "")
    detail = f"{len(names)} beside {interpreter}: {some or 'none'}{tests}"
    return Check(name="packages", ok="pytest" in names, detail=detail)


def _checks(sandbox: LocalSandbox, tier: Tier) -> tuple[Check, ...]:
    facts = sandbox.facts
    version = facts.landlock if facts else 0
    landlock = f"version {version}" if version else "not in this kernel; the other layers hold"
    return (
        Check(name="user", ok=True, detail=_user(tier)),
        Check(name="landlock", ok=version > 0, detail=landlock),
        Check(name="interpreter", ok=True, detail=f"Python {facts.python if facts else '?'}"),
        *(Check(name=canary.name, ok=True, detail=canary.held) for canary in sandbox.proof),
    )


def _system() -> str:
    if sys.platform != "linux":
        return sys.platform
    this = os.uname()
    return f"Linux {this.release} on {this.machine}"


def _user(tier: Tier) -> str:
    if os.geteuid() == 0:
        return "root; runs get a user id that owns no files"
    if tier == "reduced":
        return f"user {os.geteuid()}; runs have the same user id"
    return f"user {os.geteuid()}; runs are in a user namespace"
