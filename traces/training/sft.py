"""Supervised fine-tuning: our dialogues and settings as TRL's; TRL does the work."""

import warnings
from collections.abc import Sequence
from typing import Any

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.traces.dialogues.reading import Messages
from opencodeinterpreter.traces.training.folder import Folder
from opencodeinterpreter.traces.training.rows import rows
from opencodeinterpreter.traces.training.running import (
    Loaded,
    Watch,
    carry_out,
    line_of,
    lora_config,
    quiet,
    shared_arguments,
    unwatched,
)
from opencodeinterpreter.traces.training.settings import SftSettings


def within(dialogues: Sequence[Messages], tokenizer: Any, most: int) -> list[Messages]:
    """Return the dialogues of at most so many tokens; raises InputError if none is left."""
    found = [each for each in dialogues if _tokens(each, tokenizer) <= most]
    if not found:
        raise InputError(f"every dialogue has more than {most} tokens; raise --max-tokens")
    return found


def sft(
    loaded: Loaded,
    dialogues: Sequence[Messages],
    settings: SftSettings,
    folder: Folder,
    watch: Watch = unwatched,
) -> None:
    """Train a loaded model on dialogues; raises InputError for what TRL refuses."""
    carry_out(trainer(loaded, dialogues, settings, folder), loaded, folder, watch)


def trainer(
    loaded: Loaded, dialogues: Sequence[Messages], settings: SftSettings, folder: Folder
) -> Any:
    """Return TRL's trainer; raises InputError for arguments that it refuses."""
    from datasets import Dataset  # pyright: ignore[reportMissingImports]
    from trl import SFTTrainer  # pyright: ignore[reportMissingImports]

    quiet()
    data = Dataset.from_list(rows(dialogues, settings.loss))
    try:
        return SFTTrainer(
            model=loaded[0],
            args=_arguments(settings, folder),
            train_dataset=data,
            processing_class=loaded[1],
            peft_config=lora_config(settings.lora),
        )
    except (TypeError, ValueError) as error:
        hint = "; `--loss last` needs no such marks" if settings.loss == "all" else ""
        raise InputError(f"TRL refuses this training: {line_of(error)}{hint}") from None


def _arguments(settings: SftSettings, folder: Folder) -> Any:
    from trl import SFTConfig  # pyright: ignore[reportMissingImports]

    ours: dict[str, Any] = {
        "num_train_epochs": settings.epochs,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": settings.warmup,
        "max_length": settings.max_tokens,
        "per_device_train_batch_size": settings.batch,
        "gradient_accumulation_steps": settings.accumulate,
        "assistant_only_loss": settings.loss == "all",
        "seed": settings.seed,
        "logging_steps": 10,
        "save_steps": 200,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # TRL's own defaults have names of old.
        return SFTConfig(**{**shared_arguments(folder), **ours, **settings.trl})


def _tokens(messages: Messages, tokenizer: Any) -> int:
    text = tokenizer.apply_chat_template(
        [message.model_dump() for message in messages], tokenize=False
    )
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])
