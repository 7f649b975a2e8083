"""The surroundings of a call, carried as data between the tests' and the candidate's process.

Each side has its own work folder. Before a call the candidate gets the tests' files, environment
variables and current folder; after it the tests get the files that the candidate wrote.
"""

import base64
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

MOST_BYTES = 4 << 20
"""The most bytes of files that may be transferred at once."""
TEMPORARY = ".tmp"
"""The folder for the tests' `tempfile`; it crosses with what is in it."""
_HIDDEN = frozenset({"solution.py", "__pycache__"})

Changes = dict[str, str | None]
"""Files by relative path: base64, or `None` for a removed one. Folders end with a slash."""


class TooLargeError(Exception):
    """More was written than may be transferred at once."""


class Surroundings:
    """One side's work folder, environment and current folder."""

    def __init__(self) -> None:
        self._root = os.getcwd()  # noqa: PTH109 - a Path costs more than the call
        self._seen = self._look()
        self._given = frozenset(self._seen)
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
                        if entry.name != TEMPORARY:
                            found[f"{entry.path}{os.sep}"] = (0, 0)
                    elif entry.is_file(follow_symlinks=False):
                        about = entry.stat(follow_symlinks=False)
                        found[entry.path] = (about.st_mtime_ns, about.st_size)
        return found

    def changes(self) -> Changes:
        """Return the files that changed since the last call; raises TooLargeError."""
        now = self._look()
        changed = [path for path, traits in now.items() if self._seen.get(path) != traits]
        if sum(now[path][1] for path in changed) > MOST_BYTES:
            raise TooLargeError(f"more than {MOST_BYTES >> 20} MiB of files were written at once")
        told: Changes = {}
        for path in changed:
            if path.endswith(os.sep):
                told[f"{self._relative(path)}{os.sep}"] = ""
                continue
            with open(path, "rb") as file:  # noqa: PTH123 - pathlib may be the candidate's by now
                told[self._relative(path)] = base64.b64encode(file.read()).decode()
        for path in sorted(self._seen.keys() - now.keys(), reverse=True):
            told[self._relative(path) + (os.sep if path.endswith(os.sep) else "")] = None
        self._seen = now
        return told

    def take(self, changes: Mapping[str, Any]) -> None:
        """Apply the candidate's changes; raises ValueError for the tests' own files.

        The tests read, import and run the files that were there from the beginning.
        """
        for name in changes:
            path = self._path(name)
            if path in self._given or not _HIDDEN.isdisjoint(Path(path).parts):
                raise ValueError(f"the program changed {self._relative(path)}, a file of the tests")
        self.apply(changes)

    def runs(self, path: str) -> bool:
        """Return whether the tests may run a file: not if it was added to the work folder later."""
        real = os.path.realpath(path)
        return not real.startswith(f"{self._root}{os.sep}") or self.is_given(real)

    def is_given(self, path: str) -> bool:
        """Return whether a file was there from the beginning."""
        return path in self._given

    def _path(self, name: str) -> str:
        return os.path.normpath(os.path.join(self._root, name))  # noqa: PTH118

    def apply(self, changes: Mapping[str, Any]) -> None:
        """Apply the other side's changes, inside the work folder only."""
        for name, content in changes.items():
            path = self._path(name)
            if not path.startswith(f"{self._root}{os.sep}"):
                continue
            if name.endswith(os.sep):
                self._apply_folder(path, content is not None)
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

    def _apply_folder(self, path: str, exists: bool) -> None:
        if exists:
            os.makedirs(path, exist_ok=True)  # noqa: PTH103
        elif os.path.isdir(path):  # noqa: PTH112
            with suppress(OSError):
                os.rmdir(path)  # noqa: PTH106

    def variables(self) -> dict[str, str | None]:
        """Return the environment variables that changed since the last call."""
        now = dict(os.environ)
        before, self._environment = self._environment, now
        changed: dict[str, str | None] = {
            name: value for name, value in now.items() if before.get(name) != value
        }
        return changed | {name: None for name in before if name not in now}

    def current(self) -> str:
        """Return the current folder relative to the work folder; empty outside it."""
        here = os.getcwd()  # noqa: PTH109
        return self._relative(here) if here.startswith(self._root) else ""

    def enter(self, variables: Mapping[str, str | None], current: str) -> None:
        """Apply the other side's changed variables and its current folder."""
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
