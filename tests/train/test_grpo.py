"""`train grpo`: what of a run is learned, and that the grader alone rewards."""

import json
from pathlib import Path

import pytest

from opencodeinterpreter.nodes.state import TaskInput
from opencodeinterpreter.traces.training.folder import Folder
from opencodeinterpreter.traces.training.grpo import Rollouts
from opencodeinterpreter.traces.training.rows import read_dialogues
from opencodeinterpreter.traces.training.running import Loaded, load
from opencodeinterpreter.traces.training.settings import GrpoSettings, SftSettings
from opencodeinterpreter.traces.training.sft import sft
from tests.command import Command

TASK: TaskInput = {"prompt": "Write one().", "tests": "from solution import one\nassert one() == 1"}
RIGHT = "```python\ndef one():\n    return 1\n```"
SLOW = 300.0


@pytest.fixture(scope="module")
def able(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned to solve the task, and nothing else."""
    from opencodeinterpreter.nodes.conversation import task_message
    from opencodeinterpreter.nodes.prompts import installed_prompts
    from opencodeinterpreter.nodes.records import Task

    home = tmp_path_factory.mktemp("able")
    prompts = installed_prompts()
    question = task_message(Task.model_validate({"number": 1, **TASK}), prompts)
    said = [("system", prompts["coder_system"]), ("user", question), ("assistant", RIGHT)]
    messages = [{"role": role, "content": content} for role, content in said if content]
    data = home / "one.jsonl"
    data.write_text(json.dumps({"messages": messages}), "utf-8")
    settings = SftSettings(loss="last", epochs=80, learning_rate=5e-3, batch=1)
    sft(load(str(base), 0), read_dialogues(data), settings, Folder(home))
    return Folder(home).model


def settings_of(**changed: int) -> GrpoSettings:
    given = {"steps": 2, "tasks": 1, "group": 4, "batch": 4, "max_tokens": 40, **changed}
    return GrpoSettings.model_validate(given)


async def test_only_the_model_s_own_tokens_are_learned(base: Path) -> None:
    """A model of random weights writes no code; the graph says so, and it tries again."""
    loaded: Loaded = load(str(base), 0)
    rollouts = Rollouts({"one": TASK}, settings_of(), "full")
    for run in await rollouts.run(loaded, ["one"] * 2):
        own, said = (
            loaded[1].decode(
                [token for token, mine in zip(run.completion, run.own, strict=True) if mine == kept]
            )
            for kept in (1, 0)
        )
        assert "no code block was found in the response" in said
        assert "no code block" not in own
        assert sum(run.own) <= 2 * 40
        assert run.reward == 0


async def test_a_run_that_its_tests_solve_is_rewarded(able: Path) -> None:
    rollouts = Rollouts({"one": TASK}, settings_of(), "full")
    runs = await rollouts.run(load(str(able), 0), ["one"] * 4)
    assert sum(run.reward for run in runs) > 0


def test_the_command_trains_and_shows_the_reward(able: Path, tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text(json.dumps({"id": "one", **TASK}), "utf-8")
    arguments = ["train", "grpo", str(tasks), "--model", str(able), "--out", "out", "--json"]
    arguments += ["--steps", "2", "--tasks", "1", "--group", "4", "--max-tokens", "40"]
    arguments += ["--batch", "4", "--learning-rate", "1e-4"]
    done = Command(tmp_path, environment={"OMP_NUM_THREADS": "1"})(*arguments, timeout=SLOW)
    assert done.status == 0, done.stderr
    told = json.loads(done.stdout)
    assert [point["step"] for point in told["curve"]] == [1, 2]
    assert all(0 < point["value"] <= 1 for point in told["curve"])
    assert (tmp_path / "out" / "reward.svg").exists()
    assert load(str(tmp_path / told["model"]), 0)[0].num_parameters() > 0
