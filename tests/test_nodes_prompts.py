"""Prompts: text files that settings can replace, and errors for invalid ones."""

from importlib.resources import files

import pytest

from opencodeinterpreter.nodes.prompts import (
    PLACEHOLDERS,
    check_prompts,
    fill,
    installed_prompts,
    prompt_file,
)
from opencodeinterpreter.tools.errors import InputError

KINDS = (
    "syntax",
    "efficiency",
    "functionality",
    "clarity",
    "bugs",
    "security",
    "compatibility",
    "resource",
    "scalability",
    "best practices",
)


@pytest.mark.parametrize("name", PLACEHOLDERS)
def test_each_installed_prompt_shows_every_value_that_it_may_use(name: str) -> None:
    values = {value: f"<{value}: {{braces}} and $dollars>" for value in PLACEHOLDERS[name]}
    text = fill(installed_prompts(), name, **values)
    shown = {value for value, filled in values.items() if filled in text}
    assert PLACEHOLDERS[name] - shown == ({"examples"} if name == "task_examples" else set())


def test_every_file_of_a_prompt_is_named_in_the_table() -> None:
    folder = files("opencodeinterpreter.nodes") / "prompts"
    texts = {each.name for each in folder.iterdir() if each.name.endswith(".txt")}
    assert texts == {f"{name}.txt" for name in PLACEHOLDERS}, "PLACEHOLDERS names every prompt"


def test_the_installed_prompts_are_all_accepted() -> None:
    check_prompts(installed_prompts())


def test_a_prompt_without_its_file_is_named() -> None:
    with pytest.raises(LookupError, match=r"'chorus', but nodes/prompts/chorus\.txt is missing"):
        prompt_file("chorus")


def test_feedback_from_execution_begins_as_in_the_paper() -> None:
    text = fill(installed_prompts(), "execution_result", result="4")
    assert text == "Execution result: 4"


@pytest.mark.parametrize("name", ["critic_simulated", "critic_oracle"])
def test_critics_are_told_the_papers_rules(name: str) -> None:
    text = installed_prompts()[name]
    assert "at most three sentences" in text
    assert "no code" in text
    assert [kind for kind in KINDS if kind not in text] == []


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("coder_sistem", "x", "unknown prompt 'coder_sistem'; use one of coder_system, task_"),
        (
            "judge",
            "$task and $tests",
            "prompt 'judge' uses $tests; it may use $code, $fence, $result, $",
        ),
        ("edited_code", "my $code", "prompt 'edited_code' uses $code; it may use no values"),
        ("judge", "costs 5$", "prompt 'judge' has a stray '$'; write '$$' for a dollar sign"),
        ("judge", "${task", "prompt 'judge' has a stray '$'"),
    ],
)
def test_a_prompt_that_cannot_be_filled_is_refused(name: str, text: str, words: str) -> None:
    with pytest.raises(InputError) as refused:
        check_prompts({name: text})
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_two_dollars_stand_for_one() -> None:
    texts = {"execution_result": "$$5: $result"}
    check_prompts(texts)
    assert fill(texts, "execution_result", result="$x") == "$5: $x"
