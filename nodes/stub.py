"""Tasks that are function stubs: Python with a function to complete, imports and helpers."""

import ast
import textwrap
from functools import lru_cache

from opencodeinterpreter.tools.python_syntax import is_open, parsed

_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def is_stub(prompt: str) -> bool:
    """Return whether a prompt is Python code with a function to complete."""
    return any(is_open(node) for node in _statements(prompt))


def open_function(prompt: str) -> str | None:
    """Return the stub's function without a body; the last one if there are several."""
    names = [
        node.name for node in _statements(prompt) if isinstance(node, _FUNCTION) and is_open(node)
    ]
    return names[-1] if names else None


def completed(prompt: str, code: str) -> str:
    """Return `code` with the stub's imports and helpers that it uses and does not define.

    Models often answer a stub with the function alone, without the stub's imports.
    """
    module = parsed(code)
    if module is None or _is_body(module):
        code = _with_head(prompt, code)
        module = parsed(code)
    if module is None:
        return code
    defined = {name for node in module.body for name in _bound(node)}
    used = {node.id for node in ast.walk(module) if isinstance(node, ast.Name)}
    kept = [node for node in _statements(prompt) if not is_open(node)]
    used |= {name for node in kept if _is_nameless(node) for name in _bound(node)}
    # A helper may need another one.
    for node in reversed(kept):
        if _bound(node) & used - defined:
            used |= {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    needed = [
        ast.get_source_segment(prompt, node) or ast.unparse(node)
        for node in kept
        if _bound(node) & used - defined
    ]
    if not needed:
        return code
    lines, head = code.split("\n"), _head(module)
    return "\n".join([*lines[:head], *needed, "", "", *lines[head:]])


def _is_body(module: ast.Module) -> bool:
    """Return whether code is the body of a function without its signature."""
    return any(isinstance(node, ast.Return) for node in module.body)


def _with_head(prompt: str, code: str) -> str:
    """Return the stub's signature followed by `body`, if that is valid Python."""
    if not is_stub(prompt):
        return code
    body = textwrap.indent(textwrap.dedent(code.strip("\n")), "    ")
    whole = f"{prompt.rstrip()}\n{body}"
    return code if parsed(whole) is None else whole


def _head(module: ast.Module) -> int:
    """Return how many lines must stay first: the docstring and `__future__` imports."""
    lines = 0
    for node in module.body:
        match node:
            case ast.Expr(value=ast.Constant()) | ast.ImportFrom(module="__future__"):
                lines = node.end_lineno or lines
            case _:
                break
    return lines


def _bound(node: ast.stmt) -> set[str]:
    """Return the names that a top-level statement binds."""
    match node:
        case ast.ImportFrom() if _is_nameless(node):
            return {ast.unparse(node)}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {(alias.asname or alias.name).partition(".")[0] for alias in names}
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case _:
            return {
                inner.id
                for inner in ast.walk(node)
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
            }


def _is_nameless(node: ast.stmt) -> bool:
    """Return whether an import is needed even if no name uses it."""
    if not isinstance(node, ast.ImportFrom):
        return False
    return node.module == "__future__" or node.names[0].name == "*"


@lru_cache(maxsize=32)  # Each node of each turn asks about the same prompt.
def _statements(prompt: str) -> tuple[ast.stmt, ...]:
    """Return the statements of a prompt that is code, else none; nobody changes them."""
    module = parsed(prompt)
    return tuple(module.body) if module else ()
