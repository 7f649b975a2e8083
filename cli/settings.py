"""Options that change the settings of a run."""

import difflib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from pydantic import ValidationError

from opencodeinterpreter.cli.files import is_text, read_text
from opencodeinterpreter.nodes.records import CriticKind
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.opening import check_models
from opencodeinterpreter.tools.models.protocol import Role
from opencodeinterpreter.tools.validation import first_problem

MODEL_VARIABLE = "OPENCODEINTERPRETER_MODEL"
"""The environment variable that names the model if `--model` does not."""

SetOption = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any other setting by its dotted name, as in limits.tokens=20000, "
        "sampling.coder.temperature=0.8, sandbox.wall_seconds=5, client.timeout_seconds=60.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class SettingsOptions:
    """The settings that a command line changes; the others keep their values."""

    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            help="A model's spec, for coder and critic, or as ROLE=SPEC (coder, judge, critic).",
        ),
    ] = field(default_factory=list)
    critic: Annotated[
        CriticKind | None, typer.Option("--critic", help="Where feedback comes from.")
    ] = None
    turns: Annotated[int | None, typer.Option("--turns", min=1, help="The most turns.")] = None
    drafts: Annotated[
        int | None, typer.Option("--drafts", min=1, max=64, help="Drafts sampled in each turn.")
    ] = None
    prompt: Annotated[
        list[str],
        typer.Option("--prompt", metavar="NAME=FILE", help="Replace a prompt by a file's text."),
    ] = field(default_factory=list)
    setting: SetOption = field(default_factory=list)

    def fresh(self) -> Settings:
        """Return the settings of a new run; raises InputError that names the invalid one."""
        named = os.environ.get(MODEL_VARIABLE)
        options = replace(self, model=[named]) if named and not self.model else self
        return options.over(Settings())

    def over(self, base: Settings) -> Settings:
        """Return `base` with these changes; raises InputError that names the invalid one."""
        values = base.model_dump(mode="json")
        if self.model:
            values["models"] = _models(values["models"], self.model)
        if self.critic is not None:
            values["critic"] = self.critic
        if self.turns is not None:
            values["limits"]["turns"] = self.turns
        if self.drafts is not None:
            values["drafts"] = self.drafts
        for option in self.prompt:
            name, path = _pair("--prompt", option)
            values["prompts"][name] = read_text(Path(path), "prompt")
        for option in self.setting:
            _set(values, option)
        try:
            settings = Settings.model_validate(values)
        except ValidationError as error:
            problem = first_problem(error)
            if problem.kind == "extra_forbidden":
                named = (option.partition("=")[0] for option in self.setting)
                whole = (name for name in named if name.startswith(problem.place))
                raise InputError(_unknown(next(whole, problem.place))) from error
            raise InputError(f"setting {problem} (got {problem.value!r})") from error
        settings.check_prices()
        check_models(settings.models.values(), settings.client)
        return settings


def _unknown(place: str) -> str:
    """Return what to say of a setting that does not exist: the nearest one that does."""
    names = list(_dotted(Settings().model_dump(mode="json")))
    last = [name for name in names if name.rpartition(".")[2] == place.rpartition(".")[2]]
    near = last or difflib.get_close_matches(place, names, 1, 0.5)
    meant = f"; did you mean {near[0]}?" if near else "; docs/settings.md lists them all"
    return f"there is no setting {place}{meant}"


def _dotted(values: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping) and name not in ("prompts", "versions", "models"):
            yield from _dotted(value, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def _models(known: dict[str, str], options: Sequence[str]) -> dict[str, str]:
    """Return specs by role; one without a role is the coder's, and the critic follows it."""
    models = dict(known)
    for option in sorted(options, key=_names_a_role):
        role, _, spec = option.partition("=")
        if not _names_a_role(option):
            role, spec = "coder", option
            models.pop("critic", None)
        if role not in get_args(Role):
            roles = ", ".join(get_args(Role))
            raise InputError(f"unknown role {role!r} in --model {option}; there are {roles}")
        models[role] = spec
    return models


def _names_a_role(option: str) -> bool:
    role, equals, _ = option.partition("=")
    return bool(equals) and ":" not in role


def _set(values: dict[str, Any], option: str) -> None:
    name, text = _pair("--set", option)
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    *path, last = name.split(".")
    place = values
    for part in path:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise InputError(f"--set {option}: {part!r} is a value, not a group of settings")
    place[last] = value


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"{option} {text}: write NAME=VALUE")
    if not is_text(value):
        raise InputError(f"{option} {name}: the value is not UTF-8 text")
    return name, value
