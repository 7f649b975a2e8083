"""Runs in the sandbox, in the examiner: prevents the tests from running the candidate's code.

The candidate's files reach the tests' work folder, and its texts their variables. A test that
imports such a file, or passes such a text to `eval` or `pickle`, would let the candidate decide.
"""

import ast
import sys
from collections.abc import Sequence
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from inspect import cleandoc
from pathlib import Path
from textwrap import dedent
from types import CodeType, ModuleType
from typing import Any

from opencodeinterpreter.tools.grading.inside.link import HarnessError, Link

_HARMLESS = (
    *(
        ast.Module,
        ast.Expr,
        ast.Constant,
        ast.BinOp,
        ast.UnaryOp,
        ast.BoolOp,
        ast.Compare,
        ast.IfExp,
    ),
    *(ast.List, ast.Tuple, ast.Dict, ast.Set, ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
    ast.Load,
)
_PLAIN_CLASSES = {
    "builtins": "bytearray complex frozenset list dict object range set slice tuple",
    "collections": "Counter OrderedDict defaultdict deque",
    "datetime": "date datetime time timedelta timezone",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "copyreg": "_reconstructor",
}
"""The classes that a test may unpickle."""


class OwnFilesAlone:
    """Finds no module itself, but ends a test that would import a module of the candidate."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return `None`, so that the next finder is asked; raises HarnessError."""
        spec = PathFinder.find_spec(name, path, target)
        origin = spec.origin if spec is not None else None
        if origin is not None and not self._link.runs(origin):
            raise self._link.fail(HarnessError(_refusal(f"import {name}", Path(origin).name)))
        return None


def guard(link: Link) -> None:
    """Start to watch what the tests import and run."""
    sys.meta_path.insert(0, OwnFilesAlone(link))

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if event == "exec":
            _check_file(link, given[0])
        elif event == "compile":
            _check_text(link, given[0])
        elif event == "pickle.find_class":
            _check_class(link, *given)
        elif event == "marshal.load":
            _check_reader(link)

    sys.addaudithook(hook)


def _check_file(link: Link, code: CodeType) -> None:
    name = code.co_filename
    if name[:1] != "<" and not link.runs(name):
        raise link.fail(HarnessError(_refusal("running it", Path(name).name)))


def _check_reader(link: Link) -> None:
    """Raise HarnessError for `runpy`, which also reads compiled code, under any name of a file."""
    if sys._getframe(2).f_globals.get("__name__") == "pkgutil":
        raise link.fail(HarnessError("a test runs a file of compiled code, not of text"))


def _check_text(link: Link, text: Any) -> None:
    """Raise HarnessError for code that is neither in the tests nor a constant expression."""
    asking = sys._getframe(2).f_code.co_filename
    if not link.is_of_tests(asking) or text is None:
        return
    if isinstance(text, str | bytes):
        shown = text if isinstance(text, str) else text.decode(errors="replace")
        if shown.strip() in _literals(Path(asking)) or _is_harmless(shown):
            return
    what = "a test runs text as code that is not its own: compare it, or use ast.literal_eval"
    raise link.fail(HarnessError(what))


@cache
def _literals(path: Path) -> frozenset[str]:
    """Return the texts in a file of the tests, each also without its indentation and by line."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8-sig"))):
        match node:
            case ast.Constant(value=str(text)):
                found |= {text, dedent(text), cleandoc(text), *text.splitlines()}
            case ast.Constant(value=bytes(content)):
                found.add(content.decode(errors="replace"))
            case _:
                pass
    return frozenset(text.strip() for text in found)


def _is_harmless(text: str) -> bool:
    try:
        tree = ast.parse(text.strip())
    except (SyntaxError, ValueError):
        return True  # it will not run
    except (RecursionError, MemoryError):
        return False  # Python may still be able to run it
    return all(isinstance(node, _HARMLESS) for node in ast.walk(tree))


def _check_class(link: Link, module: str, name: str) -> None:
    if name not in _PLAIN_CLASSES.get(module, "").split():
        what = f"a test unpickles {module}.{name}: only plain data can be unpickled here"
        raise link.fail(HarnessError(what))


def _refusal(what: str, file: str) -> str:
    return f"{what} would run {file}, a file that the program wrote, among the tests"
