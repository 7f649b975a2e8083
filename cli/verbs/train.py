"""`train`: fine-tune a model on dialogues, or by runs of the loop."""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer
from pydantic import JsonValue, ValidationError

from opencodeinterpreter.cli.grouping import flattened
from opencodeinterpreter.cli.options import JsonOption, SandboxOption
from opencodeinterpreter.cli.progress import steps_progress
from opencodeinterpreter.graph.task_files import read_tasks
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.printable import printable
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX
from opencodeinterpreter.tools.validation import first_problem
from opencodeinterpreter.traces.training import grpo as rewarding
from opencodeinterpreter.traces.training import sft as training
from opencodeinterpreter.traces.training.folder import Folder, Header
from opencodeinterpreter.traces.training.grpo import Rollouts, check_tested
from opencodeinterpreter.traces.training.rows import of_stage, read_dialogues
from opencodeinterpreter.traces.training.running import load
from opencodeinterpreter.traces.training.settings import (
    GrpoSettings,
    Learned,
    SftSettings,
    check_installed,
)
from opencodeinterpreter.traces.training.sft import within

app = typer.Typer(rich_markup_mode=None, add_completion=False, no_args_is_help=True)


@app.callback()
def train() -> None:
    """Fine-tune a model on dialogues, or by runs of the loop."""


LoraOption = Annotated[
    int, typer.Option(metavar="RANK", min=0, help="Train LoRA of this rank; 0: all weights.")
]
SeedOption = Annotated[int, typer.Option(help="Of the order, and of what is drawn.")]
TrlOption = Annotated[
    list[str],
    typer.Option(
        metavar="NAME=VALUE",
        help="Another argument of TRL's configuration, as JSON. Can be given several times.",
    ),
]
BaseOption = Annotated[
    str,
    typer.Option("--model", "-m", help="The model to start from: a folder, or a name on the hub."),
]
OutOption = Annotated[
    Path, typer.Option(help="Folder of the training; a second start continues it.")
]
Chosen = TypeVar("Chosen", SftSettings, GrpoSettings)


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
    lora: LoraOption = 0
    epochs: Annotated[float, typer.Option(help="How often each dialogue is seen.")] = 3
    learning_rate: Annotated[float, typer.Option(help="The highest learning rate.")] = 2e-5
    warmup: Annotated[float, typer.Option(help="The share of steps in which it rises.")] = 0.05
    max_tokens: Annotated[int, typer.Option(help="Leave out longer dialogues.")] = 4096
    batch: Annotated[int, typer.Option(help="Dialogues at once, on each device.")] = 8
    accumulate: Annotated[int, typer.Option(help="How many batches make a step.")] = 1
    seed: SeedOption = 0
    trl: TrlOption = field(default_factory=list)

    def settings(self) -> SftSettings:
        """Return them as settings; raises InputError."""
        given = {**vars(self), "stage": int(self.stage), "trl": dict(map(_argument, self.trl))}
        return _checked(SftSettings, given)


def sft(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.jsonl",
            help="Dialogues, as `dialogues build` and Code-Feedback have them.",
        ),
    ],
    base: BaseOption,
    out: OutOption,
    options: SftOptions,
    as_json: JsonOption = False,
) -> None:
    """Train on dialogues what a model answers, with TRL (needs the extra train).

    The trained model is in the folder model, the curve of the loss in loss.svg.
    """
    settings, folder = options.settings(), Folder(out)
    found = of_stage(read_dialogues(data), settings.stage)
    check_installed()
    _begin(folder, base, data, settings)
    if not folder.points():
        loaded = load(base, settings.lora)
        fitting = within(found, loaded[1], settings.max_tokens)
        print(f"{len(fitting)} of {len(found)} dialogues fit; training {base}", file=sys.stderr)
        with steps_progress(folder.curve) as watch:
            training.sft(loaded, fitting, settings, folder, watch)
    _tell(folder, as_json)


@dataclass(frozen=True, kw_only=True)
class GrpoOptions:
    """How to train; the first defaults are small, and the learning rate is TRL's."""

    steps: Annotated[int, typer.Option(help="Steps of the training.")] = 100
    tasks: Annotated[int, typer.Option(help="Tasks in a step.")] = 8
    group: Annotated[int, typer.Option(help="Runs of each task in a step.")] = 8
    turns: Annotated[int, typer.Option(help="Turns of a run at most.")] = 2
    temperature: Annotated[float, typer.Option(help="Of the answers.")] = 1.0
    max_tokens: Annotated[int, typer.Option(help="Of an answer.")] = 1024
    learning_rate: Annotated[float, typer.Option(help="The highest learning rate.")] = 1e-6
    lora: LoraOption = 0
    batch: Annotated[int, typer.Option(help="Runs at once in a backward pass.")] = 8
    seed: SeedOption = 0
    trl: TrlOption = field(default_factory=list)

    def settings(self) -> GrpoSettings:
        """Return them as settings; raises InputError."""
        return _checked(GrpoSettings, {**vars(self), "trl": dict(map(_argument, self.trl))})


def grpo(
    data: Annotated[
        Path,
        typer.Argument(metavar="TASKS.jsonl", help="Tasks with tests, as `batch` takes them."),
    ],
    base: BaseOption,
    out: OutOption,
    options: GrpoOptions,
    sandbox: SandboxOption = DEFAULT_SANDBOX,
    as_json: JsonOption = False,
) -> None:
    """Reward runs of the loop that tests solve, with TRL's GRPO (needs the extra train).

    A run is a draft, its execution and repairs. Only the model's own tokens are learned.
    """
    settings, folder = options.settings(), Folder(out, "reward")
    tasks = read_tasks(data)
    check_tested(tasks)
    check_installed()
    _begin(folder, base, data, settings)
    if not folder.points():
        rollouts = Rollouts(tasks, settings, sandbox)
        loaded = load(base, settings.lora)
        with steps_progress(folder.curve) as watch:
            rewarding.grpo(loaded, rollouts, folder, watch)
    _tell(folder, as_json)


app.command()(flattened(sft))
app.command()(flattened(grpo))


def _begin(folder: Folder, base: str, data: Path, settings: SftSettings | GrpoSettings) -> None:
    sha256 = hashlib.sha256(data.read_bytes()).hexdigest()
    folder.begin(Header(base=base, data=sha256, settings=settings))


def _tell(folder: Folder, as_json: bool) -> None:
    points = folder.points()
    first, last = points[0], points[-1]
    if as_json:
        told = {"model": str(folder.model), "curve": [each.model_dump() for each in points]}
        print(json.dumps(told))
        return
    print(
        printable(
            f"{folder.curve} {first.value:.3f} at step {first.step}, {last.value:.3f} at step "
            f"{last.step}: {folder.picture}\nmodel: {folder.model}"
        )
    )


def _checked(kind: type[Chosen], given: Mapping[str, object]) -> Chosen:
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise InputError(f"{first_problem(error)}") from None


def _argument(text: str) -> tuple[str, JsonValue]:
    """Return the name and value of an argument of TRL; a value that is no JSON is a text."""
    name, mark, value = text.partition("=")
    if not name.isidentifier() or not mark:
        raise InputError(f"--trl {text}: write NAME=VALUE, as in weight_decay=0.01")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
