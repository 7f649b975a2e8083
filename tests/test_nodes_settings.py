"""Settings: resolved once, recorded with a run, and named by their digest."""

import json

import pytest
from pydantic import ValidationError

from opencodeinterpreter.nodes.prompts import installed_prompts
from opencodeinterpreter.nodes.settings import Settings, settings_from
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.protocol import Sampling


def test_equal_settings_have_equal_digests_whatever_their_order() -> None:
    one = Settings(models={"coder": "a:b", "judge": "c:d"}, drafts=2)
    two = Settings(drafts=2, models={"judge": "c:d", "coder": "a:b"})
    assert one.digest == two.digest


@pytest.mark.parametrize(
    "change",
    [
        {"models": {"coder": "x:y"}},
        {"drafts": 2},
        {"critic": "none"},
        {"limits": {"turns": 6}},
        {"sampling": {"judge": {"seed": 1}}},
        {"prompts": {**installed_prompts(), "edited_code": "Mine."}},
    ],
)
def test_any_change_changes_the_digest(change: dict[str, object]) -> None:
    assert Settings.model_validate(change).digest != Settings().digest


def test_settings_survive_json() -> None:
    settings = Settings(models={"coder": "a:b"}, sampling={"coder": Sampling(top_p=0.5)})
    again = Settings.model_validate(json.loads(json.dumps(settings.model_dump(mode="json"))))
    assert again == settings
    assert again.digest == settings.digest


def test_package_versions_are_recorded() -> None:
    versions = Settings().versions
    assert {"opencodeinterpreter", "langgraph"} <= set(versions)
    assert versions["langgraph"][0].isdigit()


def test_there_is_no_judge_model_unless_one_is_named() -> None:
    assert set(Settings().models) == {"coder"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"models": {"judge": "a:b"}}, "no model for the coder; name one"),
        ({"prompts": {"judge": "$task"}}, "prompts are missing: coder_system"),
        ({"prompts": {**installed_prompts(), "judge": "$nonsense"}}, "uses $nonsense"),
    ],
)
def test_incoherent_settings_are_refused_with_the_way_out(
    fields: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words.replace("$", r"\$")):
        Settings.model_validate(fields)


@pytest.mark.parametrize("fields", [{"drafts": 0}, {"critic": "nobody"}, {"models": {"cook": "a"}}])
def test_values_out_of_range_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(fields)


def test_a_single_draft_is_greedy_and_several_are_spread_with_seeds_that_count_up() -> None:
    assert Settings().sampled("coder") == Sampling(temperature=0.0)
    several = Settings(drafts=3)
    drawn = [several.sampled("coder", number) for number in (1, 2, 3)]
    assert [sampling.seed for sampling in drawn] == [0, 1, 2]
    assert all(sampling.temperature == 0.8 for sampling in drawn)
    assert several.sampled("critic") == Sampling(temperature=0.0)


def test_a_roles_own_sampling_wins_and_its_seed_counts_up() -> None:
    settings = Settings(drafts=2, sampling={"coder": Sampling(temperature=0.3, seed=7)})
    assert settings.sampled("coder", 2) == Sampling(temperature=0.3, seed=8)


def test_a_graphs_context_may_be_settings_or_their_json_or_something_of_the_hosts() -> None:
    settings = Settings(drafts=2)
    assert settings_from(settings) is settings
    assert settings_from(settings.model_dump(mode="json")) == settings
    assert settings_from(None) is None
    assert settings_from(object()) is None
