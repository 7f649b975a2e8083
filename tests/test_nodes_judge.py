"""The judge: tests decide, else a judge model, else how the program ended; limits stop the run."""

import json
from typing import Any

import pytest

from opencodeinterpreter.nodes.records import Verdict
from opencodeinterpreter.testing import (
    ScriptedModel,
    ScriptedPerson,
    ScriptedRunner,
    draft,
    graded,
    raised,
    ran,
)
from opencodeinterpreter.tools.person import PersonAnswer
from tests.scripts import RIGHT, TABLE, WRONG, World, summary

YES = json.dumps({"solved": True, "reason": "It adds."})
NO = json.dumps({"solved": False, "reason": "It subtracts."})


async def verdicts(world: World, **fields: Any) -> list[Verdict]:
    """Return the verdicts of a run, one a turn."""
    record = await world.solve(**fields)
    return [turn.verdict for turn in record.turns if turn.verdict]


def judged(*answers: str, runner: ScriptedRunner | None = None) -> World:
    """Return a world whose judge gives these answers, call after call, at each turn."""
    coder = ScriptedModel([draft(WRONG)])
    judge = ScriptedModel([answers], spec="scripted:judge")
    return World(coder=coder, judge=judge, runner=runner or ScriptedRunner(default=ran("4")))


async def test_tests_decide_and_are_counted() -> None:
    first, second, third = await verdicts(World())
    assert (first.decision, first.decided_by) == ("revise", "tests")
    assert first.reason == "0 of 2 tests passed"
    assert second.reason == "1 of 2 tests passed"
    assert (third.decision, third.reason) == ("solved", "2 of 2 tests passed")


async def test_no_model_is_asked_if_there_are_tests() -> None:
    world = judged(YES, runner=ScriptedRunner(TABLE))
    (verdict,) = await verdicts(world, limits={"turns": 1})
    assert world.judge is not None
    assert world.judge.asked == []
    assert verdict.decision == "stopped"


async def test_no_tests_at_all_never_solve() -> None:
    world = World(runner=ScriptedRunner(default=graded()))
    (verdict,) = await verdicts(world, limits={"turns": 1})
    assert verdict.decision == "stopped"


async def test_a_clean_run_solves_where_nothing_else_decides_and_says_so() -> None:
    (verdict,) = await verdicts(World(runner=ScriptedRunner(default=ran("4"))))
    assert (verdict.decision, verdict.decided_by) == ("solved", "run")
    assert verdict.reason == "ran without error; nothing was checked"


async def test_a_run_that_failed_is_revised_and_named() -> None:
    runner = ScriptedRunner({WRONG: raised("ValueError", "bad")}, default=ran("4"))
    first, _ = await verdicts(World(runner=runner))
    assert (first.decision, first.reason) == ("revise", "ended as error: ValueError")


async def test_a_response_without_code_is_revised_without_asking_a_model() -> None:
    world = judged(YES)
    world.coder = ScriptedModel(["Prose.", draft(RIGHT)])
    first, second = await verdicts(world)
    assert (first.decision, first.decided_by) == ("revise", "run")
    assert "no code" in first.reason
    assert first.calls == ()
    assert second.decided_by == "model"


async def test_a_model_named_for_the_judge_decides_without_tests() -> None:
    world = judged(YES)
    (verdict,) = await verdicts(world)
    assert (verdict.decision, verdict.decided_by, verdict.reason) == ("solved", "model", "It adds.")
    assert world.judge is not None
    (request,) = world.judge.asked
    shown = request.messages[-1].content
    assert [part for part in ("Add two numbers.", WRONG, "4") if part not in shown] == []
    assert request.json_schema is not None
    assert set(request.json_schema["required"]) == {"solved", "reason"}


async def test_its_no_is_revised() -> None:
    first, *_ = await verdicts(judged(NO), limits={"turns": 2})
    assert (first.decision, first.reason) == ("revise", "It subtracts.")


