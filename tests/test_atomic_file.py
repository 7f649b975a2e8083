"""A file is written whole or not at all."""

from pathlib import Path

import pytest

from opencodeinterpreter.tools import atomic_file
from opencodeinterpreter.tools.atomic_file import write_atomically
from opencodeinterpreter.tools.errors import InputError


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(InputError, match="cannot write"):
        write_atomically(path / "below", b"x")


@pytest.mark.parametrize("there", ["a file", "a link", "a link to nothing"])
def test_a_planted_link_is_not_written_through(tmp_path: Path, there: str) -> None:
    """The name of the new file cannot be guessed, so the second step is tried alone."""
    target, new = tmp_path / "target", tmp_path / "new"
    if there != "a link to nothing":
        target.write_bytes(b"as it was")
    if there == "a file":
        new.write_bytes(b"as it was")
    else:
        new.symlink_to(target)
    with pytest.raises(FileExistsError):
        atomic_file._write_new(new, b"written", like=tmp_path / "like")
    assert there == "a link to nothing" or (target.read_bytes() == b"as it was")
    assert target.exists() == (there != "a link to nothing")
