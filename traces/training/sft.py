"""Supervised fine-tuning: our dialogues and settings as TRL's; TRL does the work."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.traces.dialogues.reading import Messages
from opencodeinterpreter.traces.training.curve import draw
from opencodeinterpreter.traces.training.folder import Folder, Loss
from opencodeinterpreter.traces.training.rows import rows
from opencodeinterpreter.traces.training.settings import SftSettings

Watch = Callable[[int, int, float | None], None]
"""Called after a step with its number, the number of all, and the loss if it was taken then."""


def load(base: str, settings: SftSettings) -> tuple[Any, Any]:
    """Return a model and its tokenizer: of a folder, or by a name on the Hugging Face hub.

    Weights that stay as they are (with LoRA) are held in half precision. Raises InputError.
    """
    import torch  # pyright: ignore[reportMissingImports]
    from transformers import AutoModelForCausalLM, AutoTokenizer  # pyright: ignore[reportMissingImports]

    _quiet()
    dtype = torch.bfloat16 if settings.lora else torch.float32
    try:
        tokenizer = AutoTokenizer.from_pretrained(base)
        model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{base}: no model can be loaded: {_line(error)}") from None
    if tokenizer.chat_template is None:
        raise InputError(f"{base}: its tokenizer has no chat template; take an instruct model")
    return model, tokenizer


def within(dialogues: Sequence[Messages], tokenizer: Any, most: int) -> list[Messages]:
    """Return the dialogues of at most so many tokens; raises InputError if none is left."""
    found = [each for each in dialogues if _tokens(each, tokenizer) <= most]
    if not found:
        raise InputError(f"every dialogue has more than {most} tokens; raise --max-tokens")
    return found


def sft(
    loaded: tuple[Any, Any],
    dialogues: Sequence[Messages],
    settings: SftSettings,
    folder: Folder,
    watch: Watch = lambda step, steps, loss: None,
) -> Any:
    """Train a loaded model, write it with its losses, and return it.

    Goes on from the folder's newest state if there is one. Raises InputError for arguments that
    TRL refuses.
    """
    from transformers import PrinterCallback  # pyright: ignore[reportMissingImports]

    training = trainer(loaded, dialogues, settings, folder)
    training.add_callback(_watching(watch))
    training.remove_callback(PrinterCallback)
    training.train(resume_from_checkpoint=folder.started or None)
    model = training.accelerator.unwrap_model(training.model)
    if settings.lora:
        model = model.merge_and_unload()
    model.save_pretrained(folder.model)
    loaded[1].save_pretrained(folder.model)
    logged = (each for each in training.state.log_history if "loss" in each)
    losses = tuple(Loss(step=each["step"], loss=float(each["loss"])) for each in logged)
    draw(losses, folder.picture)
    folder.keep_losses(losses)
    return model


def trainer(
    loaded: tuple[Any, Any], dialogues: Sequence[Messages], settings: SftSettings, folder: Folder
) -> Any:
    """Return TRL's trainer; raises InputError for arguments that it refuses."""
    from datasets import Dataset  # pyright: ignore[reportMissingImports]
    from trl import SFTTrainer  # pyright: ignore[reportMissingImports]

    _quiet()
    model, tokenizer = loaded
    data = Dataset.from_list(rows(dialogues, settings.loss))
    try:
        return SFTTrainer(
            model=model,
            args=_arguments(settings, folder),
            train_dataset=data,
            processing_class=tokenizer,
            peft_config=_lora(settings.lora) if settings.lora else None,
        )
    except (TypeError, ValueError) as error:
        hint = "; `--loss last` needs no such marks" if settings.loss == "all" else ""
        raise InputError(f"TRL refuses this training: {_line(error)}{hint}") from None


def _arguments(settings: SftSettings, folder: Folder) -> Any:
    import torch  # pyright: ignore[reportMissingImports]
    from trl import SFTConfig  # pyright: ignore[reportMissingImports]

    gpu = torch.cuda.is_available()
    ours: dict[str, Any] = {
        "output_dir": str(folder.checkpoints),
        "num_train_epochs": settings.epochs,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": settings.warmup,
        "max_length": settings.max_tokens,
        "per_device_train_batch_size": settings.batch,
        "gradient_accumulation_steps": settings.accumulate,
        "assistant_only_loss": settings.loss == "all",
        "seed": settings.seed,
        "bf16": gpu,
        "use_cpu": not gpu,
        "dataloader_pin_memory": gpu,
        "logging_steps": 10,
        "save_steps": 200,
        "save_total_limit": 1,
        "report_to": "none",
        "disable_tqdm": True,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # TRL's own defaults have names of old.
        return SFTConfig(**{**ours, **settings.trl})


def _lora(rank: int) -> Any:
    from peft import LoraConfig  # pyright: ignore[reportMissingImports]

    return LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM"
    )


def _watching(watch: Watch) -> Any:
    from transformers import TrainerCallback  # pyright: ignore[reportMissingImports]

    class Watching(TrainerCallback):  # type: ignore[misc]
        """Tells of each step, and of the losses that are logged."""

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            watch(state.global_step, state.max_steps, None)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                watch(state.global_step, state.max_steps, float(logs["loss"]))

    return Watching()


def _quiet() -> None:
    """Turn off the bars of reading and writing, which take less than a training's start."""
    from datasets import disable_progress_bars  # pyright: ignore[reportMissingImports]
    from transformers.utils.logging import disable_progress_bar  # pyright: ignore[reportMissingImports]

    disable_progress_bar()
    disable_progress_bars()


def _tokens(messages: Messages, tokenizer: Any) -> int:
    text = tokenizer.apply_chat_template(
        [message.model_dump() for message in messages], tokenize=False
    )
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


def _line(error: Exception) -> str:
    return f"{error}".strip().split("\n")[0] or type(error).__name__
