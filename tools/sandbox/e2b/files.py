"""Read and write the files of a folder in an E2B sandbox."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import Artifact
from opencodeinterpreter.tools.sandbox.e2b.calls import E2BTransientError, Handle, ask
from opencodeinterpreter.tools.sandbox.protocol import FileInfo
from opencodeinterpreter.tools.sandbox.shared.collecting import (
    FILE_BYTES,
    RUN_BYTES,
    RUN_FILES,
    Collecting,
    artifact,
)

_FILE = 64 << 20
"""Maximum number of bytes of a file that is read by name."""
_DEPTH = 32


def checked(path: str) -> str:
    """Return the normalised path; raises InputError if it leaves the work folder."""
    plain = PurePosixPath(path)
    if plain.is_absolute() or ".." in plain.parts or "\0" in path:
        raise InputError(f"{path!r} is outside the work folder: name a path inside it")
    return str(plain)


@dataclass(frozen=True)
class RemoteFolder:
    """A folder, the user who reads and writes there, and the time limit of each call."""

    handle: Handle
    path: str
    """Absolute, or relative to the user's home."""
    user: str | None
    """`None`: the sandbox's default user."""
    seconds: float

    async def read(self, path: str) -> bytes:
        """Return a file's content; raises InputError if it does not exist or is too large."""
        data = await self._read(f"{self.path}/{checked(path)}", _FILE)
        if data is None:
            raise InputError(
                f"{path!r} is larger than {_FILE >> 20} MiB, the most that can be read"
            )
        return data

    async def write(self, path: str, data: str | bytes) -> None:
        """Write a file and create its parent folders."""
        at = f"{self.path}/{checked(path)}"
        raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        call = self.handle.files.write(at, raw, user=self.user)
        await ask("write a file", call, self.seconds)

    async def listed(self, path: str) -> tuple[FileInfo, ...]:
        """Return a folder's entries, sorted by name; raises InputError if it does not exist."""
        found = await self._entries(f"{self.path}/{checked(path)}", 1)
        return tuple(
            FileInfo(
                path=self._relative(entry),
                kind=_kind(entry),
                size=entry.size if _kind(entry) == "file" else 0,
            )
            for entry in found
        )

    async def collected(self, collecting: Collecting) -> tuple[Artifact, ...]:
        """Return the files that are wanted, sorted by path, except those given and unchanged."""
        room = RUN_BYTES
        found = []
        for entry in await self._entries(self.path, _DEPTH):
            path = self._relative(entry)
            if not collecting.wants(path) or _kind(entry) != "file":
                continue
            most = min(FILE_BYTES, room)
            data = None
            if entry.size <= most or collecting.resembles(path, entry.size):
                data = await self._read(entry.path, max(most, entry.size))
            if data is not None and collecting.was_given(path, data):
                continue
            if data is not None and len(data) <= most:
                room -= len(data)
                found.append(artifact(path, data))
            else:
                found.append(Artifact(path=path, size=entry.size))
            if len(found) == RUN_FILES:
                break
        return tuple(found)

    async def _entries(self, path: str, depth: int) -> list[Any]:
        call = self.handle.files.list(path, depth=depth, user=self.user)
        try:
            found = await ask("list files", call, self.seconds)
        except E2BTransientError as error:
            raise _missing(path, error) from error
        return sorted(found, key=lambda entry: str(entry.path))

    async def _read(self, path: str, most: int) -> bytes | None:
        """Return a file's content, or `None` if it has more than `most` bytes."""
        try:
            return await ask("read a file", self._stream(path, most), self.seconds)
        except E2BTransientError as error:
            raise _missing(path, error) from error

    async def _stream(self, path: str, most: int) -> bytes | None:
        # Read in pieces: a special file may never end.
        data = bytearray()
        async with await self.handle.files.read(path, format="stream", user=self.user) as pieces:
            async for piece in pieces:
                data += piece
                if len(data) > most:
                    return None
        return bytes(data)

    def _relative(self, entry: Any) -> str:
        return str(entry.path).partition(f"{self.path}/")[2]


def _missing(path: str, error: E2BTransientError) -> Exception:
    """Return the error to raise: a missing file is not a failure of the sandbox."""
    from e2b import FileNotFoundException

    if isinstance(error.__cause__, FileNotFoundException):
        return InputError(f"{path!r} does not exist in the sandbox")
    return error


def _kind(entry: Any) -> Literal["file", "folder", "other"]:
    from e2b import FileType

    if entry.type == FileType.FILE:
        return "file"
    return "folder" if entry.type == FileType.DIR else "other"
