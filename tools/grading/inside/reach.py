"""Which assertions of a file of tests would never run."""

import ast
from collections.abc import Iterable

_HOOKS = ("pytest_", "setup", "teardown", "setUp", "tearDown")


def holds_assertion(node: ast.AST) -> bool:
    """Return whether a piece of code asserts anything."""
    return any(isinstance(inner, ast.Assert) or _is_unittest(inner) for inner in ast.walk(node))


def _is_unittest(node: ast.AST) -> bool:
    """Return whether a node is a call like `self.assertEqual(...)`."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "self"
        and node.func.attr.startswith("assert")
    )


def is_main_guard(node: ast.stmt) -> bool:
    """Return whether a statement runs only where the file is the main program."""
    return isinstance(node, ast.If) and any(
        isinstance(inner, ast.Name) and inner.id == "__name__" for inner in ast.walk(node.test)
    )


def asserting_functions(tree: ast.Module) -> set[str]:
    """Return the functions of a file that assert something, themselves or by those they call."""
    functions = {node.name: node for node in tree.body if isinstance(node, _FUNCTIONS)}
    found = {name for name, node in functions.items() if holds_assertion(node)}
    while True:
        more = {name for name, node in functions.items() if _called(node) & found} - found
        if not more:
            return found
        found |= more


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _called(node: ast.AST) -> set[str]:
    return {
        inner.func.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name)
    }


def is_case(statement: ast.stmt, asserting: set[str]) -> bool:
    """Return whether a statement at the top level of a file is a test by itself."""
    if isinstance(statement, (*_FUNCTIONS, ast.ClassDef, ast.Import, ast.ImportFrom)):
        return False
    if is_main_guard(statement):
        return False
    return holds_assertion(statement) or bool(_called(statement) & asserting)


def names_of_tests(source: str) -> list[str]:
    """Return the tests that a file seems to hold, by its text alone; empty if it does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return []
    asserting = asserting_functions(tree)
    cases = [ast.unparse(node).splitlines()[0] for node in tree.body if is_case(node, asserting)]
    return cases + sorted(named_like_tests(tree))


def named_like_tests(tree: ast.Module) -> set[str]:
    """Return the functions and classes that pytest would collect by their names."""
    functions = {
        node.name for node in tree.body if isinstance(node, _FUNCTIONS) and node.name[:4] == "test"
    }
    return functions | {
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and (node.name.startswith("Test") or "TestCase" in map(ast.unparse, node.bases))
    }


def never_run(tree: ast.Module, collected: Iterable[str]) -> list[tuple[int, str]]:
    """Return line and place of each assertion that none of the `collected` functions reaches.

    `collected` are the names of functions and classes that pytest found. What these use by name is
    reached as well, and so are fixtures, hooks and the top level of the file.
    """
    named = {node.name: node for node in tree.body if isinstance(node, (*_FUNCTIONS, ast.ClassDef))}
    reached = {name for name in collected if name in named}
    reached |= {name for name, node in named.items() if _is_set_up(node)}
    top = [node for node in tree.body if not isinstance(node, (*_FUNCTIONS, ast.ClassDef))]
    pending: list[ast.AST] = [node for node in top if not is_main_guard(node)]
    pending += [named[name] for name in reached]
    while pending:
        for name in _names(pending.pop()) & named.keys() - reached:
            reached.add(name)
            pending.append(named[name])
    found: list[tuple[int, str]] = []
    for node in tree.body:
        if is_main_guard(node):
            found += [(line, "`if __name__ == ...`") for line in _lines(node)]
        elif getattr(node, "name", None) in named.keys() - reached:
            found += [(line, f"`{node.name}`") for line in _lines(node)]  # type: ignore[attr-defined]
    return found


def _is_set_up(node: ast.AST) -> bool:
    """Return whether pytest calls a function by itself: a fixture, a hook, a set-up."""
    if not isinstance(node, _FUNCTIONS):
        return False
    marks = " ".join(ast.unparse(decorator) for decorator in node.decorator_list)
    return "fixture" in marks or node.name.startswith(_HOOKS)


def _names(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _lines(node: ast.AST) -> list[int]:
    return [
        inner.lineno
        for inner in ast.walk(node)
        if isinstance(inner, ast.Assert) or (isinstance(inner, ast.Call) and _is_unittest(inner))
    ]
