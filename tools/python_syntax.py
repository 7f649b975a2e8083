"""Analyse Python code that a model wrote, without running it."""

import ast
import builtins
import symtable
import warnings

_EFFECTS = (ast.Call, ast.Await, ast.NamedExpr)
_BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__"}


def parsed(code: str) -> ast.Module | None:
    """Return the syntax tree of `code`, or `None` if it does not parse; never raises or warns."""
    try:
        with warnings.catch_warnings():
            # Warnings would appear on the user's terminal.
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def does_something(tree: ast.Module) -> bool:
    """Return whether any statement has an effect; comments, names and constants have none."""
    return any(_has_effect(statement) for statement in tree.body)


def _has_effect(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=value):
            return any(isinstance(node, _EFFECTS) for node in ast.walk(value))
        case ast.Pass():
            return False
        case ast.AnnAssign(value=value):
            return value is not None
        case _:
            return True


def is_open(node: ast.stmt) -> bool:
    """Return whether a function's body is only a docstring, `pass` or `...`."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return all(
        isinstance(line, ast.Pass)
        or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
        for line in node.body
    )


def defined_names(tree: ast.Module) -> frozenset[str]:
    """Return the functions and classes at the top level, and the methods of a class `Solution`."""
    names: set[str] = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name, body=body):
                names.add(name)
                if name == "Solution":
                    names |= {each.name for each in body if isinstance(each, ast.FunctionDef)}
            case ast.Assign(targets=[ast.Name(id=name)]):
                names.add(name)
    return frozenset(names)


def bound_and_free(code: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the global names that `code` binds, and those that it uses but does not bind."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            top = symtable.symtable(code, "<answer>", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset(), frozenset()
    bound = {
        symbol.get_name()
        for symbol in top.get_symbols()
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
    }
    used = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
    tables = list(top.get_children())
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            # `symtable` takes what is bound in a function named `top` for global as well.
            if symbol.is_declared_global() or (symbol.is_global() and not symbol.is_local()):
                (bound if symbol.is_declared_global() and symbol.is_assigned() else used).add(
                    symbol.get_name()
                )
    return frozenset(bound), frozenset(used - bound - _BUILTINS)
