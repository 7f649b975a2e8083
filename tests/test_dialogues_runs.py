"""Runs as dialogues: what stands in them, what does not, and why a run gives none."""

import pytest

from opencodeinterpreter.graph.seeds import Edit, branch_seed
from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.testing import ScriptedModel, draft
from opencodeinterpreter.traces.dialogues.format import Dialogue, Dropped
from opencodeinterpreter.traces.dialogues.runs import dialogue_of
from opencodeinterpreter.traces.trace import Header, Trace, route_of
from tests.scripts import BETTER, RIGHT, WRONG, World
from tests.test_page import EXAMPLES, example

RUN = "00000000-0000-4000-8000-000000000000"


def trace_of(record: Record) -> Trace:
    header = Header(run=RUN, created="2026-01-01T00:00:00Z")
    return Trace(header=header, record=record, routes=tuple(map(route_of, record.turns)))


def packed(record: Record) -> Dialogue:
    found = dialogue_of(trace_of(record))
    assert isinstance(found, Dialogue), found
    return found


def roles(dialogue: Dialogue) -> list[str]:
    return [message.role for message in dialogue.messages]


async def test_failed_drafts_and_executions_stand_in_it_as_in_the_paper_s_dialogues() -> None:
    found = packed(await World().solve())
    assert roles(found) == ["user", "assistant"] * 3
    asked, wrong, first, better, second, right = (each.content for each in found.messages)
    assert asked.endswith("Add two numbers.")
    assert (wrong, better, right) == (draft(WRONG), draft(BETTER), draft(RIGHT))
    assert first.startswith("Execution result: 2 of 2 tests did not pass.")
    assert second.startswith("Execution result: 1 of 2 tests did not pass.")


async def test_its_provenance_names_run_turn_models_feedback_and_settings() -> None:
    critic = ScriptedModel(["It adds nothing."], spec="scripted:critic")
    record = await World(critic=critic).solve(critic="simulated")
    found = packed(record)
    assert found.messages[2].content.startswith(
        "It adds nothing.\n\nWhat happened when it ran: 2 of"
    )
    assert found.provenance.model_dump() == {
        "way": "interaction",
        "origin": f"run {RUN}",
        "run": RUN,
        "turn": 3,
        "model": "scripted:test",
        "first_model": "scripted:test",
        "critic": "simulated",
        "decided_by": "tests",
        "settings": record.turns[2].settings,
    }


async def test_a_repair_by_another_model_is_of_that_model() -> None:
    weak = World(coder=ScriptedModel([draft(WRONG)], spec="scripted:weak"))
    parent = await weak.solve(limits={"turns": 1})
    strong = World(coder=ScriptedModel([draft(RIGHT)], spec="scripted:strong"))
    edit = Edit(settings=strong.settings())
    found = packed(await strong.drive(branch_seed(parent, "weak", 1, edit)))
    assert (found.provenance.first_model, found.provenance.model) == (
        "scripted:weak",
        "scripted:strong",
    )
    assert roles(found) == ["user", "assistant"] * 2


async def test_what_the_coder_was_not_shown_is_not_in_it() -> None:
    found = packed(await World().solve(retry={"form": "fresh"}))
    assert [each.content for each in found.messages[1:]] == [draft(RIGHT)]
    assert found.provenance.critic == ""


async def test_a_person_s_edit_is_an_answer_that_no_model_gave() -> None:
    found = dialogue_of(example("branch_by_code"))
    assert isinstance(found, Dialogue)
    assert (found.provenance.first_model != "given", found.provenance.model) == (True, "given")


async def test_a_run_that_solved_nothing_gives_none_and_says_why() -> None:
    record = await World(coder=ScriptedModel([draft(WRONG)])).solve(limits={"turns": 1})
    found = dialogue_of(trace_of(record))
    assert isinstance(found, Dropped)
    assert (found.reason, found.detail) == ("not solved", "0 of 2 tests passed; turns: 1 of 1 used")


async def test_a_changed_trace_gives_none() -> None:
    changed = trace_of(await World().solve()).model_copy(update={"changed": 2})
    found = dialogue_of(changed)
    assert isinstance(found, Dropped)
    assert found.reason == "changed after it was written"


@pytest.mark.parametrize("name", [path.stem for path in EXAMPLES])
def test_every_example_is_a_dialogue_that_templates_take_or_says_why_not(name: str) -> None:
    found = dialogue_of(example(name))
    if isinstance(found, Dropped):
        assert found.reason == "not solved"
    else:
        assert roles(found) == ["user", "assistant"] * found.answers
