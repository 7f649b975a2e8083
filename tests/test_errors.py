"""The tree of errors: every exception class is drawn in it, or is private to its module."""

import ast
import builtins
from pathlib import Path

from opencodeinterpreter.tools import errors

ROOT = Path(__file__).parent.parent
ROOMS = ("cli", "graph", "nodes", "testing", "tools", "traces")
BUILT_IN = {
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}


def exception_classes() -> set[str]:
    """Return the names of all exception classes that are defined in the package."""
    bases: dict[str, set[str]] = {}
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef):
                    named = {base.id for base in node.bases if isinstance(base, ast.Name)}
                    bases.setdefault(node.name, set()).update(named)
    found = set(BUILT_IN)
    while more := {name for name, of in bases.items() if of & found} - found:
        found |= more
    return found - BUILT_IN


def test_every_exception_class_that_is_not_private_stands_in_the_tree() -> None:
    found = exception_classes()
    assert {"InputError", "AttemptFailed", "Diverged"} <= found
    drawn = errors.__doc__ or ""
    missing = {name for name in found if not name.startswith("_") and name not in drawn}
    assert not missing, f"add them to the docstring of tools/errors.py: {sorted(missing)}"
