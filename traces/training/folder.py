"""The folder of a training.

training.json    what is trained and how; a second start goes on only with the same
checkpoints/     the newest state, from which a second start goes on
model/           the trained model with its tokenizer, whole
loss.json        the loss by step
loss.svg         the same as a picture
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from opencodeinterpreter.tools.atomic_file import write_atomically
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.validation import first_problem
from opencodeinterpreter.traces.training.settings import SftSettings


class Header(Frozen):
    """What is trained and how."""

    format: str = "opencodeinterpreter training"
    base: str
    """The model that training starts from: a folder, or a name on the Hugging Face hub."""
    data: str
    """The sha256 of the dialogues, in hex."""
    settings: SftSettings


class Loss(Frozen):
    """The mean loss of the steps up to one."""

    step: int
    loss: float


_losses = TypeAdapter(tuple[Loss, ...])


@dataclass(frozen=True)
class Folder:
    """A training's folder."""

    path: Path

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
        """The loss by step, as a picture."""
        return self.path / "loss.svg"

    @property
    def started(self) -> bool:
        """Whether there is a state to go on from."""
        return any(self.checkpoints.glob("checkpoint-*"))

    def begin(self, asked: Header) -> None:
        """Note what is trained; raises InputError if it is not what was begun here."""
        path = self.path / "training.json"
        if path.exists():
            _check_same(self.path, _held(path), asked)
        write_atomically(path, f"{asked.model_dump_json(indent=1)}\n".encode())

    def losses(self) -> tuple[Loss, ...]:
        """Return the loss by step of a training that has ended; empty before."""
        path = self.path / "loss.json"
        return _losses.validate_json(path.read_bytes()) if path.exists() else ()

    def keep_losses(self, losses: tuple[Loss, ...]) -> None:
        """Write the loss by step: with it a training has ended."""
        write_atomically(self.path / "loss.json", _losses.dump_json(losses))


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
        if value != now[name]:
            raise InputError(
                f"{where} was begun with {name} {value!r}, not {now[name]!r}; "
                "name another folder with --out"
            )
