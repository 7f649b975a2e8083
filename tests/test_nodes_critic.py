"""The critic: execution, simulated user, oracle, person."""

from typing import Any

import pytest

from opencodeinterpreter.nodes.describe import describe
from opencodeinterpreter.nodes.prompts import installed_prompts
from opencodeinterpreter.nodes.records import Feedback, Record
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.testing import ScriptedModel, ScriptedPerson, ScriptedRunner, ran
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.person import PersonAnswer
from tests.scripts import BETTER, TASK, WRONG, World, summary

REFERENCE = "def add(a, b):\n    result = a + b\n    return result\n"
ORACLE = {**TASK, "reference": REFERENCE}
LEAK = "Why not def add(a, b) at last?"


def first(record: Record) -> tuple[Feedback, str]:
    """Return the first turn's feedback and the critic's words in it."""
    feedback = record.turns[0].feedback
    assert feedback is not None
    assert feedback.message is not None
    words, _, _ = record.text(feedback.message).partition("\n\nWhat happened when it ran: ")
    return feedback, words


async def criticised(*replies: str, critic: str = "simulated", **task: Any) -> Record:
    """Return a run of two turns whose critic gives these replies, call after call."""
    world = World(critic=ScriptedModel([replies], spec="scripted:critic"))
    return await world.solve({**TASK, **task}, critic=critic, limits={"turns": 2})


async def test_a_good_reply_is_given_as_it_is() -> None:
    feedback, words = first(await criticised(" It is wrong for 2. \n"))
    assert words == "It is wrong for 2."
    assert (feedback.kind, feedback.notes, len(feedback.calls)) == ("simulated", (), 1)
    assert feedback.calls[0].model == "scripted:critic"


async def test_the_result_of_the_run_follows_the_critics_words() -> None:
    record = await criticised("It is wrong for 2.")
    feedback, _ = first(record)
    assert feedback.message is not None
    result = describe(record.turns[0].execution)
    assert "expected 4, got 5" in result
    assert record.text(feedback.message) == (
        f"It is wrong for 2.\n\nWhat happened when it ran: {result}"
    )


async def test_settings_recorded_without_the_prompt_give_the_critics_words_alone() -> None:
    world = World(critic=ScriptedModel(["It is wrong for 2."]))
    recorded = Settings(critic="simulated").model_dump(mode="json")
    del recorded["prompts"]["critic_feedback"]
    prompts = Settings.model_validate(recorded).prompts
    record = await world.solve(critic="simulated", limits={"turns": 2}, prompts=prompts)
    feedback, _ = first(record)
    assert feedback.message is not None
    assert record.text(feedback.message) == "It is wrong for 2."


async def test_the_critic_sees_the_task_the_code_and_the_result() -> None:
    world = World(critic=ScriptedModel(["Wrong."]))
    await world.solve(ORACLE, critic="simulated", limits={"turns": 2})
    assert world.critic is not None
    system, question = world.critic.asked[0].messages
    assert (system.role, system.content) == ("system", installed_prompts()["critic_simulated"])
    shown = ("Add two numbers.", WRONG, "2 of 2 tests did not pass.")
    assert [part for part in shown if part not in question.content] == []
    assert "result = a + b" not in question.content


async def test_without_its_own_model_the_critic_uses_the_coders() -> None:
    world = World()
    await world.solve(critic="simulated", limits={"turns": 2})
    assert [request.at.role for request in world.coder.asked] == [
        "coder",
        "critic",
        "critic",
        "coder",
    ]


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("Use this: ```x = 1```", "it holds a code block"),
        ("One. Two. Three. Four.", "it has 4 sentences"),
        ("", "it is empty"),
    ],
)
async def test_a_reply_that_breaks_the_rules_is_asked_again(bad: str, problem: str) -> None:
    record = await criticised(bad, "Look at 2.")
    feedback, words = first(record)
    assert words == "Look at 2."
    assert feedback.notes == (f"reply 1: {problem}",)
    assert [record.text(call.response) for call in feedback.calls] == [bad, "Look at 2."]
    again = record.conversation(feedback.calls[1].messages)
    assert [message.role for message in again] == ["system", "user", "assistant", "user"]
    assert f"cannot be used: {problem}" in again[-1].content


