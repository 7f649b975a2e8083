"""Settings: resolved once, recorded with a run, identified by their digest."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from opencodeinterpreter.nodes.coder import settings_in_force
from opencodeinterpreter.nodes.prompts import installed_prompts
from opencodeinterpreter.nodes.records import Record, Task
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.protocol import Sampling

DEFAULT = Settings()


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
        ({"prompts": {"jugde": "$task"}}, "unknown prompt 'jugde'"),
        ({"prompts": {**installed_prompts(), "judge": "$nonsense"}}, "uses $nonsense"),
    ],
)
def test_incoherent_settings_are_refused_with_a_remedy(
    fields: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words.replace("$", r"\$")):
        Settings.model_validate(fields)


def test_a_prompt_that_is_not_given_has_the_installed_text() -> None:
    assert Settings(prompts={"judge": "$task"}).prompts == {
        **installed_prompts(),
        "judge": "$task",
    }


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


@pytest.mark.parametrize("context", [None, {"user": "me"}, object()])
def test_a_hosts_own_context_is_not_read(context: object) -> None:
    assert settings_in_force(Record(tasks=(Task(prompt="x"),)), context, DEFAULT) is DEFAULT


def test_the_settings_in_a_graphs_context_are_used() -> None:
    settings = Settings(drafts=2)
    assert settings_in_force(Record(tasks=(Task(prompt="x"),)), settings, DEFAULT) is settings


def nested(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the fields of all settings, nested ones too."""
    tables = [schema, *schema["$defs"].values()]
    return [item for table in tables for item in table.get("properties", {}).items()]


def test_every_setting_has_a_title_and_a_description() -> None:
    fields = nested(Settings.model_json_schema())
    assert len(fields) > 30
    # A field that is a table of fields has the title of that table.
    assert [name for name, field in fields if not ("title" in field or "$ref" in field)] == []
    assert [name for name, field in fields if not field.get("description")] == []


def test_one_prompt_can_be_changed_alone() -> None:
    settings = Settings.model_validate({"prompts": {"coder_system": "Be brief."}})
    assert settings.prompts == {**installed_prompts(), "coder_system": "Be brief."}
