"""How the coder is asked again: each form of a retry, its drafts and its sampling."""

from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.nodes.settings import Retry, Settings
from opencodeinterpreter.testing import (
    ScriptedModel,
    ScriptedPerson,
    ScriptedRunner,
    draft,
    graded,
    raised,
)
from opencodeinterpreter.tools.models.protocol import Sampling
from opencodeinterpreter.tools.person import PersonAnswer
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import trace_of
from tests.scripts import RIGHT, THREE_TURNS, WRONG, World

RESULT = (
    "Execution result: 2 of 2 tests did not pass.\n"
    "- test 1: failed\n  expected 4, got 5\n- test 2: failed\n  expected 4, got 5"
)


async def asked(form: str, world: World | None = None, **retry: Any) -> list[list[str]]:
    """Return the contents of the messages of each of the coder's requests."""
    world = world or World()
    await world.solve(retry={"form": form, **retry})
    return [[message.content for message in each.messages] for each in world.coder.asked]


async def test_a_dialogue_shows_every_draft_and_its_feedback() -> None:
    first, second, third = await asked("dialogue")
    assert second == [*first, THREE_TURNS[0], RESULT]
    assert third[:3] == second
    assert len(third) == 5


async def test_a_fresh_retry_asks_the_first_question_again() -> None:
    first, second, third = await asked("fresh")
    assert first == second == third
    assert len(first) == 1


async def test_without_its_draft_the_task_comes_with_the_last_feedback_alone() -> None:
    first, second, third = await asked("without_draft")
    assert [len(each) for each in (second, third)] == [1, 1]
    assert second[0].startswith(first[0])
    assert second[0].endswith(RESULT)
    assert third[0].count("Execution result:") == 1
    assert WRONG not in second[0]


async def test_by_error_shows_the_last_draft_after_an_error_and_none_after_a_wrong_answer() -> None:
    drafts = ["print(4)", "print(5)", WRONG, RIGHT]
    table = {
        "print(4)": raised("NameError", "name 'y' is not defined"),
        "print(5)": raised("NameError", "name 'z' is not defined"),
        WRONG: graded(False),
        RIGHT: graded(True),
    }
    world = World(
        coder=ScriptedModel([draft(code) for code in drafts]), runner=ScriptedRunner(table)
    )
    first, second, third, fourth = await asked("by_error", world)
    assert [len(each) for each in (second, third, fourth)] == [3, 3, 1]
    assert second[1] == draft("print(4)")
    assert third[1] == draft("print(5)")
    assert "name 'z' is not defined" in third[2]
    assert fourth == first


@pytest.mark.parametrize("form", ["fresh", "without_draft", "by_error"])
async def test_a_persons_words_always_come_with_the_draft_that_they_speak_of(form: str) -> None:
    person = ScriptedPerson(PersonAnswer(action="words", text="Line 1 is wrong."))
    world = World(coder=ScriptedModel([draft(WRONG), draft(RIGHT)]), person=person)
    await world.solve(critic="human", retry={"form": form})
    contents = [message.content for message in world.coder.asked[1].messages]
    assert contents[1:] == [draft(WRONG), "Line 1 is wrong."]


async def test_a_program_written_again_is_no_reason_to_stop_where_drafts_are_left_out() -> None:
    world = World(coder=ScriptedModel([draft(WRONG), draft(WRONG), draft(RIGHT)]))
    assert (await world.solve(retry={"form": "fresh"})).solved
    again = World(coder=ScriptedModel([draft(WRONG), draft(WRONG), draft(RIGHT)]))
    assert not (await again.solve()).solved


async def test_later_turns_have_drafts_and_seeds_of_their_own() -> None:
    world = World(coder=ScriptedModel([draft(WRONG)] * 7))
    await world.solve(retry={"form": "fresh", "drafts": 3}, limits={"turns": 3})
    sampling = [request.sampling for request in world.coder.asked]
    assert [each.temperature for each in sampling] == [0.0] + [0.8] * 6
    assert len({each.seed for each in sampling}) == 7


def test_a_coders_own_temperature_is_kept_in_a_retry() -> None:
    own = Sampling(temperature=0.3, seed=5)
    settings = Settings(sampling={"coder": own}, retry=Retry(form="fresh"))
    assert settings.sampled("coder", 1, turn=2) == Sampling(temperature=0.3, seed=5 + 64)


def test_a_dialogue_with_one_draft_stays_greedy() -> None:
    retry = Retry(form="dialogue", drafts=1)
    assert Settings(retry=retry).sampled("coder", 1, turn=2).temperature == 0.0


@pytest.mark.parametrize(
    ("coder", "critic", "form"),
    [
        ("local:qwen2.5-coder-0.5b", "execution", "without_draft"),
        ("local:model.gguf", "execution", "without_draft"),
        ("local:qwen2.5-coder-0.5b", "simulated", "dialogue"),
        ("local:qwen2.5-coder-0.5b", "oracle", "dialogue"),
        ("local:qwen2.5-coder-0.5b", "human", "dialogue"),
        ("openai:big@http://localhost:8000/v1", "execution", "dialogue"),
        ("scripted:local:replies.toml", "execution", "dialogue"),
    ],
)
def test_a_small_coder_is_not_shown_the_draft_whose_execution_failed(
    coder: str, critic: str, form: str
) -> None:
    settings = Settings.model_validate({"models": {"coder": coder}, "critic": critic})
    assert settings.retry_form == form
    chosen = settings.model_copy(update={"retry": Retry(form="by_error")})
    assert chosen.retry_form == "by_error"


def test_settings_recorded_before_retries_had_forms_mean_the_dialogue() -> None:
    settings = Settings(retry=Retry(form="dialogue"))
    recorded = settings.model_dump(mode="json")
    assert "retry" not in recorded
    read = Settings.model_validate(recorded)
    assert (read, read.digest) == (settings, settings.digest)
    assert Settings.model_validate(Settings().model_dump(mode="json")) == Settings()


def test_a_callers_partial_settings_have_the_default_retry() -> None:
    assert Settings.model_validate({"critic": "execution"}).retry == Retry()


@pytest.mark.parametrize("form", ["dialogue", "fresh", "without_draft", "by_error"])
async def test_a_run_of_each_form_replays_to_the_same_record(form: str, tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "store.sqlite")) as store:
        run = await World().run(store, retry={"form": form, "drafts": 1})
    assert (await replay(trace_of(run))).identical
