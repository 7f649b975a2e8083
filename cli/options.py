"""Options that several verbs share, and the settings that they stand for."""

import errno
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from pydantic import ValidationError

from opencodeinterpreter.nodes.records import CriticKind
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.opening import check_models
from opencodeinterpreter.tools.models.protocol import Role
from opencodeinterpreter.tools.sandbox.opening import SANDBOX_VARIABLE, SandboxName
from opencodeinterpreter.tools.validation import first_problem

MODEL_VARIABLE = "OPENCODEINTERPRETER_MODEL"
"""Names the model that `solve` asks where none is given."""


def default_store() -> str:
    """Return the path of the store that is used where none is named."""
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return str(Path(home) / "opencodeinterpreter" / "runs.sqlite")


def _positive(seconds: float | None) -> float | None:
    if seconds is not None and not 0 < seconds < math.inf:
        raise typer.BadParameter(f"{seconds} is no number of seconds")
    return seconds


RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or its beginning.")]
StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="OPENCODEINTERPRETER_STORE",
        default_factory=default_store,
        show_default="$XDG_DATA_HOME/opencodeinterpreter/runs.sqlite",
        help="Where runs are kept: an SQLite file or a postgresql:// URL.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
ModelOption = Annotated[
    list[str],
    typer.Option(
        "--model",
        "-m",
        help="A model's spec, for coder and critic, or as ROLE=SPEC (coder, judge, critic).",
    ),
]
CriticOption = Annotated[
    CriticKind | None, typer.Option("--critic", help="Where feedback comes from.")
]
TurnsOption = Annotated[int | None, typer.Option("--turns", min=1, help="Turns at most.")]
DraftsOption = Annotated[
    int | None, typer.Option("--drafts", min=1, max=64, help="Drafts sampled in each turn.")
]
SetOption = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any other setting by its dotted name, as in limits.tokens=20000, "
        "sampling.coder.temperature=0.8, sandbox.wall_seconds=5, client.timeout_seconds=60.",
    ),
]
PromptOption = Annotated[
    list[str],
    typer.Option("--prompt", metavar="NAME=FILE", help="Replace a prompt by a file's text."),
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the final code here.")
]
SandboxOption = Annotated[
    SandboxName,
    typer.Option(
        "--sandbox",
        envvar=SANDBOX_VARIABLE,
        help="Where code runs: here, fully isolated or, weaker, reduced; or on E2B.",
    ),
]
TrustOption = Annotated[
    bool, typer.Option("--trust", help="Use the settings of a run that was imported from a trace.")
]
DeadlineOption = Annotated[
    float | None,
    typer.Option(
        "--deadline",
        metavar="SECONDS",
        callback=_positive,
        help="Stop after this long; resume later.",
    ),
]


def settings_with(
    base: Settings,
    models: Sequence[str],
    critic: CriticKind | None,
    turns: int | None,
    drafts: int | None,
    prompts: Sequence[str],
    others: Sequence[str],
) -> Settings:
    """Return `base` with the options given; raises InputError that names the wrong one."""
    values = base.model_dump(mode="json")
    if models:
        values["models"] = _models(values["models"], models)
    if critic is not None:
        values["critic"] = critic
    if turns is not None:
        values["limits"]["turns"] = turns
    if drafts is not None:
        values["drafts"] = drafts
    for option in prompts:
        name, path = _pair("--prompt", option)
        values["prompts"][name] = read_text(Path(path), "prompt")
    for option in others:
        _set(values, option)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problem = first_problem(error)
        raise InputError(f"setting {problem} (got {problem.value!r})") from error
    check_models(settings.models.values(), settings.client)
    return settings


def is_text(argument: str) -> bool:
    """Return whether an argument of the command line was UTF-8: a store can hold nothing else."""
    return argument.encode("utf-8", "replace").decode() == argument


def read_text(path: Path, what: str) -> str:
    """Return a file's text; raises InputError that names what it was to be."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise InputError(f"cannot read {what} file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{what} file {path} is not UTF-8 text") from error


def read_code(path: Path, what: str) -> str:
    """Return a file's text as `read_text` does; raises InputError for an empty file too."""
    text = read_text(path, what)
    if not text.strip():
        raise InputError(f"{what} file {path} is empty")
    return text


def check_output(path: Path | None) -> None:
    """Raise InputError, before anything is run, where `path` cannot be written."""
    if path is None or (_is_special(path) and os.access(path, os.W_OK)):
        return
    if path.is_dir() or not path.name:
        raise InputError(f"cannot write {path}: it is a folder")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"cannot write {path}: {os.strerror(errno.EACCES)} in {path.parent}")


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all, a device or pipe as it is; raises InputError."""
    target = path if _is_special(path) else path.resolve()
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        if target is path:
            path.write_text(text, "utf-8")
        else:
            partial.write_text(text, "utf-8")
            partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _models(known: dict[str, str], options: Sequence[str]) -> dict[str, str]:
    """Return specs by role: one without a role is the coder's, whom the critic follows."""
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
            raise InputError(f"--set {option}: {part!r} has no parts")
    place[last] = value


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"{option} {text}: write NAME=VALUE")
    if not is_text(value):
        raise InputError(f"{option} {name}: the value is not UTF-8 text")
    return name, value
