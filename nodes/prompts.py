"""Prompt texts: files in `prompts/`, each replaceable by a setting of the same name.

`$name` stands for a value (`string.Template`), so braces in code need no escaping.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from string import Template

from opencodeinterpreter.tools.errors import InputError

PLACEHOLDERS: Mapping[str, frozenset[str]] = {
    "coder_system": frozenset(),
    "task_function": frozenset({"prompt"}),
    "task_words": frozenset({"prompt"}),
    "task_session": frozenset({"prompt"}),
    "task_examples": frozenset({"assertions", "examples"}),
    "task_files": frozenset({"files"}),
    "execution_result": frozenset({"result"}),
    "retry_without_draft": frozenset({"feedback"}),
    "critic_simulated": frozenset(),
    "critic_oracle": frozenset(),
    "critic_question": frozenset({"task", "code", "result"}),
    "critic_reference": frozenset({"reference"}),
    "critic_again": frozenset({"problems"}),
    "critic_feedback": frozenset({"words", "result"}),
    "edited_code": frozenset(),
    "judge": frozenset({"task", "code", "result", "fence"}),
    "judge_again": frozenset({"problem"}),
}
"""Every prompt's name and the values that it may use.

`$assertions` are the tests, shortened to their assertions if they hold nothing else; `$examples`
the tests as they stand, for prompts of older records.
"""
OLDER: Mapping[str, str] = {"critic_feedback": "$words"}
"""What a prompt was, in effect, for settings that were recorded before it had a name."""


def installed_prompts() -> dict[str, str]:
    """Return the package's own texts by name; the files are read once."""
    return dict(_texts())


@cache
def _texts() -> Mapping[str, str]:
    return {name: prompt_file(name) for name in PLACEHOLDERS}


def prompt_file(name: str) -> str:
    """Return a prompt's own text; raises LookupError if it has no file."""
    file = files("opencodeinterpreter.nodes") / "prompts" / f"{name}.txt"
    if not file.is_file():
        raise LookupError(f"PLACEHOLDERS names {name!r}, but nodes/prompts/{name}.txt is missing")
    return file.read_text("utf-8").removesuffix("\n")


def check_prompts(texts: Mapping[str, str]) -> None:
    """Raise InputError for an unknown prompt, an unknown `$value` or a stray `$`."""
    for name, text in texts.items():
        if name not in PLACEHOLDERS:
            raise InputError(f"unknown prompt {name!r}; use one of {', '.join(PLACEHOLDERS)}")
        template = Template(text)
        if not template.is_valid():
            raise InputError(f"prompt {name!r} has a stray '$'; write '$$' for a dollar sign")
        if unknown := set(template.get_identifiers()) - PLACEHOLDERS[name]:
            allowed = ", ".join(f"${value}" for value in sorted(PLACEHOLDERS[name])) or "no values"
            wrong = ", ".join(f"${value}" for value in sorted(unknown))
            raise InputError(f"prompt {name!r} uses {wrong}; it may use {allowed}")


def fill(texts: Mapping[str, str], name: str, **values: str) -> str:
    """Return the named prompt with its values filled in."""
    return Template(texts[name]).substitute(values)
