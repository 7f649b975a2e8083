"""What a call finds around it, carried between the tests' process and the candidate's as data.

Both sides have a work folder of their own. Before a call the tests' files, variables and current
folder are made known to the candidate, and after it the files that it wrote to the tests.
"""

import base64
import os
from collections.abc import Mapping
from typing import Any

MOST_BYTES = 4 << 20
"""Bytes of files that may change hands at once."""
_HIDDEN = frozenset({"solution.py", "__pycache__"})

Changes = dict[str, str | None]
"""Files by relative path: base64, or `None` for one that is gone."""


class TooLargeError(Exception):
    """More was written than may change hands."""


class Surroundings:
    """One side's work folder, environment and current folder."""

    def __init__(self) -> None:
        self._root = os.getcwd()  # noqa: PTH109 - a Path costs more than the call
        self._seen = self._look()
        self._environment = dict(os.environ)

    def _look(self) -> dict[str, tuple[int, int]]:
        """Return time and size of each file below the work folder."""
        found: dict[str, tuple[int, int]] = {}
        folders = [self._root]
        while folders:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.name in _HIDDEN:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        about = entry.stat(follow_symlinks=False)
                        found[entry.path] = (about.st_mtime_ns, about.st_size)
        return found

    def changes(self) -> Changes:
        """Return the files that changed since the last look; raises TooLargeError."""
        now = self._look()
        changed = [path for path, traits in now.items() if self._seen.get(path) != traits]
        if sum(now[path][1] for path in changed) > MOST_BYTES:
            raise TooLargeError(f"more than {MOST_BYTES >> 20} MiB of files were written at once")
        told: Changes = {}
        for path in changed:
            with open(path, "rb") as file:  # noqa: PTH123 - pathlib may be the candidate's by now
                told[self._relative(path)] = base64.b64encode(file.read()).decode()
        told.update({self._relative(path): None for path in self._seen if path not in now})
        self._seen = now
        return told

    def apply(self, changes: Mapping[str, Any]) -> None:
        """Make the other side's changes here, inside the work folder alone."""
        for name, content in changes.items():
            path = os.path.normpath(os.path.join(self._root, name))  # noqa: PTH118
            if not path.startswith(f"{self._root}{os.sep}"):
                continue
            if content is None:
                if os.path.lexists(path):
                    os.unlink(path)  # noqa: PTH108
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
            with open(path, "wb") as file:  # noqa: PTH123
                file.write(base64.b64decode(content))
        if changes:
            self._seen = self._look()

    def variables(self) -> dict[str, str | None]:
        """Return the environment variables that changed since they were last asked for."""
        now = dict(os.environ)
        before, self._environment = self._environment, now
        changed: dict[str, str | None] = {
            name: value for name, value in now.items() if before.get(name) != value
        }
        return changed | {name: None for name in before if name not in now}

    def current(self) -> str:
        """Return the current folder, relative to the work folder; empty outside of it."""
        here = os.getcwd()  # noqa: PTH109
        return self._relative(here) if here.startswith(self._root) else ""

    def enter(self, variables: Mapping[str, str | None], current: str) -> None:
        """Take over the other side's changed variables and its current folder."""
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        folder = os.path.normpath(os.path.join(self._root, current))  # noqa: PTH118
        if folder.startswith(self._root):
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
            os.chdir(folder)

    def _relative(self, path: str) -> str:
        return os.path.relpath(path, self._root)
