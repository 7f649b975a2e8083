"""Settings of the local sandbox."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import get_args

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.sandbox.inside.build import PRELOADS
from opencodeinterpreter.tools.sandbox.protocol import Profile, Tier


@dataclass(frozen=True, kw_only=True)
class LocalSandboxSettings:
    """How the local sandbox isolates, what runs find in it, and how many there may be.

    Raises InputError for an unknown or impossible combination.
    """

    interpreter: Path | None = None
    """A Python 3.11 or newer, or that of a venv, whose packages runs can import.

    `None`: the interpreter of this process.
    """
    limits: SandboxLimits = field(default_factory=SandboxLimits)
    """Limits of runs and contexts that name none."""
    concurrency: int | None = None
    """Most runs at once. `None`: one per processor."""
    tier: Tier = "full"
    """The isolation. There is no fallback to the weaker `reduced`, which has only `pure`."""
    profile: Profile = "pure"
    """Whether runs may start processes; see `Profile`."""
    preload: str | Sequence[str] = "std"
    """Modules that every run finds imported, or a set of them: `std`, `numpy` or `data`."""
    ready: int | None = None
    """Children forked ahead of runs. `None`: as many as runs at once."""
    contexts: int = 64
    """Most contexts that keep a process.

    Beyond that, the context idle longest loses its state; its next result says so.
    """
    modules: Sequence[ModuleType] = ()
    """Modules of this package that every run finds loaded.

    Each may import the standard library and those before it.
    """

    def __post_init__(self) -> None:
        tiers, profiles = get_args(Tier), get_args(Profile)
        if self.tier not in tiers or self.profile not in profiles:
            raise InputError(
                f"tier {self.tier!r} and profile {self.profile!r}: the tiers are "
                f"{', '.join(tiers)}, and the profiles {', '.join(profiles)}"
            )
        if self.tier == "reduced" and self.profile != "pure":
            raise InputError(
                f"profile {self.profile}: the reduced tier has only the profile `pure`; name that"
            )
        if isinstance(self.preload, str) and self.preload not in PRELOADS:
            known = ", ".join(PRELOADS)
            raise InputError(f"preload {self.preload!r}: not a set ({known}); list modules instead")

    @property
    def preloaded(self) -> tuple[str, ...]:
        """Names of the modules to import before the first run."""
        return PRELOADS[self.preload] if isinstance(self.preload, str) else tuple(self.preload)
