"""Prompt texts: the files beside the nodes, each replaceable by a setting of the same name.

`$name` stands for a value (`string.Template`), so braces in code need no care.
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
    "task_examples": frozenset({"examples"}),
    "execution_result": frozenset({"result"}),
    "critic_simulated": frozenset(),
    "critic_oracle": frozenset(),
    "critic_question": frozenset({"task", "code", "result"}),
    "critic_reference": frozenset({"reference"}),
    "critic_again": frozenset({"problems"}),
    "edited_code": frozenset(),
    "judge": frozenset({"task", "code", "result", "fence"}),
    "judge_again": frozenset({"problem"}),
}
"""Every prompt's name and the values that it may use."""


def installed_prompts() -> dict[str, str]:
    """Return the texts that came with the package, by name; the files are read once."""
    return dict(_texts())


@cache
def _texts() -> Mapping[str, str]:
    folder = files("opencodeinterpreter.nodes") / "prompts"
    return {
        name: (folder / f"{name}.txt").read_text("utf-8").removesuffix("\n")
        for name in PLACEHOLDERS
    }


def check_prompts(texts: Mapping[str, str]) -> None:
    """Refuse an unknown prompt, an unknown `$value` or a stray `$`; raises InputError."""
    for name, text in texts.items():
        if name not in PLACEHOLDERS:
            raise InputError(f"unknown prompt {name!r}; there are {', '.join(PLACEHOLDERS)}")
        template = Template(text)
        if not template.is_valid():
            raise InputError(f"prompt {name!r} has a stray '$'; write '$$' for the character")
        if unknown := set(template.get_identifiers()) - PLACEHOLDERS[name]:
            allowed = ", ".join(f"${value}" for value in sorted(PLACEHOLDERS[name])) or "no values"
            wrong = ", ".join(f"${value}" for value in sorted(unknown))
            raise InputError(f"prompt {name!r} uses {wrong}; it may use {allowed}")


def fill(texts: Mapping[str, str], name: str, **values: str) -> str:
    """Return the named prompt with its values put in."""
    return Template(texts[name]).substitute(values)
