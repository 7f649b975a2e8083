"""Find the function that a task asks for."""

import ast
import builtins
import keyword
import re

from opencodeinterpreter.nodes.stub import open_function
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.grading.tests import CaseTests, PythonTests, Tests
from opencodeinterpreter.tools.python_syntax import parsed

_CALL = re.compile(r"\b([A-Za-z_]\w*)\(")
_NOT_ASKED = frozenset(dir(builtins)) | frozenset(keyword.kwlist)


def entry_point_of(prompt: str, tests: Tests | None) -> str | None:
    """Return the function that a task asks for; `None` if it names none or several.

    This is the function without a body in a stub, else the only one that the tests import from
    `solution`, else the only name that the prompt calls as `name(…)`.
    """
    if (function := open_function(prompt)) is not None:
        return function
    imported = _imported(tests.source) if isinstance(tests, PythonTests) else set()
    called = {name for name in _CALL.findall(prompt) if name not in _NOT_ASKED}
    for names in (imported, called):
        if len(names) == 1:
            return names.pop()
    return None


def required_entry_point(prompt: str, tests: Tests | None, named: str | None) -> str | None:
    """Return the entry point of a new task.

    Raises InputError if there is none and the tests are cases that call a function.
    """
    if named is not None and (not named.isidentifier() or keyword.iskeyword(named)):
        raise InputError(f"the entry point {named[:100]!r} is not a name: write it as double")
    if named is not None or not isinstance(tests, CaseTests) or tests.of_stdin:
        return named
    if (found := entry_point_of(prompt, tests)) is None:
        raise InputError(
            "the cases call a function, and the task does not say which: name it with "
            "--entry-point NAME or the field `entry_point`, or call it in the task, as in double(x)"
        )
    return found


def _imported(source: str) -> set[str]:
    module = parsed(source)
    nodes = ast.walk(module) if module else ()
    return {
        name.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module == "solution"
        for name in node.names
        if name.name != "*"
    }
