"""The tree of errors, and the exit status that each branch of it has."""

import ast
import builtins
import subprocess
import sys
from pathlib import Path

import pytest
from langgraph.types import RetryPolicy

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


def test_every_public_exception_class_is_listed_in_the_tree() -> None:
    found = exception_classes()
    assert {"InputError", "AttemptFailed", "Diverged"} <= found
    drawn = errors.__doc__ or ""
    missing = {name for name in found if not name.startswith("_") and name not in drawn}
    assert not missing, f"add them to the docstring of tools/errors.py: {sorted(missing)}"


@pytest.mark.parametrize("kind", [errors.InputError, errors.SandboxError, errors.StoreError])
def test_a_server_tells_our_errors_and_does_not_try_again(
    kind: type[errors.OpenCodeInterpreterError],
) -> None:
    """LangGraph's server shows the words of a RuntimeError alone."""
    assert isinstance(kind("no such task"), RuntimeError)
    assert RetryPolicy().retry_on(kind("no such task")) is False  # type: ignore[operator]


ENDING = """
from opencodeinterpreter.cli.main import run
from opencodeinterpreter.tools.errors import InputError, SandboxError

def command():
    raise {error}

run(command)
"""


@pytest.mark.parametrize(
    ("error", "status", "last", "lines"),
    [
        ("InputError('no such task')", 2, "opencodeinterpreter: no such task", 1),
        ("SandboxError('it is gone')", 3, "opencodeinterpreter: sandbox: it is gone", 1),
        ("KeyboardInterrupt", 130, "", 0),
        ("ZeroDivisionError", 70, "opencodeinterpreter: this is a defect of the program: ", None),
    ],
)
def test_each_error_has_its_exit_status_and_only_a_defect_a_traceback(
    error: str, status: int, last: str, lines: int | None
) -> None:
    program = ENDING.format(error=error)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    said = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (status, "")
    assert "".join(said[-1:]).startswith(last)
    assert ("Traceback" in done.stderr) == (lines is None)
    assert lines in (None, len(said))
