"""How a sandbox is built: the plan that the host passes to its zygote."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

LAYERS = ("mount", "pid", "net", "user", "setsid", "capabilities", "landlock", "seccomp")
"""The layers of the `full` tier. Tests leave some out to show what each one contains."""
_REDUCED = ("setsid", "capabilities", "landlock", "seccomp")

PRELOADS: Mapping[str, tuple[str, ...]] = {
    "std": (),
    "numpy": ("numpy",),
    "data": ("numpy", "pandas", "matplotlib.pyplot"),
}
"""Named sets of modules that the zygote imports before the first run."""


@dataclass(frozen=True)
class Build:
    """The plan of one zygote."""

    tier: str = "full"
    profile: str = "pure"
    preload: tuple[str, ...] = ()
    """Modules, besides the standard ones, that every run finds imported."""
    modules: tuple[tuple[str, str], ...] = ()
    """Name and file of each module of this package that every run finds loaded."""
    runs: int = 1
    """Maximum number of children at once."""
    without: tuple[str, ...] = ()
    """Layers that are left out; always empty outside tests."""
    folder: str = ""
    """A private host folder for work folders; empty if the mount layer is on."""

    @cached_property
    def layers(self) -> frozenset[str]:
        """The active layers."""
        standing = _REDUCED if self.tier == "reduced" else LAYERS
        return frozenset(standing) - frozenset(self.without)

    @property
    def named(self) -> str:
        """The tier as results report it, with the layers that are missing."""
        return f"{self.tier} without {', '.join(self.without)}" if self.without else self.tier

    def to_json(self) -> str:
        """Return the plan as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Build":
        """Return the plan that `to_json` wrote."""
        told: dict[str, Any] = json.loads(text)
        for name in ("preload", "without"):
            told[name] = tuple(told[name])
        told["modules"] = tuple((name, path) for name, path in told["modules"])
        return cls(**told)
