"""The folder of a training.

training.json    what is trained and how; a second start goes on only with the same
checkpoints/     the newest state, from which a second start goes on
model/           the trained model with its tokenizer, whole
loss.json        the loss by step, of grpo reward.json
loss.svg         the same as a picture
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, TypeAdapter, ValidationError

from opencodeinterpreter.tools.atomic_file import write_atomically
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.validation import first_problem
from opencodeinterpreter.traces.training.settings import GrpoSettings, SftSettings


class Header(Frozen):
    """What is trained and how."""

    format: str = "opencodeinterpreter training"
    base: str
    """The model that training starts from: a folder, or a name on the Hugging Face hub."""
    data: str
    """The sha256 of the dialogues, in hex."""
    settings: SftSettings | GrpoSettings = Field(discriminator="kind")


class Point(Frozen):
    """A point of the curve: the mean over some steps up to this one."""

    step: int
    value: float


_points = TypeAdapter(tuple[Point, ...])


@dataclass(frozen=True)
class Folder:
    """A training's folder."""

    path: Path
    curve: Literal["loss", "reward"] = "loss"
    """What is drawn."""

    @property
    def checkpoints(self) -> Path:
        """Where the newest state is kept."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """Where the trained model goes."""
        return self.path / "model"

    @property
    def picture(self) -> Path:
        """The curve by step."""
        return self.path / f"{self.curve}.svg"

    @property
    def checkpoint(self) -> str | None:
        """The newest whole state; one that was being written when the process ended is not."""
        found = self.checkpoints.glob("checkpoint-*")
        newest = sorted(found, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
        return next((str(path) for path in newest if _is_whole(path)), None)

    def begin(self, asked: Header) -> None:
        """Note what is trained; raises InputError if it is not what was begun here."""
        path = self.path / "training.json"
        if path.exists():
            _check_same(self.path, _held(path), asked)
        write_atomically(path, f"{asked.model_dump_json(indent=1)}\n".encode())

    def points(self) -> tuple[Point, ...]:
        """Return the curve of a training that has ended; empty before."""
        path = self._points
        return _points.validate_json(path.read_bytes()) if path.exists() else ()

    def keep_points(self, points: tuple[Point, ...]) -> None:
        """Write the curve: with it a training has ended."""
        write_atomically(self._points, _points.dump_json(points))

    @property
    def _points(self) -> Path:
        return self.path / f"{self.curve}.json"


def _is_whole(checkpoint: Path) -> bool:
    """Return whether a state has its last file, `trainer_state.json`, whole."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_bytes())
    except (OSError, ValueError):
        return False
    return True


def _held(path: Path) -> Header:
    try:
        return Header.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error)}") from None


def _check_same(where: Path, held: Header, asked: Header) -> None:
    before, now = (
        {**each.model_dump(exclude={"settings"}), **each.settings.model_dump()}
        for each in (held, asked)
    )
    for name, value in before.items():
        if value != now.get(name):
            raise InputError(
                f"{where} was begun with {name} {value!r}, not {now.get(name)!r}; "
                "name another folder with --out"
            )
