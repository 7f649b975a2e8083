"""What a sandbox is built of: the plan that the host hands to its zygote.

Only the standard library is imported here: the zygote may be an interpreter without our packages.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

LAYERS = ("mount", "pid", "net", "user", "setsid", "capabilities", "landlock", "seccomp")
"""The walls of the `full` tier, each of which can be left out where a test shows what it holds."""
_REDUCED = ("setsid", "capabilities", "landlock", "seccomp")

PRELOADS: Mapping[str, tuple[str, ...]] = {
    "std": (),
    "numpy": ("numpy",),
    "data": ("numpy", "pandas", "matplotlib.pyplot"),
}
"""The named sets of modules that are imported once, before the first run."""


@dataclass(frozen=True)
class Build:
    """One kind of zygote."""

    tier: str = "full"
    profile: str = "pure"
    preload: tuple[str, ...] = ()
    """Modules beside the standard library's that every run finds imported."""
    modules: tuple[tuple[str, str], ...] = ()
    """Name and file of modules of ours that every run finds loaded."""
    runs: int = 1
    """How many children may live at once."""
    without: tuple[str, ...] = ()
    """Layers that are left out; never anything but empty outside of the tests."""
    folder: str = ""
    """A private folder of the host for work folders; empty where mounts hide the host's files."""

    @cached_property
    def layers(self) -> frozenset[str]:
        """The walls that stand."""
        standing = _REDUCED if self.tier == "reduced" else LAYERS
        return frozenset(standing) - frozenset(self.without)

    @property
    def named(self) -> str:
        """The tier as results tell it, which says what is missing from it."""
        return f"{self.tier} without {', '.join(self.without)}" if self.without else self.tier

    def to_json(self) -> str:
        """Return the plan as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Build":
        """Return the plan that `to_json` wrote."""
        told: dict[str, Any] = json.loads(text)
        for name in ("preload", "without"):
            told[name] = tuple(told[name])
        told["modules"] = tuple((name, path) for name, path in told["modules"])
        return cls(**told)
