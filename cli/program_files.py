"""The files of a run's newest program: those that came with it, and those that it wrote."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from opencodeinterpreter.cli.files import CODE_NAME, is_safe
from opencodeinterpreter.nodes.records import Record


@dataclass(frozen=True)
class ProgramFiles:
    """Files by their relative paths, beside the program's own."""

    files: dict[str, str | bytes]
    left_out: tuple[str, ...]
    """One line for each file that the program wrote and that cannot be written here."""


def program_files(record: Record) -> ProgramFiles:
    """Return the files of the newest program; raises InputError for an artifact that was changed.

    A file that the program wrote never replaces one that came with it.
    """
    files: dict[str, str | bytes] = dict(record.final.files) if record.final else {}
    taken = {CODE_NAME, *files}
    left_out: list[str] = []
    for artifact in record.written:
        content = record.artifact(artifact.sha256) if artifact.sha256 else None
        if content is None:
            left_out.append(f"{artifact.path}: {artifact.size:,} bytes were too many to be kept")
        elif not is_safe(artifact.path):
            left_out.append(f"{artifact.path}: its path is not safe")
        elif _clashes(artifact.path, taken):
            left_out.append(f"{artifact.path}: a file of the program has this path")
        else:
            files[artifact.path] = content
    return ProgramFiles(files, tuple(left_out))


def _clashes(path: str, taken: set[str]) -> bool:
    """Return whether a path is taken, or lies below one, or above one."""
    own = {path, *map(str, PurePosixPath(path).parents)}
    return bool(own & taken) or any(path in map(str, PurePosixPath(at).parents) for at in taken)
