"""The recipe: what is learned in which order, and how much of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from learn.language import Kind
from learn.pupil import Size
from opencodeinterpreter.traces.training.settings import SftSettings

_TRL = {
    "adam_beta2": 0.98,
    "weight_decay": 0.01,
    "train_sampling_strategy": "group_by_length",
    "gradient_checkpointing": False,
    "save_steps": 500,
    "logging_steps": 25,
}


def _settings(stage: int, learning_rate: float, epochs: float = 1) -> SftSettings:
    return SftSettings.model_validate(
        {
            "stage": stage,
            "loss": "last",
            "learning_rate": learning_rate,
            "epochs": epochs,
            "batch": 8,
            "max_tokens": 512,
            "trl": _TRL,
        }
    )


_OPEN = (0.15, 0.66, 0.19)


@dataclass(frozen=True)
class Round:
    """A round of stage 2: runs of the pupil of that time, and what is learned from them."""

    runs: int
    settings: SftSettings


@dataclass(frozen=True)
class Recipe:
    """How a pupil is made and measured."""

    size: Size
    train: Kind
    open: Kind
    """The tasks of stage 2's runs, which the usual readings mostly fail."""
    test: Kind
    single: int
    """How many instructions stage 1 has."""
    first: SftSettings
    rounds: tuple[Round, ...]
    arms: Mapping[str, float]
    """The shares of the kinds of feedback in the runs."""
    measured: int
    """How many tasks the pupil is measured on."""


_ARMS = {"execution": 0.64, "simulated": 0.16, "oracle": 0.14, "notice": 0.06}
_SOME = (
    *("mark the end", "mark the start", "blank the first", "blank the last"),
    *("hide the big ones", "take the first few", "skip the start", "limit them"),
)

SMALL = Recipe(
    size=Size(width=96, layers=2, inner=256, vocabulary=512),
    train=Kind("train", _SOME, (1, 0, 0)),
    open=Kind("train", _SOME, (1, 0, 0), _OPEN),
    test=Kind("test", _SOME, (1, 0, 0)),
    single=1200,
    first=_settings(1, 2e-3),
    rounds=(Round(900, _settings(2, 2e-3, epochs=5)),),
    arms={"execution": 0.5, "simulated": 0.2, "oracle": 0.2, "notice": 0.1},
    measured=200,
)
"""One clause a task, of eight: the smallest that shows the effect."""
FULL = Recipe(
    size=Size(width=128, layers=4, inner=384, vocabulary=768),
    train=Kind("train", lengths=(0.3, 0.3, 0.4)),
    open=Kind("train", lengths=(0.3, 0.3, 0.4), changed=_OPEN),
    test=Kind("test"),
    single=18_000,
    first=_settings(1, 2e-3),
    rounds=(
        Round(12_000, _settings(2, 1.5e-3, epochs=3)),
        Round(12_000, _settings(2, 1.5e-3, epochs=3)),
    ),
    arms=_ARMS,
    measured=1000,
)
"""0.95 million parameters; sequences of two and three clauses that were in no training task."""
RECIPES: Mapping[str, Recipe] = {"small": SMALL, "full": FULL}
