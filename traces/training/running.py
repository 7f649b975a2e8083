"""What all trainings share: the model that they start from, and TRL's trainer from start to end."""

from collections.abc import Callable
from typing import Any

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.traces.training.curve import draw
from opencodeinterpreter.traces.training.folder import Folder, Point

Loaded = tuple[Any, Any]
"""A model and its tokenizer."""
Watch = Callable[[int, int, float | None], None]
"""Called after a step with its number, the number of all, and what the curve has there, if it was
taken then."""


def unwatched(step: int, steps: int, value: float | None) -> None:
    """Watch nothing."""


def load(base: str, lora: int) -> Loaded:
    """Return a model and its tokenizer: of a folder, or by a name on the Hugging Face hub.

    Weights that stay as they are (with LoRA) are held in half precision. Raises InputError.
    """
    import torch  # pyright: ignore[reportMissingImports]
    from transformers import AutoModelForCausalLM, AutoTokenizer  # pyright: ignore[reportMissingImports]

    quiet()
    dtype = torch.bfloat16 if lora else torch.float32
    try:
        tokenizer = AutoTokenizer.from_pretrained(base)
        model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{base}: no model can be loaded: {line_of(error)}") from None
    if tokenizer.chat_template is None:
        raise InputError(f"{base}: its tokenizer has no chat template; take an instruct model")
    return model, tokenizer


def carry_out(training: Any, loaded: Loaded, folder: Folder, watch: Watch) -> None:
    """Train, and write the model with its curve.

    Goes on from the folder's newest state if there is one.
    """
    from transformers import PrinterCallback  # pyright: ignore[reportMissingImports]

    training.add_callback(_watching(watch, folder.curve))
    training.remove_callback(PrinterCallback)
    training.train(resume_from_checkpoint=folder.checkpoint)
    model = training.accelerator.unwrap_model(training.model)
    if hasattr(model, "merge_and_unload"):  # LoRA's
        model = model.merge_and_unload()
    model.save_pretrained(folder.model)
    loaded[1].save_pretrained(folder.model)
    logged = (each for each in training.state.log_history if folder.curve in each)
    points = tuple(Point(step=each["step"], value=float(each[folder.curve])) for each in logged)
    draw(points, folder)
    folder.keep_points(points)


def shared_arguments(folder: Folder) -> dict[str, Any]:
    """Return the arguments that TRL's trainers have in common here."""
    import torch  # pyright: ignore[reportMissingImports]

    gpu = torch.cuda.is_available()
    return {
        "output_dir": str(folder.checkpoints),
        "bf16": gpu,
        "use_cpu": not gpu,
        "dataloader_pin_memory": gpu,
        "save_total_limit": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "logging_first_step": True,  # A short training has a curve too.
    }


def lora_config(rank: int) -> Any:
    """Return LoRA of a rank on all linear layers; `None` for rank 0."""
    if rank == 0:
        return None
    from peft import LoraConfig  # pyright: ignore[reportMissingImports]

    return LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM"
    )


def quiet() -> None:
    """Turn off the bars of reading and writing, which take less than a training's start."""
    from datasets import disable_progress_bars  # pyright: ignore[reportMissingImports]
    from transformers.utils.logging import disable_progress_bar  # pyright: ignore[reportMissingImports]

    disable_progress_bar()
    disable_progress_bars()


def line_of(error: Exception) -> str:
    """Return the first line of what an error says."""
    return f"{error}".strip().split("\n")[0] or type(error).__name__


def _watching(watch: Watch, curve: str) -> Any:
    from transformers import TrainerCallback  # pyright: ignore[reportMissingImports]

    class Watching(TrainerCallback):  # type: ignore[misc]
        """Tells of each step, and of the values that are logged."""

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            watch(state.global_step, state.max_steps, None)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and curve in logs:
                watch(state.global_step, state.max_steps, float(logs[curve]))

    return Watching()
