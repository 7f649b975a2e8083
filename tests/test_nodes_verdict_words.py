"""What a judge model's answer decides: what it states last, not what it thought or quoted."""

import pytest

from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.testing import ScriptedModel, ScriptedRunner, draft, ran
from tests.scripts import World

YES = '{"solved": true, "reason": "It does."}'
NO = '{"solved": false, "reason": "It does not."}'

NOT_SOLVED = {
    "thinking": f"<think>I could say {YES}</think>\n{NO}",
    "only thinking": f"<think>{YES}",
    "thinking of the prompt's making": f"maybe {YES}\n</think>\n{NO}",
    "a quoted line": f"> {YES}\n{NO}",
    "only a quoted line": f"> {YES}\nNo.",
    "inline code": f"The program prints `{YES}`.\n{NO}",
    "a fence beside the answer": f"It printed:\n```\n{YES}\n```\n{NO}",
    "a fence after the answer": f"{NO}\nIt printed:\n```json\n{YES}\n```",
    "the answer alone": NO,
    "an answer that is cut": '{"solved": true, "rea',
    "words": "solved: true",
    "a text for the truth": '{"solved": "true", "reason": "x"}',
    "nested": f'{{"answer": {YES}, "solved": false, "reason": "x"}}',
}


async def judged(*answers: str) -> tuple[Record, ScriptedModel]:
    """Solve a task without tests; its only draft is judged by a model with these answers."""
    judge = ScriptedModel([answers], spec="scripted:judge")
    coder = ScriptedModel([draft("print(1)")])
    world = World(coder=coder, judge=judge, runner=ScriptedRunner(default=ran("1")))
    return await world.solve(limits={"turns": 1}), judge


@pytest.mark.parametrize("shape", NOT_SOLVED)
async def test_a_yes_that_is_not_stated_solves_nothing(shape: str) -> None:
    record, _ = await judged(NOT_SOLVED[shape], NOT_SOLVED[shape])
    assert not record.solved


@pytest.mark.parametrize(
    "answer",
    [
        YES,
        f"Let me see.\n{YES}",
        f"```json\n{YES}\n```",
        f"<think>{NO}</think>{YES}",
        f"> {NO}\n{YES}",
        f"It printed:\n```\n{NO}\n```\n{YES}",
    ],
)
async def test_a_stated_yes_solves(answer: str) -> None:
    record, judge = await judged(answer)
    assert record.solved
    assert len(judge.asked) == 1


async def test_two_opinions_that_differ_are_asked_again() -> None:
    record, judge = await judged(f"{YES}\nNo: {NO}", YES)
    assert record.solved
    assert len(judge.asked) == 2
    assert "both true and false" in judge.asked[1].messages[-1].content


async def test_what_the_program_printed_is_fenced_with_a_mark_that_it_cannot_know() -> None:
    _, judge = await judged(NO)
    asked = judge.asked[0].messages[-1].content
    marks = [line for line in asked.splitlines() if line.startswith("MATERIAL ")]
    assert len(marks) == 2
    assert marks[0] == marks[1]
    assert len(marks[0].split()[1]) == 16
