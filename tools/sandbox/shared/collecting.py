"""Which files of a work folder a run returns, and how much of them."""

import base64
import hashlib
from fnmatch import fnmatchcase
from typing import NamedTuple

from opencodeinterpreter.tools.execution import Artifact
from opencodeinterpreter.tools.sandbox.shared.request import Files

FILE_BYTES = 2 << 20
RUN_BYTES = 4 << 20
"""Most bytes of one collected file, and of all that one run returns."""
RUN_FILES = 64
_LONGEST_PATH = 512
"""Most files that one run returns, and characters of a path."""


class Collecting(NamedTuple):
    """The patterns of the files to return, and the files that the run was given."""

    patterns: tuple[str, ...]
    """`*` also matches `/`."""
    given: Files

    def wants(self, path: str) -> bool:
        """Whether a pattern matches `path`, which is not too long, hidden or in a cache."""
        parts = path.split("/")
        hidden = "__pycache__" in parts or any(part.startswith(".") for part in parts)
        if hidden or len(path) > _LONGEST_PATH:
            return False
        return any(fnmatchcase(path, pattern) for pattern in self.patterns)

    def resembles(self, path: str, size: int) -> bool:
        """Whether the run was given a file of this path and size."""
        return path in self.given and len(self._bytes(path)) == size

    def was_given(self, path: str, content: bytes) -> bool:
        """Whether the run was given this very file, which is then not returned."""
        return path in self.given and self._bytes(path) == content

    def _bytes(self, path: str) -> bytes:
        given = self.given[path]
        return given if isinstance(given, bytes) else given.encode("utf-8", "surrogateescape")


def artifact(path: str, content: bytes) -> Artifact:
    """Return a collected file with its content."""
    return Artifact(
        path=path,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        content=base64.b64encode(content).decode(),
    )
