"""`train`: fine-tune a model on dialogues."""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import JsonValue, ValidationError

from opencodeinterpreter.cli.grouping import flattened
from opencodeinterpreter.cli.options import JsonOption
from opencodeinterpreter.cli.progress import steps_progress
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.printable import printable
from opencodeinterpreter.tools.validation import first_problem
from opencodeinterpreter.traces.dialogues.reading import Messages
from opencodeinterpreter.traces.training import sft as training
from opencodeinterpreter.traces.training.folder import Folder, Header
from opencodeinterpreter.traces.training.rows import of_stage, read_dialogues
from opencodeinterpreter.traces.training.settings import Learned, SftSettings, check_installed

app = typer.Typer(rich_markup_mode=None, add_completion=False, no_args_is_help=True)


@app.callback()
def train() -> None:
    """Fine-tune a model on dialogues."""


@dataclass(frozen=True, kw_only=True)
class SftOptions:
    """How to train; the defaults are the paper's."""

    stage: Annotated[
        Literal["1", "2"],
        typer.Option(help="1: dialogues with one answer alone; 2: all dialogues."),
    ]
    loss: Annotated[Learned, typer.Option(help="Which of a dialogue's answers are learned.")] = (
        "all"
    )
    lora: Annotated[
        int, typer.Option(metavar="RANK", min=0, help="Train LoRA of this rank; 0: all weights.")
    ] = 0
    epochs: Annotated[float, typer.Option(help="How often each dialogue is seen.")] = 3
    learning_rate: Annotated[float, typer.Option(help="The highest learning rate.")] = 2e-5
    warmup: Annotated[float, typer.Option(help="The share of steps in which it rises.")] = 0.05
    max_tokens: Annotated[int, typer.Option(help="Leave out longer dialogues.")] = 4096
    batch: Annotated[int, typer.Option(help="Dialogues at once, on each device.")] = 8
    accumulate: Annotated[int, typer.Option(help="How many batches make a step.")] = 1
    seed: Annotated[int, typer.Option(help="Of the order of the dialogues.")] = 0
    trl: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=VALUE",
            help="Another argument of TRL's SFTConfig, its value as JSON. Can be given several "
            "times.",
        ),
    ] = field(default_factory=list)

    def settings(self) -> SftSettings:
        """Return them as settings; raises InputError."""
        given = {**vars(self), "stage": int(self.stage), "trl": dict(map(_argument, self.trl))}
        try:
            return SftSettings.model_validate(given)
        except ValidationError as error:
            raise InputError(f"{first_problem(error)}") from None


def sft(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.jsonl",
            help="Dialogues, as `dialogues build` and Code-Feedback have them.",
        ),
    ],
    base: Annotated[
        str,
        typer.Option(
            "--model", "-m", help="The model to start from: a folder, or a name on the hub."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the training; a second start continues it.")],
    options: SftOptions,
    as_json: JsonOption = False,
) -> None:
    """Train on dialogues what a model answers, with TRL (needs the extra train).

    The trained model is in the folder model, the curve of the loss in loss.svg.
    """
    settings, folder = options.settings(), Folder(out)
    found = of_stage(read_dialogues(data), settings.stage)
    check_installed()
    sha256 = hashlib.sha256(data.read_bytes()).hexdigest()
    folder.begin(Header(base=base, data=sha256, settings=settings))
    if not folder.losses():
        _train(base, found, settings, folder)
    _tell(folder, as_json)


app.command()(flattened(sft))


def _train(base: str, found: Sequence[Messages], settings: SftSettings, folder: Folder) -> None:
    loaded = training.load(base, settings)
    fitting = training.within(found, loaded[1], settings.max_tokens)
    print(f"{len(fitting)} of {len(found)} dialogues fit; training {base}", file=sys.stderr)
    with steps_progress() as watch:
        training.sft(loaded, fitting, settings, folder, watch)


def _tell(folder: Folder, as_json: bool) -> None:
    losses = folder.losses()
    first, last = losses[0], losses[-1]
    if as_json:
        told = {"model": str(folder.model), "losses": [each.model_dump() for each in losses]}
        print(json.dumps(told))
        return
    print(
        printable(
            f"loss {first.loss:.3f} at step {first.step}, {last.loss:.3f} at step {last.step}: "
            f"{folder.picture}\nmodel: {folder.model}"
        )
    )


def _argument(text: str) -> tuple[str, JsonValue]:
    """Return the name and value of an argument of TRL; a value that is no JSON is a text."""
    name, mark, value = text.partition("=")
    if not name.isidentifier() or not mark:
        raise InputError(f"--trl {text}: write NAME=VALUE, as in weight_decay=0.01")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
