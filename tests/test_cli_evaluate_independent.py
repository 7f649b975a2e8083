"""`evaluate --independent`: each setting makes first drafts of its own; pass@k from several."""

from pathlib import Path
from typing import Any

import pytest

from tests.answering_server import Body, answering
from tests.evaluating import RIGHT, WRONG, arm, program, task_of, values, world
from tests.sampling import every

TASKS = 4


def first_seeds(bodies: list[Body]) -> list[int]:
    return [body["seed"] for body in bodies if len(body["messages"]) == 1]


def test_every_setting_makes_first_drafts_with_seeds_of_its_own(tmp_path: Path) -> None:
    """The drafts of `none` are right, those of `execution` wrong at first and right then."""

    def answer(body: Body) -> str:
        again = len(body["messages"]) > 1
        return program(task_of(body), RIGHT if again or body["seed"] < 10_000 else WRONG)

    with answering(answer) as server:
        made = world(tmp_path, server.url, TASKS)
        sampling = ["--set", "sampling.coder.temperature=0.5", "--set", "sampling.coder.seed=7"]
        done = made.evaluate("out", "--independent", *sampling)
        assert done.status == 0, done
        seeds = first_seeds(server.asked)
        again = made.evaluate("out", *sampling)
    assert sorted(seeds) == [7] * TASKS + [10_007] * TASKS
    execution = arm(made.results("out"), "execution")
    assert values(execution["pass_at_1"]["held-out"]) == [0.0, 1.0]
    assert execution["went_on"] == TASKS and execution["calls"] == 2 * TASKS
    assert again.status == 2 and "--independent" in again.stderr


@pytest.mark.parametrize("options", every(2, ([], ["--independent"])))
def test_several_drafts_of_every_task_give_pass_at_k(tmp_path: Path, options: list[str]) -> None:
    """Of four drafts one is right: pass@1 is a quarter, pass@2 a half, pass@4 the whole."""

    def answer(body: Body) -> str:
        return program(task_of(body), RIGHT if body["seed"] % 10_000 == 2 else WRONG)

    with answering(answer) as server:
        made = world(tmp_path, server.url, TASKS)
        sampling = ["--drafts", "4", "--set", "sampling.coder.temperature=0.8"]
        chosen = ["--settings", "none", "--set", "sampling.coder.seed=0", *sampling, *options]
        done = made.evaluate("out", *chosen)
    assert done.status == 0, done
    found: dict[str, Any] = arm(made.results("out"), "none")
    at = found["pass_at_k"]["held-out"]
    assert {k: each["value"] for k, each in at.items()} == {"1": 0.25, "2": 0.5, "4": 1.0}
    assert "pass@k" in done.stdout
