"""The verbs as a group of commands, each imported when it is used.

All of them together take over a second of processor time to import; help needs none.
"""

import ast
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import ModuleType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from opencodeinterpreter.cli.grouping import flattened

VERBS = (
    "solve",
    "chat",
    "batch",
    "worker",
    "resume",
    "runs",
    "show",
    "view",
    "replay",
    "rerun",
    "rejudge",
    "branch",
    "diff",
    "export",
    "grade",
    "evaluate",
    "report",
    "dialogues",
    "train",
    "mcp",
    "demo",
    "doctor",
    "import",
    "models",
)
"""In the order of the help text; each is a function in the module of its name in `cli/verbs/`."""
_GROUPS = frozenset({"dialogues", "models", "runs", "train"})
"""Verbs with verbs of their own: their module's `app`."""


class VerbGroup(TyperGroup):
    """A group that knows its commands' names, and imports one when it is asked for."""

    def __init__(self, **attributes: Any) -> None:
        """Make the group with a stub for each verb."""
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name) for name in VERBS}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the verb's command; `None` for an unknown name."""
        return _command(cmd_name) if cmd_name in VERBS else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the names and summaries of all verbs, read from their sources."""
        stubs: dict[str, Any] = {name: TyperCommand(name, help=description(name)) for name in VERBS}
        TyperGroup(commands=stubs).format_commands(ctx, formatter)


def module_of(name: str) -> ModuleType:
    """Import the module of a verb; raises LookupError if it is missing."""
    _source(name)
    return import_module(f"opencodeinterpreter.cli.verbs.{_identifier(name)}")


def _command(name: str) -> Any:
    module = module_of(name)
    if name in _GROUPS:
        return typer.main.get_command(module.app)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command(name)(flattened(getattr(module, _identifier(name))))
    return typer.main.get_command(app)


def description(name: str) -> str:
    """Return the docstring of a verb's function without importing its module.

    Raises LookupError if the module, the function or the docstring is missing.
    """
    function = _identifier(name)
    for node in ast.parse(_source(name).read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            if found := ast.get_docstring(node):
                return found
            raise LookupError(f"{function} in cli/verbs/{function}.py needs a docstring")
    raise LookupError(f"cli/verbs/{function}.py needs a function {function!r}, the verb's own")


def _source(name: str) -> Traversable:
    file = files("opencodeinterpreter.cli.verbs") / f"{_identifier(name)}.py"
    if not file.is_file():
        raise LookupError(f"VERBS names {name!r}, but cli/verbs/{file.name} is missing")
    return file


def _identifier(name: str) -> str:
    """Return the name of a verb's module and function: `import` is a keyword."""
    return f"{name}_" if name == "import" else name
