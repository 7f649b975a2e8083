"""Writing a file whole or not at all."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from opencodeinterpreter.tools.errors import InputError


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a crash; make its folder.

    The bytes go into a new file beside it, which then takes its name; a link that somebody put in
    the new file's place is refused. A file that is replaced keeps its mode. Raises InputError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.partial")
        try:
            _write_new(partial, content, like=path)
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def _write_new(path: Path, content: bytes, like: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    with os.fdopen(descriptor, "wb") as file:
        with suppress(FileNotFoundError):
            os.fchmod(descriptor, like.stat().st_mode & 0o777)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
