"""`train`: what is wrong with dialogues, and a missing extra, are told before any work."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.traces.training.folder import Folder
from opencodeinterpreter.traces.training.rows import of_stage, read_dialogues, rows
from tests.command import Command, warm

ASK, ANSWER = {"role": "user", "content": "Add."}, {"role": "assistant", "content": "a + b"}
SINGLE = {"messages": [ASK, ANSWER]}
DOUBLE = {"messages": [ASK, ANSWER, ASK, ANSWER]}
INSTRUCTION = {"query": "Add.", "answer": "a + b", "resource": "evol", "lang": "python"}


def written(path: Path, *lines: object) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    return path


def test_dialogues_and_single_instructions_are_read_alike(tmp_path: Path) -> None:
    found = read_dialogues(written(tmp_path / "data.jsonl", SINGLE, INSTRUCTION))
    assert found[0] == found[1]
    assert rows(found, "last")[1] == {"prompt": [ASK], "completion": [ANSWER]}
    assert rows(found, "all")[1] == SINGLE


def test_stage_1_takes_dialogues_with_one_answer_alone(tmp_path: Path) -> None:
    found = read_dialogues(written(tmp_path / "data.jsonl", DOUBLE, SINGLE))
    assert of_stage(found, 2) == found
    assert of_stage(found, 1) == found[1:]
    with pytest.raises(InputError, match="dialogues build --answers 1"):
        of_stage(found[:1], 1)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 2: Expecting"),
        ("[]", "line 2: a dialogue has `messages`, or `query` and `answer`"),
        ('{"messages": [{"role": "cat", "content": "x"}]}', "line 2: role: "),
        (json.dumps({"messages": [ASK, ASK]}), "line 2: no answer at its end"),
        ('{"query": 1, "answer": "x"}', "line 2: content: "),
    ],
)
def test_a_wrong_line_is_named(line: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(f"{json.dumps(SINGLE)}\n{line}\n", "utf-8")
    arguments = ("train", "sft", str(path), "-m", "base", "--stage", "2", "--out", "out")
    done = Command(tmp_path, warm)(*arguments)
    assert (done.status, done.stdout) == (2, "")
    (told,) = done.stderr.splitlines()
    assert f"data.jsonl, {problem}" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(find_spec("trl") is not None, reason="the extra is installed here")
def test_a_missing_extra_is_named_before_anything_is_written(tmp_path: Path) -> None:
    data = written(tmp_path / "data.jsonl", SINGLE)
    arguments = ("train", "sft", str(data), "-m", "base", "--stage", "1", "--out", "out")
    done = Command(tmp_path, warm)(*arguments)
    assert done.status == 2
    assert "pip install 'opencodeinterpreter[train]'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_state_that_was_half_written_is_passed_over(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.checkpoint is None
    for step, text in ((95, "{}"), (100, '{"step":'), (105, None)):
        state = folder.checkpoints / f"checkpoint-{step}"
        state.mkdir(parents=True)
        if text is not None:
            (state / "trainer_state.json").write_text(text, "utf-8")
    assert folder.checkpoint == str(folder.checkpoints / "checkpoint-95")
