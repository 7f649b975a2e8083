"""How a model is trained: the paper's values (section 4) are the defaults."""

from importlib.util import find_spec
from typing import Literal

from pydantic import ConfigDict, Field, JsonValue

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.frozen import Frozen

_PACKAGES = ("torch", "transformers", "trl", "peft", "datasets", "matplotlib")
"""What the extra `train` installs."""

Learned = Literal["all", "last"]


class SftSettings(Frozen):
    """Settings of supervised fine-tuning."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    kind: Literal["sft"] = "sft"
    stage: Literal[1, 2] = 2
    """1: dialogues with one answer, as single instructions; 2: all dialogues."""
    loss: Learned = "all"
    """The answers that are learned: all of a dialogue, or the last alone.

    With `last`, the drafts that failed are read and not learned.
    """
    lora: int = Field(default=0, ge=0)
    """The rank of LoRA's matrices on all linear layers; 0 trains all weights."""
    epochs: float = Field(default=3, gt=0)
    learning_rate: float = Field(default=2e-5, gt=0)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """The share of the steps in which the learning rate rises; then it falls as a cosine."""
    max_tokens: int = Field(default=4096, ge=1)
    """Longer dialogues are left out."""
    batch: int = Field(default=8, ge=1)
    """Dialogues at once, on each device."""
    accumulate: int = Field(default=1, ge=1)
    """How many batches make a step."""
    seed: int = 0
    trl: dict[str, JsonValue] = {}
    """Other arguments of TRL's `SFTConfig`."""


class GrpoSettings(Frozen):
    """Settings of reinforcement learning from execution."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    kind: Literal["grpo"] = "grpo"
    steps: int = Field(default=100, ge=1)
    tasks: int = Field(default=8, ge=1)
    """How many tasks a step runs."""
    group: int = Field(default=8, ge=2)
    """How many runs of each; what counts is a run's reward beside the others of its group."""
    turns: int = Field(default=2, ge=1)
    """The most turns of a run."""
    temperature: float = Field(default=1.0, gt=0)
    max_tokens: int = Field(default=1024, ge=1)
    """Of an answer."""
    learning_rate: float = Field(default=1e-6, gt=0)
    lora: int = Field(default=0, ge=0)
    """The rank of LoRA's matrices on all linear layers; 0 trains all weights."""
    batch: int = Field(default=8, ge=1)
    """Runs at once in a backward pass."""
    seed: int = 0
    trl: dict[str, JsonValue] = {}
    """Other arguments of TRL's `GRPOConfig`."""


def check_installed() -> None:
    """Raise InputError if a package that trains is missing."""
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise InputError(
            f"training needs the extra 'train' ({missing[0]} is missing): "
            "pip install 'opencodeinterpreter[train]'"
        )