@pytest.mark.parametrize(
    "answer",
    [
        f"```json\n{YES}\n```",
        f"Here is my answer: {YES}",
        f"\n\n{YES}\n",
        '{"solved": true, "reason": "It adds.", "confidence": 0.9}',
        '{"solved": true,\n"reason": "It adds.\x00"}',
    ],
)
async def test_json_may_come_in_a_fence_in_words_or_with_control_characters(answer: str) -> None:
    (verdict,) = await verdicts(judged(answer))
    assert (verdict.decision, len(verdict.calls)) == ("solved", 1)


@pytest.mark.parametrize(
    "answer",
    [
        "It looks right to me.",
        f"Here is my answer: {YES} I hope it helps.",
        "",
        '{"solved": "yes", "reason": "It adds."}',
        '{"solved": 1, "reason": "It adds."}',
        '{"solved": true}',
        '{"solved": true, "reason": null}',
        "[true]",
        "{" * 5000,
    ],
)
async def test_an_invalid_answer_is_asked_again_once(answer: str) -> None:
    world = judged(answer, YES)
    (verdict,) = await verdicts(world)
    assert (verdict.decision, len(verdict.calls)) == ("solved", 2)
    assert world.judge is not None
    again = world.judge.asked[1].messages
    assert [message.role for message in again] == ["user", "assistant", "user"]
    assert again[1].content == answer
    assert "That answer is not a JSON object" in again[2].content


async def test_two_invalid_answers_are_taken_as_not_solved() -> None:
    first, *_ = await verdicts(judged("Yes.", "Yes!"), limits={"turns": 2})
    assert (first.decision, first.decided_by, len(first.calls)) == ("revise", "model", 2)
    assert first.reason.startswith("the judge gave no valid answer (")


async def test_limits_stop_what_would_go_on_and_keep_its_reason() -> None:
    first, last = await verdicts(World(), limits={"turns": 2})
    assert first.decision == "revise"
    assert (last.decision, last.decided_by) == ("stopped", "limits")
    assert last.reason == "1 of 2 tests passed; turns: 2 of 2 used"


async def test_limits_never_overrule_a_solution() -> None:
    *_, last = await verdicts(World(), limits={"turns": 3})
    assert last.decision == "solved"


async def test_the_calls_of_all_roles_count() -> None:
    world = World(critic=ScriptedModel(["Look at it again."]))
    found = await verdicts(world, critic="simulated", limits={"calls": 3})
    assert [verdict.decision for verdict in found] == ["revise", "stopped"]
    assert "model calls: 3 of 3 used" in found[-1].reason


async def test_a_repeated_mistake_stops() -> None:
    record = await World(coder=ScriptedModel([draft(WRONG)])).solve()
    assert summary(record) == [
        "1 draft: print(1) | 0/2 | revise by tests | execution",
        "2 draft: print(1) | 0/2 | stopped by limits",
    ]


async def test_without_a_critic_there_is_one_turn() -> None:
    (verdict,) = await verdicts(World(), critic="none")
    assert (verdict.decision, verdict.decided_by) == ("stopped", "limits")
    assert "there is no critic" in verdict.reason


async def test_a_person_is_asked_even_about_a_clean_run() -> None:
    person = ScriptedPerson(PersonAnswer(action="approve"))
    world = World(runner=ScriptedRunner(default=ran("4")), person=person)
    record = await world.solve(critic="human")
    assert summary(record) == ["1 draft: print(1) | ok | revise by run | human approve"]
    assert person.asked[0].verdict == "ran without error; nothing was checked; a person decides"


async def test_a_person_is_asked_even_about_a_models_yes() -> None:
    world = judged(YES)
    world.person = ScriptedPerson(PersonAnswer(action="stop"))
    record = await world.solve(critic="human")
    assert summary(record) == ["1 draft: print(1) | ok | revise by model | human stop"]


async def test_tests_solve_without_asking_the_person() -> None:
    person = ScriptedPerson()
    world = World(coder=ScriptedModel([draft(RIGHT)]), person=person)
    record = await world.solve(critic="human")
    assert summary(record) == ["1 draft: print(3) | 2/2 | solved by tests"]
    assert person.asked == []
