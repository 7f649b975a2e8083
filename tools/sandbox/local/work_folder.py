"""Read a run's work folder from the host. Everything in it is hostile.

Links are not followed, only regular files are read, and no path leaves the folder. All functions
block: call them in a thread.
"""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import Artifact
from opencodeinterpreter.tools.sandbox.protocol import FileInfo
from opencodeinterpreter.tools.sandbox.shared.collecting import (
    FILE_BYTES,
    RUN_BYTES,
    RUN_FILES,
    Collecting,
    artifact,
)

_ENTRIES = 4096
"""Maximum number of entries that are read."""
_DEPTH = 64
"""Maximum number of folders within each other that are entered."""
_READ = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class _GoneError(InputError):
    """The path does not exist (any more)."""


class WorkFolder:
    """A work folder, by an open descriptor that the caller closes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def entries(self, path: str = ".") -> tuple[FileInfo, ...]:
        """Return the entries of `path`, sorted by name; raises InputError."""
        with self._opened(path, os.O_DIRECTORY) as descriptor:
            return tuple(_entries(descriptor, "" if path == "." else f"{path.rstrip('/')}/"))

    def walk(self) -> Iterator[FileInfo]:
        """Yield every readable entry down to a bounded depth, each folder before its content."""
        return self._walk(InputError)

    def _walk(self, passing: type[InputError]) -> Iterator[FileInfo]:
        waiting, seen = ["."], 0
        while waiting:
            try:
                found = self.entries(waiting.pop())
            except passing:
                continue
            for entry in found:
                seen += 1
                if seen > _ENTRIES:
                    return
                yield entry
                if entry.kind == "folder" and not _too_deep(entry):
                    waiting.append(entry.path)

    def read(self, path: str, most: int = -1) -> bytes:
        """Return the content of a regular file, at most `most` bytes of it; raises InputError."""
        with self._opened(path, 0) as descriptor:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InputError(f"{path}: not a regular file of the work folder; name one")
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(most)

    def used(self) -> int:
        """Return the total size of all files in bytes.

        Returns sys.maxsize, more than any limit, if there are too many files, or a folder that is
        unreadable or too deep to be walked in time.
        """
        total = 0
        try:
            for seen, entry in enumerate(self._walk(_GoneError), 1):
                if seen == _ENTRIES or (entry.kind == "folder" and _too_deep(entry)):
                    return sys.maxsize
                total += entry.size
        except InputError:
            return sys.maxsize
        return total

    def full(self) -> bool:
        """Return whether the folder's file system has no space or no inodes left."""
        room = os.fstatvfs(self._descriptor)
        return room.f_bavail == 0 or (room.f_files > 0 and room.f_favail == 0)

    def collect(self, collecting: Collecting) -> tuple[Artifact, ...]:
        """Return the files that are wanted, sorted by path, except those given and unchanged."""
        found: list[Artifact] = []
        room = RUN_BYTES
        for entry in sorted(self.walk(), key=lambda entry: entry.path):
            if entry.kind != "file" or not collecting.wants(entry.path):
                continue
            kept = entry.size <= min(FILE_BYTES, room)
            content = None
            if kept or collecting.resembles(entry.path, entry.size):
                with suppress(InputError):
                    content = self.read(entry.path, entry.size)
            if content is not None and collecting.was_given(entry.path, content):
                continue
            if kept and content is not None:
                room -= len(content)
                found.append(artifact(entry.path, content))
            else:
                found.append(Artifact(path=entry.path, size=entry.size))
            if len(found) == RUN_FILES:
                break
        return tuple(found)

    @contextmanager
    def _opened(self, path: str, flags: int) -> Iterator[int]:
        parts = [part for part in path.split("/") if part != "."]
        if ".." in parts or "" in parts or "\0" in path:
            raise InputError(f"{path!r}: name a path below the work folder, without `..`")
        descriptor = os.open(".", _READ | os.O_DIRECTORY, dir_fd=self._descriptor)
        try:
            for at, part in enumerate(parts):
                last = at == len(parts) - 1
                wanted = _READ | (flags if last else os.O_DIRECTORY)
                inner = os.open(part, wanted, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        except OSError as error:
            gone = isinstance(error, FileNotFoundError | NotADirectoryError)
            kind = _GoneError if gone else InputError
            raise kind(f"{path}: cannot be read in the work folder: {error}") from None
        finally:
            os.close(descriptor)


def _too_deep(entry: FileInfo) -> bool:
    return entry.path.count("/") >= _DEPTH


def _entries(descriptor: int, before: str) -> Iterator[FileInfo]:
    with os.scandir(descriptor) as listing:
        for entry in sorted(listing, key=lambda entry: entry.name)[:_ENTRIES]:
            # A name may be invalid UTF-8; it is then listed, but cannot be read.
            path = (before + entry.name).encode("utf-8", "replace").decode()
            if entry.is_dir(follow_symlinks=False):
                yield FileInfo(path=path, kind="folder")
            elif entry.is_file(follow_symlinks=False):
                size = os.stat(entry.name, dir_fd=descriptor, follow_symlinks=False).st_size
                yield FileInfo(path=path, kind="file", size=size)
            else:
                yield FileInfo(path=path, kind="other")
