"""Reduce an answer to the entry point and what it needs, as EvalPlus does before grading.

The rules are those of EvalPlus 0.3.1. Take the longest run of lines that parses. Of that, keep all
imports at the top level, and those functions (that return something), classes and assignments
which the entry point reaches.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from opencodeinterpreter.tools.python_syntax import parsed


@dataclass(frozen=True)
class _Definition:
    name: str | None
    text: str
    names: frozenset[str]
    """All names in it; it may depend on them."""


def sanitize(answer: str, entry_point: str | None = None) -> str:
    """Return the code in `answer` that `entry_point` needs; without one, all definitions.

    If nothing would remain, the longest run of lines that parses is returned.
    """
    code = longest_code(answer)
    tree = parsed(code)
    body = tree.body if tree else []
    imports = [_text(code, node) for node in body if _is_import(node)]
    definitions = list(_definitions(code, body))
    if entry_point:
        needed = _reached(entry_point, definitions)
        definitions = [each for each in definitions if each.name in needed]
    kept = "\n".join([*imports, *(each.text for each in definitions)]).strip()
    return kept or code


def longest_code(text: str) -> str:
    """Return the run of lines that parses as Python and has the most lines that are not empty."""
    lines = text.split("\n")
    for first, last in _runs(lines):
        run = "\n".join(lines[first : last + 1])
        if parsed(run) is not None:
            return run
    return lines[0]


def _runs(lines: Sequence[str]) -> list[tuple[int, int]]:
    """Return all runs of at least two lines, sorted by their lines that are not empty."""
    filled = [0]
    for line in lines:
        filled.append(filled[-1] + bool(line.strip()))
    runs = [
        (first, last)
        for first in range(len(lines))
        for last in range(first + 1, len(lines))
        if filled[last + 1] > filled[first]
    ]
    return sorted(runs, key=lambda run: (filled[run[0]] - filled[run[1] + 1], *run))


def _is_import(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module != "__future__"
    return isinstance(node, ast.Import)


def _definitions(code: str, body: Sequence[ast.stmt]) -> Iterator[_Definition]:
    """Yield the definitions at the top level; if a name has several, the first."""
    seen: set[str | None] = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.decorator_list or (not isinstance(node, ast.ClassDef) and not _returns(node)):
                continue
            name: str | None = node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            name = target.id if isinstance(target, ast.Name) else None
        else:
            continue
        if name not in seen:
            seen.add(name)
            yield _Definition(name, _text(code, node), frozenset(_names(node)))


def _returns(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.Return) for inner in ast.walk(node))


def _names(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.Attribute):
            yield inner.attr
        elif isinstance(inner, ast.arg | ast.keyword) and inner.arg:
            yield inner.arg


def _reached(entry_point: str, definitions: Sequence[_Definition]) -> set[str | None]:
    uses = {each.name: each.names for each in definitions}
    reached: set[str | None] = {entry_point}
    ahead = [entry_point]
    while ahead:
        for name in uses.get(ahead.pop(), frozenset()) - reached:
            reached.add(name)
            ahead.append(name)
    return reached


def _text(code: str, node: ast.stmt) -> str:
    return ast.get_source_segment(code, node) or ""
