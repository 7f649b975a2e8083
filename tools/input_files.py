"""Files that a task brings: text, or bytes in base64, by their path in the work folder."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, field_validator

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.frozen import Frozen

MOST_BYTES = 16 << 20
"""Most bytes of all files of a task."""
_MOST_FILES = 256
_OWN = "solution.py"


class Binary(Frozen):
    """The content of a file that is not UTF-8 text."""

    base64: str

    @field_validator("base64")
    @classmethod
    def _decodable(cls, text: str) -> str:
        try:
            base64.b64decode(text, validate=True)
        except ValueError as error:
            raise InputError(f"the `base64` of a file cannot be decoded: {error}") from None
        return text


Content = str | Binary
"""The content of a file as a record holds it."""


def plain(files: Mapping[str, Content]) -> dict[str, str | bytes]:
    """Return files as a sandbox takes them."""
    return {
        path: content if isinstance(content, str) else base64.b64decode(content.base64)
        for path, content in files.items()
    }


def size_of(content: Content) -> int:
    """Return the bytes of a file."""
    if isinstance(content, str):
        return len(content.encode("utf-8", "surrogateescape"))
    return len(content.base64) * 3 // 4 - content.base64.count("=", -2)


def _bounded(files: Mapping[str, Content]) -> Mapping[str, Content]:
    for path in files:
        _check_path(path)
    total = sum(map(size_of, files.values()))
    if total > MOST_BYTES or len(files) > _MOST_FILES:
        raise InputError(
            f"{len(files)} files with {total:,} bytes; a task may bring {_MOST_FILES} files with "
            f"{MOST_BYTES >> 20} MiB"
        )
    return files


def _check_path(path: str) -> None:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or not path.isprintable():
        raise InputError(f"{path!r} is not a path below the work folder")
    if path == _OWN:
        raise InputError(f"{_OWN} is the program's own name; name the file otherwise")


InputFiles = Annotated[Mapping[str, Content], AfterValidator(_bounded)]
"""Files by their relative paths, within bounds."""


def read_files(paths: Sequence[Path]) -> dict[str, Any]:
    """Return files by their names, as JSON holds them; raises InputError.

    A folder's path is left out: all files lie side by side.
    """
    found: dict[str, Any] = {}
    for path in paths:
        if path.name in found:
            raise InputError(f"{path}: another file has the name {path.name} too; rename one")
        found[path.name] = _read(path)
    return found


def _read(path: Path) -> Any:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path}: files may have at most {MOST_BYTES >> 20} MiB")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
