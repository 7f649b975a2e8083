"""Comparing two runs: the common stem, and what differs after it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as limited
from hypothesis import strategies as some

from opencodeinterpreter.graph.seeds import Edit, branch_seed
from opencodeinterpreter.nodes.prompts import installed_prompts
from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.testing import ScriptedModel, draft
from opencodeinterpreter.traces.diff import Change, diff
from tests.command import Command, warm
from tests.doubling import arguments
from tests.scripts import BETTER, RIGHT, THREE_TURNS, WRONG, World

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "traces" / "examples").glob("*.jsonl"))


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path, warm)


async def solved(*codes: str, **fields: Any) -> Record:
    coder = ScriptedModel([draft(code) for code in codes])
    return await World(coder=coder).solve(**fields)


async def test_a_run_and_itself_do_not_differ() -> None:
    record = await World().solve()
    found = diff(record, record)
    assert found.empty
    assert found.stem == len(record.turns) == 3


async def test_a_branch_and_its_parent_share_the_turns_before_the_edit() -> None:
    parent = await World().solve()
    seed = branch_seed(parent, "parent", 2, Edit(code=RIGHT))
    branch = await World(coder=ScriptedModel(THREE_TURNS)).drive(seed)
    found = diff(parent, branch)
    assert found.stem == 1
    second, third = found.turns
    assert second.code == ("@@ -1 +1 @@", f"-{BETTER}", f"+{RIGHT}")
    assert second.tests == {"test 2": Change(before="failed", after="passed")}
    assert second.verdict is not None
    assert (second.verdict.before or "").startswith("revise")
    assert (second.verdict.after or "").startswith("solved")
    assert (second.only, third.only) == ("", "first")


async def test_another_setting_is_named_where_the_runs_part() -> None:
    one, other = await solved(WRONG, RIGHT), await solved(RIGHT, limits={"turns": 3})
    found = diff(one, other)
    assert found.settings == {"limits.turns": Change(before="5", after="3")}
    assert found.stem == 0


async def test_other_words_of_the_critic_are_told() -> None:
    records = []
    for words in ("Look at 2.", "Look at 3."):
        world = World(
            coder=ScriptedModel([draft(WRONG), draft(RIGHT)]), critic=ScriptedModel([words])
        )
        prompts = {**installed_prompts(), "critic_feedback": "$words"}
        records.append(await world.solve(critic="simulated", prompts=prompts))
    turn, after = diff(*records).turns
    assert (after.code, after.tests, after.feedback) == ((), {}, None)
    assert turn.feedback == Change(before="Look at 2.", after="Look at 3.")
    assert turn.code == ()


@limited(deadline=None, max_examples=30)
@given(
    some.lists(some.sampled_from([WRONG, BETTER]), max_size=3),
    some.lists(some.sampled_from([WRONG, BETTER]), max_size=3),
)
async def test_the_stem_ends_with_the_first_turn_whose_code_differs(
    one: list[str], other: list[str]
) -> None:
    unlimited = {"limits": {"turns": 5, "stuck": False}}
    records = [await solved(*codes, RIGHT, **unlimited) for codes in (one, other)]
    found = diff(*records)
    codes = [[*one, RIGHT], [*other, RIGHT]]
    alike = [a == b for a, b in zip(*codes, strict=False)]
    assert found.stem == (alike.index(False) if False in alike else len(alike))
    assert found.stem + len(found.turns) == max(map(len, codes))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_and_itself_are_alike(path: Path, command: Command) -> None:
    done = command("diff", str(path), str(path))
    assert done.status == 0
    assert done.stdout.startswith("alike: ")


def test_two_runs_of_the_store_are_compared_and_the_status_says_that_they_differ(
    command: Command,
) -> None:
    for turns in ("1", "2"):
        assert command(*arguments(command, "--turns", turns)).status == 1
    ids = [line.split()[0] for line in command("runs").stdout.splitlines()]
    done = command("diff", ids[1], ids[0])
    assert done.status == 1
    assert "== different from turn 1 on" in done.stdout
    assert "setting limits.turns:\n- 1\n+ 2\n" in done.stdout
    assert "-- turn 2 (only in the second run)" in done.stdout
    assert "+    return n * 3" in done.stdout


def test_a_run_that_is_not_there_is_one_line(command: Command) -> None:
    done = command("diff", "nothing", "nothing")
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
