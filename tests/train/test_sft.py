"""`train sft`: which answers are learned, what a killed training does, what comes out."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.traces.training.folder import Folder
from opencodeinterpreter.traces.training.rows import read_dialogues
from opencodeinterpreter.traces.training.running import load
from opencodeinterpreter.traces.training.settings import SftSettings
from opencodeinterpreter.traces.training.sft import sft, trainer, within
from tests.command import POLL, Command

SLOW = 300.0
"""Seconds for a training, with the imports, on a busy machine."""
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""Threads that wait for each other are slow where other work takes the processors."""


def learned(base: Path, data: Path, out: Path, settings: SftSettings) -> str:
    """Return the text of the first dialogue from which a loss is computed."""
    loaded = load(str(base), settings.lora)
    training = trainer(loaded, read_dialogues(data), settings, Folder(out))
    batch = next(iter(training.get_train_dataloader()))
    kept = batch["labels"][0] != -100
    return str(loaded[1].decode(batch["input_ids"][0][kept]))


def test_the_last_answer_alone_is_learned_and_the_draft_is_only_read(
    base: Path, data: Path, tmp_path: Path
) -> None:
    text = learned(base, data, tmp_path, SftSettings(loss="last"))
    assert text.startswith("for number in range(")
    assert "add" not in text
    assert "Execution" not in text
    assert text.rstrip().endswith("<|im_end|>")  # A model must learn to stop.


def test_all_answers_are_learned_and_no_question(marked: Path, data: Path, tmp_path: Path) -> None:
    text = learned(marked, data, tmp_path, SftSettings(loss="all"))
    assert text.startswith("def add(a, b):")
    assert "<|im_end|>for number in range(" in text
    assert "Execution" not in text


def test_a_template_without_marks_is_refused_with_a_way_out(
    base: Path, data: Path, tmp_path: Path
) -> None:
    settings = SftSettings(loss="all")
    with pytest.raises(InputError, match="`--loss last` needs no such marks"):
        trainer(load(str(base), settings.lora), read_dialogues(data), settings, Folder(tmp_path))


def test_lora_trains_linear_layers_alone_and_gives_a_whole_model(
    base: Path, data: Path, tmp_path: Path
) -> None:
    settings = SftSettings(loss="last", lora=4, epochs=2, learning_rate=1e-2)
    folder = Folder(tmp_path)
    sft(load(str(base), settings.lora), read_dialogues(data), settings, folder)
    before, after = weights(base, settings), weights(folder.model, settings)
    assert [point.step for point in folder.points()] == [1]  # Fewer steps than are told of.
    assert before.keys() == after.keys()
    changed = {name for name in before if not before[name].equal(after[name])}
    assert changed
    assert all("proj" in name for name in changed)


def weights(folder: Path, settings: SftSettings) -> dict[str, Any]:
    return dict(load(str(folder), settings.lora)[0].state_dict())


def test_a_trained_model_repeats_what_it_has_learned(
    base: Path, data: Path, tmp_path: Path
) -> None:
    """One dialogue, seen often: loaded again, the model answers with its last answer."""
    settings = SftSettings(loss="last", epochs=60, learning_rate=5e-3, batch=1)
    dialogue, folder = read_dialogues(data)[3], Folder(tmp_path)
    sft(load(str(base), settings.lora), [dialogue], settings, folder)
    model, tokenizer = load(str(folder.model), settings.lora)
    asked = tokenizer.apply_chat_template(
        [message.model_dump() for message in dialogue[:-1]],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    answer = model.generate(**asked, max_new_tokens=60, do_sample=False)[0]
    text = tokenizer.decode(answer[asked["input_ids"].shape[1] :], skip_special_tokens=True)
    assert text == dialogue[-1].content
    first, *_, last = folder.points()
    assert last.value < 0.1 * first.value
    assert folder.picture.read_text("utf-8").count("<svg") == 1


def test_longer_dialogues_are_left_out(base: Path, data: Path) -> None:
    tokenizer = load(str(base), lora=0)[1]
    dialogues = read_dialogues(data)
    assert within(dialogues, tokenizer, 4096) == dialogues
    with pytest.raises(InputError, match="every dialogue has more than 8 tokens"):
        within(dialogues, tokenizer, 8)


def test_trl_trains_from_the_file_without_changes(marked: Path, data: Path, tmp_path: Path) -> None:
    from datasets import load_dataset  # pyright: ignore[reportMissingImports]
    from trl import SFTConfig, SFTTrainer  # pyright: ignore[reportMissingImports]

    rows = load_dataset("json", data_files=str(data), split="train", cache_dir=str(tmp_path))
    arguments = SFTConfig(
        output_dir=str(tmp_path / "out"),
        max_steps=2,
        assistant_only_loss=True,
        bf16=False,
        use_cpu=True,
        report_to="none",
    )
    training = SFTTrainer(str(marked), arguments, train_dataset=rows)
    assert training.train().training_loss > 0


def wait_for(folder: Path, pattern: str) -> None:
    until = time.monotonic() + SLOW
    while not any(folder.glob(pattern)):
        assert time.monotonic() < until, f"no {pattern} in {folder}"
        time.sleep(POLL)


def test_a_killed_training_goes_on_and_ends_as_one_that_was_not(
    base: Path, data: Path, tmp_path: Path
) -> None:
    command = Command(tmp_path, environment=ONE_THREAD)
    arguments = ["train", "sft", str(data), "--model", str(base), "--stage", "2", "--loss", "last"]
    arguments += ["--epochs", "40", "--trl", "save_steps=5", "--trl", "logging_steps=5", "--json"]
    checkpoints = tmp_path / "killed" / "checkpoints"
    with command.start(*arguments, "--out", "killed") as running:
        wait_for(checkpoints, "checkpoint-*/trainer_state.json")
        running.signal(signal.SIGKILL)
    assert not (tmp_path / "killed" / "loss.json").exists()
    ends = [command(*arguments, "--out", out, timeout=SLOW) for out in ("killed", "whole")]
    assert [done.status for done in ends] == [0, 0], ends[0].stderr
    killed, whole = (json.loads(done.stdout)["curve"] for done in ends)
    assert len(whole) == 25  # The first step, and each fifth.
    assert killed == whole
    again = command(*arguments, "--out", "killed", timeout=SLOW)
    assert json.loads(again.stdout)["curve"] == killed
    other = command(*arguments, "--out", "killed", "--seed", "1", timeout=SLOW)
    assert (other.status, other.stdout) == (2, "")
    assert "killed was begun with seed 0, not 1; name another folder with --out" in other.stderr


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("nonsense=1", "TRL refuses this training"),
        ("weight_decay", "--trl weight_decay: write NAME=VALUE"),
    ],
)
def test_what_trl_does_not_know_is_told_in_a_line(
    argument: str, problem: str, base: Path, data: Path, tmp_path: Path
) -> None:
    arguments = ["train", "sft", str(data), "--model", str(base), "--stage", "2", "--out", "out"]
    done = Command(tmp_path, environment=ONE_THREAD)(
        *arguments, "--loss", "last", "--trl", argument, timeout=SLOW
    )
    assert done.status == 2
    assert problem in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