async def test_a_second_bad_reply_is_cut_and_both_are_recorded() -> None:
    record = await criticised("A. B. C. D.", "Look here. ```x``` And here.")
    feedback, words = first(record)
    assert words == "Look here. And here."
    assert feedback.kind == "simulated"
    assert feedback.notes == (
        "reply 1: it has 4 sentences",
        "reply 2: it holds a code block",
        "cut to three sentences without code",
    )
    assert [call.at.number for call in feedback.calls] == [1, 2]


async def test_where_cutting_leaves_nothing_the_execution_speaks() -> None:
    feedback, words = first(await criticised("```x```", "```y```"))
    assert words.startswith("Execution result: 2 of 2 tests did not pass.")
    assert feedback.kind == "execution"
    assert feedback.notes[-1] == "dropped; the execution result was given instead"
    assert len(feedback.calls) == 2


async def test_the_oracle_sees_the_reference_and_the_coder_does_not() -> None:
    world = World(critic=ScriptedModel(["Look at the sum."]))
    await world.solve(ORACLE, critic="oracle", limits={"turns": 2})
    assert world.critic is not None
    assert REFERENCE.strip() in world.critic.asked[0].messages[-1].content
    said = [message.content for request in world.coder.asked for message in request.messages]
    assert "result = a + b" not in "".join(said)


async def test_a_leak_is_asked_again() -> None:
    feedback, words = first(await criticised(LEAK, "Look at the sum.", critic="oracle", **ORACLE))
    assert (feedback.kind, words) == ("oracle", "Look at the sum.")
    assert feedback.notes == ("reply 1: it gives away 'def add(a, b'",)


async def test_a_second_leak_is_dropped_for_the_execution() -> None:
    feedback, words = first(await criticised(LEAK, LEAK, critic="oracle", **ORACLE))
    assert feedback.kind == "execution"
    assert words.startswith("Execution result: ")
    assert feedback.notes[-1] == "dropped; the execution result was given instead"
    assert len(feedback.calls) == 2


async def test_a_leak_inside_a_block_is_gone_once_the_block_is_cut() -> None:
    bad = f"Look at the sum.\n```\n{REFERENCE}```"
    feedback, words = first(await criticised(bad, bad, critic="oracle", **ORACLE))
    assert (feedback.kind, words) == ("oracle", "Look at the sum.")


async def test_what_the_draft_already_says_is_no_leak() -> None:
    known = {"prompt": "Write `def add(a, b)` please.", "reference": REFERENCE}
    feedback, words = first(await criticised(LEAK, critic="oracle", **known))
    assert (words, feedback.notes) == (LEAK, ())


async def test_an_oracle_without_a_reference_is_refused_before_anything_is_asked() -> None:
    world = World(critic=ScriptedModel(["Wrong."]))
    with pytest.raises(InputError, match="the oracle critic needs a reference solution"):
        await world.solve(critic="oracle")
    assert world.coder.asked == []


async def test_a_persons_words_go_to_the_coder() -> None:
    person = ScriptedPerson(
        PersonAnswer(action="words", text="Print 3."), PersonAnswer(action="stop")
    )
    world = World(person=person)
    record = await world.solve(critic="human")
    feedback, words = first(record)
    assert (feedback.kind, feedback.action, words) == ("human", "words", "Print 3.")
    assert world.coder.asked[1].messages[-1].content == "Print 3."
    assert [question.turn for question in person.asked] == [1, 2]
    assert person.asked[0].code == WRONG
    assert "2 of 2 tests did not pass" in person.asked[0].result


async def test_a_persons_edit_is_run_as_the_next_turn() -> None:
    person = ScriptedPerson(PersonAnswer(action="edit", text=BETTER), PersonAnswer(action="stop"))
    world = World(person=person)
    record = await world.solve(critic="human")
    assert summary(record) == [
        "1 draft: print(1) | 0/2 | revise by tests | human edit",
        "2 draft: print(2) [a person] | 1/2 | revise by tests | human stop",
    ]
    assert len(world.coder.asked) == 1


@pytest.mark.parametrize(("action", "outcome"), [("approve", "solved"), ("stop", "stopped")])
async def test_a_persons_decision_ends_the_run(action: Any, outcome: str) -> None:
    world = World(
        runner=ScriptedRunner(default=ran("")), person=ScriptedPerson(PersonAnswer(action=action))
    )
    record = await world.solve(critic="human")
    (turn,) = record.turns
    assert turn.outcome is not None
    assert (turn.outcome.decision, turn.outcome.decided_by) == (outcome, "human")
    assert turn.verdict is not None
    assert turn.verdict.decided_by == "run"
