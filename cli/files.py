"""Files that options name: reading text, writing a file or a folder whole or not at all."""

import errno
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from opencodeinterpreter.tools.atomic_file import write_atomically
from opencodeinterpreter.tools.errors import InputError

Files = Mapping[str, str | bytes]
STDOUT = Path("-")
"""What names standard output where a file is to be written."""


def is_text(argument: str) -> bool:
    """Return whether a command-line argument was valid UTF-8; a store holds nothing else."""
    return argument.encode("utf-8", "replace").decode() == argument


def read_text(path: Path, what: str) -> str:
    """Return a file's text; raises InputError, which calls the file a `what` file."""
    try:
        return path.read_text("utf-8-sig")  # Some editors begin a file with a byte order mark.
    except OSError as error:
        raise InputError(f"cannot read {what} file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{what} file {path} is not UTF-8 text") from error


def read_code(path: Path, what: str) -> str:
    """Return a file's text as `read_text` does; raises InputError for an empty file too."""
    text = read_text(path, what)
    if not text.strip():
        raise InputError(f"{what} file {path} is empty")
    return text


CODE_NAME = "solution.py"
"""The name of a program's own file in a folder."""


def names_folder(output: str) -> bool:
    """Return whether `--output` names a folder: there is one, or the name ends in a slash."""
    return output.endswith("/") or Path(output).is_dir()


def check_output(output: str | None) -> None:
    """Raise InputError if `output` cannot be written; called before anything runs."""
    if output is not None and names_folder(output):
        _check_folder(Path(output))
    else:
        check_file(None if output is None else Path(output))


def check_file(path: Path | None) -> None:
    """Raise InputError if the file at `path` cannot be written; called before anything runs."""
    if path is None or path == STDOUT:
        return
    if path.is_dir() or not path.name:
        raise InputError(f"cannot write {path}: it is a folder")
    _check_link(path)
    _check_access(path, path if _is_special(path) else path.parent)


def write_output(output: str, code: str, files: Files) -> None:
    """Write a program to the file that `output` names, or with its files into that folder.

    Raises InputError if that fails.
    """
    if names_folder(output):
        write_folder(Path(output), {**files, CODE_NAME: code})
    else:
        write_text(Path(output), code)


def write_folder(folder: Path, files: Files) -> None:
    """Write files by their relative paths into a new or empty folder, all of them or none.

    The paths come from a model or a stranger's trace. Raises InputError for one that leaves the
    folder, and if the folder is not empty.
    """
    _check_folder(folder)
    for name in files:
        if not is_safe(name):
            raise InputError(
                f"the file {name!r} of the program is not written: its path is not safe"
            )
    written: list[Path] = []
    try:
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                written.append(path)
                file.write(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        for path in written:
            with suppress(OSError):
                path.unlink()
        raise InputError(f"cannot write into {folder}: {error.strerror}") from error


def _check_folder(folder: Path) -> None:
    if folder.is_symlink() or folder.exists():
        if not folder.is_dir():
            raise InputError(f"cannot write into {folder}: it is not a folder")
        _check_access(folder, folder)
        if any(folder.iterdir()):
            raise InputError(
                f"cannot write into {folder}: it is not empty, and nothing is overwritten; "
                "name a new folder"
            )
    else:
        _check_access(folder, folder.parent)


def _check_access(path: Path, place: Path) -> None:
    if place != path and not place.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {place}")
    if not os.access(place, os.W_OK):
        raise InputError(f"cannot write {path}: {os.strerror(errno.EACCES)} in {place}")


def is_safe(name: str) -> bool:
    """Return whether a relative path that a stranger chose stays in its folder on any system."""
    path = PurePosixPath(name)
    wrong = path.is_absolute() or not path.parts or {"..", "~"} & set(path.parts)
    return not wrong and name.isprintable() and "\\" not in name and ":" not in name


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all; a device, a pipe or `-` (stdout) is written directly.

    Raises InputError if that fails.
    """
    if path == STDOUT:
        sys.stdout.write(text)
        return
    try:
        if _is_special(path):
            path.write_text(text, "utf-8")
        else:
            _check_link(path)
            write_atomically(path.resolve(), text.encode())
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def _check_link(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise InputError(f"cannot write {path}: it is a link to a file that does not exist")


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()
