"""Read a run's work folder from the host. Everything in it is hostile.

Links are not followed, only regular files are read, and no path leaves the folder. All functions
block: call them in a thread.
"""

import base64
import fnmatch
import hashlib
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import Artifact
from opencodeinterpreter.tools.sandbox.protocol import FileInfo

_ENTRIES = 4096
_FILE = 2 << 20
_TOTAL = 4 << 20
"""Maximum number of entries that are read, and bytes of one artifact and of all."""
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
        """Yield every readable entry, each folder before its content."""
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
                if entry.kind == "folder":
                    waiting.append(entry.path)

    def read(self, path: str) -> bytes:
        """Return the content of a regular file; raises InputError."""
        with self._opened(path, 0) as descriptor:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InputError(f"{path}: not a regular file of the work folder; name one")
            with open(descriptor, "rb", closefd=False) as file:
                return file.read()

    def used(self) -> int:
        """Return the total size of all files in bytes.

        Returns sys.maxsize, more than any limit, if there are too many files or an unreadable
        folder.
        """
        try:
            sizes = [entry.size for entry in self._walk(_GoneError)]
        except InputError:
            return sys.maxsize
        return sum(sizes) if len(sizes) < _ENTRIES else sys.maxsize

    def full(self) -> bool:
        """Return whether the folder's file system has no space or no inodes left."""
        room = os.fstatvfs(self._descriptor)
        return room.f_bavail == 0 or (room.f_files > 0 and room.f_favail == 0)

    def collect(self, patterns: Sequence[str]) -> tuple[Artifact, ...]:
        """Return the files whose path matches one of `patterns`, in which `*` also matches `/`."""
        found: list[Artifact] = []
        room = _TOTAL
        for entry in sorted(self.walk(), key=lambda entry: entry.path):
            if entry.kind != "file" or not any(
                fnmatch.fnmatchcase(entry.path, pattern) for pattern in patterns
            ):
                continue
            artifact = Artifact(path=entry.path, size=entry.size)
            if entry.size <= min(_FILE, room):
                with suppress(InputError):
                    artifact = _artifact(entry.path, self.read(entry.path)[:_FILE])
                room -= artifact.size
            found.append(artifact)
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


def _artifact(path: str, content: bytes) -> Artifact:
    return Artifact(
        path=path,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        content=base64.b64encode(content).decode(),
    )
