"""Runs in the sandbox, in the examiner: find out whether an exception skipped a check.

The candidate can suppress an exception of the tests (in its `__exit__`, or in a function that calls
back); it must not skip a check in this way. A check is skipped if it is on or after the line at
which the exception left the tests' code.
"""

import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from opencodeinterpreter.tools.grading.inside.reach import (
    FUNCTIONS,
    asserting_functions,
    checks,
)

_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_BRANCHES = (*_LOOPS, ast.If, ast.Match, ast.Try)


def decides(error: BaseException) -> bool:
    """Return whether an exception is itself the outcome of a check, or ends the tests."""
    return isinstance(error, AssertionError) or not isinstance(error, Exception)


def loses_check_in_function(error: BaseException, folder: str) -> bool:
    """Return whether an exception left a function of the tests at or before a check."""
    return decides(error) or any(map(_lost_in_function, _entries(error, folder)))


def loses_check_in_with(error: BaseException, folder: str) -> bool:
    """Return whether an exception left the body of the caller's `with` before a check.

    In such a body, a conditional `raise` is a check too.
    """
    entries = list(_entries(error, folder))
    if decides(error) or not entries:
        return True
    return _lost_in_with(entries[0]) or any(map(_lost_in_function, entries[1:]))


def _entries(error: BaseException, folder: str) -> Iterator[TracebackType]:
    """Yield the entries of an error's traceback that are in files below `folder`."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith(folder):
            yield trace
        trace = trace.tb_next


def _lost_in_function(entry: TracebackType) -> bool:
    tree = _tree(entry)
    if tree is None:
        return True
    kinds = ast.Lambda if entry.tb_frame.f_code.co_name == "<lambda>" else FUNCTIONS
    around = [node for node in ast.walk(tree) if isinstance(node, kinds) and _spans(node, entry)]
    innermost: Any = max(around, key=_starts, default=tree)
    if isinstance(innermost, ast.Lambda):
        # One line may have several.
        return any(_has_check(tree, [node], entry) for node in around)
    return _has_check(tree, innermost.body, entry)


def _lost_in_with(entry: TracebackType) -> bool:
    tree = _tree(entry)
    if tree is None:
        return True
    ends_at = _line_in(entry.tb_frame)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.With | ast.AsyncWith)
            and node.lineno <= ends_at < node.body[0].lineno
            and _spans(node, entry)
        ):
            return _raises_under_condition(node.body, entry) or _has_check(tree, node.body, entry)
    return _lost_in_function(entry)


def _line_in(frame: FrameType) -> int:
    """Return the current line of a frame of the current stack."""
    now: FrameType | None = sys._getframe(1)
    while now is not None and now is not frame:
        now = now.f_back
    return now.f_lineno if now else -1


def _has_check(tree: ast.Module, body: Sequence[ast.AST], entry: TracebackType) -> bool:
    """Return whether `body` has a check on an entry's line or after it."""
    asserting = asserting_functions(tree)
    line = _first_line_lost(body, entry)
    return any(_ends(check) >= line for part in body for check in checks(part, asserting))


def _raises_under_condition(body: Sequence[ast.AST], entry: TracebackType) -> bool:
    line = _first_line_lost(body, entry)
    return any(
        isinstance(inner, ast.Raise) and _ends(inner) >= line
        for outer in _inner(body)
        if isinstance(outer, _BRANCHES)
        for inner in ast.walk(outer)
    )


def _first_line_lost(body: Sequence[ast.AST], entry: TracebackType) -> int:
    """Return the line where the skipped code starts: an entry's line, or the loop around it."""
    loops = (part for part in _inner(body) if isinstance(part, _LOOPS) and _spans(part, entry))
    return min((_starts(loop) for loop in loops), default=entry.tb_lineno)


def _inner(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    for statement in body:
        yield from ast.walk(statement)


def _starts(part: ast.AST) -> int:
    return getattr(part, "lineno", 0)


def _ends(part: ast.AST) -> int:
    return getattr(part, "end_lineno", None) or _starts(part)


def _spans(part: ast.AST, entry: TracebackType) -> bool:
    return _starts(part) <= entry.tb_lineno <= _ends(part)


def _tree(entry: TracebackType) -> ast.Module | None:
    """Return the text of an entry's file; `None` if it cannot be read."""
    try:
        return ast.parse(Path(entry.tb_frame.f_code.co_filename).read_text("utf-8-sig"))
    except (OSError, ValueError, SyntaxError, RecursionError):
        return None
