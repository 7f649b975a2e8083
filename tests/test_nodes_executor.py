"""The executor: one run per draft with code; the best draft is chosen."""

from opencodeinterpreter.nodes.executor import best
from opencodeinterpreter.testing import ScriptedModel, ScriptedRunner, draft, graded, raised, ran
from opencodeinterpreter.tools.execution import SandboxLimits
from tests.scripts import BETTER, RIGHT, TABLE, WRONG, World, summary


def test_the_draft_that_passes_most_tests_is_chosen() -> None:
    assert best([graded(False, False), graded(True, True), graded(True, False)]) == 1


def test_among_equals_the_majority_of_outputs_wins() -> None:
    assert best([ran("4"), ran("5"), ran("5")]) == 1
    assert best([graded(True, False), graded(False, True), graded(False, True)]) == 1


def test_without_a_majority_the_first_draft_is_chosen() -> None:
    assert best([ran("4"), ran("5"), ran("6")]) == 0
    assert best([ran("4"), ran("5"), ran("5"), ran("4")]) == 0


def test_a_clean_run_is_better_than_many_equal_errors() -> None:
    assert best([raised("E"), raised("E"), ran("")]) == 2


def test_a_draft_with_code_is_preferred_to_one_without() -> None:
    assert best([None, None, raised("E")]) == 2
    assert best([None, graded(False)]) == 1
    assert best([None, None]) == 0


async def test_every_draft_is_run_and_recorded_and_the_best_is_chosen() -> None:
    runner = ScriptedRunner(TABLE)
    coder = ScriptedModel([[draft(WRONG), "No code.", draft(RIGHT)]])
    record = await World(coder=coder, runner=runner).solve(drafts=3)
    (turn,) = record.turns
    assert summary(record) == ["1 draft: print(3) | 2/2 | solved by tests"]
    assert [one.code for one in turn.drafts or ()] == [WRONG, None, RIGHT]
    assert turn.executions == (TABLE[WRONG], None, TABLE[RIGHT])
    assert turn.chosen == 2
    assert [program.digest for program in runner.ran] == [
        name for name in turn.programs or () if name is not None
    ]


async def test_drafts_are_sampled_with_seeds_of_their_own() -> None:
    world = World(coder=ScriptedModel([[draft(WRONG), draft(RIGHT)]]))
    await world.solve(drafts=2)
    assert [request.sampling.seed for request in world.coder.asked] == [0, 1]
    assert [request.at.number for request in world.coder.asked] == [1, 2]


async def test_a_program_is_the_draft_with_the_tasks_tests_and_the_settings_limits() -> None:
    runner = ScriptedRunner(TABLE)
    tests = {"kind": "cases", "cases": [{"args": [1], "expected": 2}]}
    task = {"prompt": "Double.", "entry_point": "f", "tests": tests}
    world = World(coder=ScriptedModel([draft(RIGHT)]), runner=runner)
    await world.solve(task, sandbox=SandboxLimits(wall_seconds=3.0))
    (program,) = runner.ran
    assert program.code == RIGHT
    assert program.entry_point == "f"
    assert program.tests is not None
    assert program.tests.model_dump(mode="json") == tests
    assert program.limits.wall_seconds == 3.0


async def test_a_response_without_code_is_not_run() -> None:
    runner = ScriptedRunner(TABLE)
    record = await World(coder=ScriptedModel(["Prose.", draft(BETTER)]), runner=runner).solve(
        limits={"turns": 2}
    )
    assert [program.code.strip() for program in runner.ran] == [BETTER]
    assert record.turns[0].executions is None
    assert summary(record)[0] == "1 draft: no code | revise by run | execution"


async def test_files_of_a_response_go_along() -> None:
    runner = ScriptedRunner()
    reply = "```python helper.py\nX = 1\n```\n\n```python\nimport helper\n```\n"
    await World(coder=ScriptedModel([reply]), runner=runner).solve()
    assert set(runner.ran[0].files) == {"helper.py"}
