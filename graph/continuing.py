"""Long work that is started again continues with the settings of its first start.

It can therefore continue after an update, although the package's prompts and versions may have
changed. The options of the command must be the same.
"""

from pathlib import Path

from pydantic import ValidationError

from opencodeinterpreter.nodes.prompts import installed_prompts
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.validation import first_problem


def check_continues(where: Path, held: Settings, asked: Settings) -> None:
    """Raise InputError that names the first option that differs from the first start.

    `where` is the folder of the work.
    """
    before, now = (each.model_dump(mode="json") for each in (held, asked))
    for name in sorted((before.keys() | now.keys()) - {"prompts", "versions"}):
        if before.get(name) != now.get(name):
            raise differs(where, name, before.get(name), now.get(name))
    installed = installed_prompts()
    for name, text in asked.prompts.items():
        if text != installed.get(name) and text != held.prompts.get(name):
            raise differs(where, f"prompt {name}", held.prompts.get(name), text)


def differs(where: Path, name: str, before: object, now: object) -> InputError:
    """Return the error for work that was started with another value."""
    return InputError(
        f"{where} was started with {name} {before!r}, not {now!r}; name another folder with --out"
    )


def read_settings(path: Path) -> Settings | None:
    """Return the settings in a file, `None` without the file; raises InputError if invalid."""
    try:
        return Settings.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error)}") from None
