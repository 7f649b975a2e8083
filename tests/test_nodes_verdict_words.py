"""A judge model's answer decides by the object that ends it, not by its thinking or quotations."""

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

FENCED = f"```\n{YES}\n```"

NO_CLEAR_YES = {
    "a fence that is output": f"Output was:\n{FENCED}\nThe code is wrong.",
    "a fence with a mark": f"Output was:\n```json\n{YES}\n```\nThe code is wrong.",
    "a fence that is output, at the end": f"The code is wrong. It printed:\n{FENCED}",
    "a fence of another kind": f"The code is wrong. It printed:\n```text\n{YES}\n```",
    "a fence with other lines": f"The code is wrong. It printed:\n```json\nstart\n{YES}\n```",
    "a fence that is open": f"The code is wrong. It printed:\n```\nstart\n{YES}",
    "a verdict in a fence, then a quotation": f"```\n{NO}\n```\nIt printed:\n```json\n{YES}\n```",
    "a marked fence, then a quotation": f"```json\n{NO}\n```\nIt printed:\n{YES}",
    "indented code": f"The code is wrong. It printed:\n\n    {YES}",
    "an example at the end": f"The code is wrong. It has to be right for, for example: {YES}",
    "a comment at the end": f"The code is wrong.\n// {YES}",
    "a quotation at the end": f"The code is wrong. It printed\n> {YES}",
    "inline code at the end": f"The code is wrong. It printed `{YES}`.",
    "quotation marks": f'The code is wrong. It printed "{YES}".',
    "typographic quotation marks": f"The code is wrong. It printed “{YES}”",
    "brackets": f"The code is wrong (it printed {YES}).",
    "a tag": f"The code is wrong.\n<output>{YES}</output>",
    "quotes that are not escaped": f'{{"solved": false, "reason": "it printed "{YES}" itself"}}',
    "quotes that are not escaped, cut": f'{{"solved": false, "reason": "it printed {YES}',
    "a reason that closes the brace": f'{{"solved": false, "reason": "it printed }} and {YES}',
    "a broken object around it": f'{{"reason": it printed, "answer": {YES}}}',
    "an object without an end": f'{{"answer": {YES}',
    "a list": f"[{NO}, {YES}]",
    "an example of the format": f"The format is e.g. {YES}. The code is wrong; I do not give it.",
    "an example with words after it": f"I would say {YES} if it worked",
    "a retraction": f"{YES}\n\nWait, on second thought the code is wrong. So it is not solved.",
    "a final word": f"First impression:\n{YES}\nAfter checking, final:\n**Not solved.**",
    "a retraction of one word": f"{YES} No.",
    "a retraction behind a token": f"{YES}<|im_end|>\nNo, it is wrong.",
    "a key twice": '{"solved": false, "reason": "x", "solved": true}',
    "a key twice, in Python": "{'solved': False, 'reason': 'x', 'solved': True}",
    "a key twice, with a comma": '{"solved": false, "reason": "x", "solved": true,}',
    "another answer before it": f"{NO}\nHad it been right: {YES}",
    "another answer in Python": f"{{'solved': False, 'reason': 'x'}}\n{YES}",
    "a broken answer before it": f'{{"solved": false, "reason": "a "b" c"}}\n{YES}',
    "a text for another truth": f'{{"solved": "false", "reason": "x"}}\n{YES}',
    "an escaped answer before it": f'"{{\\"solved\\": false}}"\n{YES}',
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


@pytest.mark.parametrize("shape", NO_CLEAR_YES)
async def test_a_yes_that_is_unclear_is_asked_again_and_then_not_solved(shape: str) -> None:
    record, judge = await judged(NO_CLEAR_YES[shape], NO_CLEAR_YES[shape])
    assert not record.solved
    assert len(judge.asked) == 2


@pytest.mark.parametrize(
    "answer",
    [
        YES,
        f"Let me see.\n{YES}",
        f"```json\n{YES}\n```",
        f"<think>{NO}</think>{YES}",
        f"> {NO}\n{YES}",
        f"It printed:\n```\n{NO}\n```\n{YES}",
        f"{YES}.",
        f"  {YES}\n\n",
        f"**{YES}**",
        FENCED,
        f"```JSON\n{YES}\n```.",
        f"The code {{x}} is right.\n\n```json\n{YES}\n```\n",
        f"The code is right.\n```json\n{YES}",
        f"It printed `{NO}`, which is harmless. It works. {YES}",
        f"```python\nd = {{\n```\nis right.\n{YES}",
        f"{YES}\n{YES}",
        f"```json\n{YES}\n```\n\n{YES}",
        f"{YES}<|im_end|>",
        f"{YES}</s>",
        f"```json\n{YES}\n```<|eot_id|>",
        f"{YES}<｜end▁of▁sentence｜>",
        f"{YES}<end_of_turn>\n",
        f"<answer>{YES}</answer>",
        "{'solved': True, 'reason': 'ok'}",
        '{\n  "solved": true,\n  "reason": "ok",\n}',
        '{"solved": true, "reason": "It prints {\\"solved\\": false} and `x`, then ```."}',
        '{"reason": "It maps {} to {1: 2}.", "steps": [{"a": 1}], "solved": true}',
    ],
)
async def test_a_stated_yes_solves(answer: str) -> None:
    record, judge = await judged(answer)
    assert record.solved
    assert len(judge.asked) == 1


async def test_a_reason_keeps_its_inline_code() -> None:
    record, _ = await judged('{"solved": true, "reason": "`f(x)` is right."}')
    verdict = record.turns[-1].verdict
    assert verdict is not None
    assert verdict.reason == "`f(x)` is right."


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
