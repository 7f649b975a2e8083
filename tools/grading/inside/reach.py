"""Find the assertions in a test file, and the tests that pytest would collect, from its text."""

import ast
from collections.abc import Container, Iterable, Iterator

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
HOOKS = frozenset(
    [f"{what}_{where}" for what in ("setup", "teardown") for where in ("module", "function")]
    + [f"{what}_{where}" for what in ("setup", "teardown") for where in ("class", "method")]
    + [f"{what}{where}" for what in ("setUp", "tearDown") for where in ("", "Class", "Module")]
    + ["asyncSetUp", "asyncTearDown", "runTest", "pytest_generate_tests"]
)
"""Functions that pytest and unittest call by name."""
_EXPECTING = frozenset({"raises", "warns", "deprecated_call", "fail"})
"""pytest's functions that check something."""


def holds_assertion(node: ast.AST) -> bool:
    """Return whether a piece of code asserts anything."""
    return any(True for _ in checks(node, ()))


def checks(node: ast.AST, asserting: Container[str]) -> Iterator[ast.AST]:
    """Yield each check in a piece of code; calls of `asserting` functions count too."""
    for inner in ast.walk(node):
        if is_check(inner, asserting):
            yield inner


def is_check(node: ast.AST, asserting: Container[str]) -> bool:
    """Return whether a piece of code is an assertion, or a call of an `asserting` function."""
    if isinstance(node, ast.Call):
        return _asserts(node.func, asserting)
    return isinstance(node, ast.Assert)


def _asserts(function: ast.expr, asserting: Container[str]) -> bool:
    """Return whether a called function is like `self.assertEqual` or `pytest.raises`."""
    match function:
        case ast.Attribute(attr=name):
            return name.startswith("assert") or name in _EXPECTING
        case ast.Name(id=name):
            return name.startswith("assert") or name in _EXPECTING or name in asserting
        case _:
            return False


def is_main_guard(test: ast.expr) -> bool:
    """Return whether a condition asks whether the file is the main program."""
    return any(isinstance(inner, ast.Name) and inner.id == "__name__" for inner in ast.walk(test))


def asserting_functions(tree: ast.Module) -> set[str]:
    """Return the functions of a file that assert something, directly or indirectly."""
    functions: dict[str, ast.AST] = {}
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                functions[name] = node
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda()):
                functions[name] = node
            case _:
                pass
    found = {name for name, node in functions.items() if holds_assertion(node)}
    while True:
        more = {name for name, node in functions.items() if _called(node) & found} - found
        if not more:
            return found
        found |= more


def _called(node: ast.AST) -> set[str]:
    return {
        inner.func.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name)
    }


def is_case(statement: ast.stmt, asserting: set[str]) -> bool:
    """Return whether a statement at the top level of a file is a test by itself."""
    if isinstance(statement, (*FUNCTIONS, ast.ClassDef, ast.Import, ast.ImportFrom)):
        return False
    if isinstance(statement, ast.If) and is_main_guard(statement.test):
        return False
    return any(is_check(part, asserting) for part in _running(statement))


def _running(statement: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of a statement that run with it: not those of functions in it."""
    waiting = [statement]
    while waiting:
        node = waiting.pop()
        yield node
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                pass
            case ast.Assign(value=ast.GeneratorExp()) | ast.Expr(value=ast.GeneratorExp()):
                pass
            case _:
                waiting += ast.iter_child_nodes(node)


def names_of_tests(source: str) -> list[str]:
    """Return the names of a file's tests, from its text; empty if it does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return []
    asserting = asserting_functions(tree)
    cases = [ast.unparse(node).splitlines()[0] for node in tree.body if is_case(node, asserting)]
    return cases + sorted({path.partition(".")[0] for path in named_tests(tree)})


def named_tests(tree: ast.Module) -> frozenset[str]:
    """Return the tests that pytest would collect by name, as `TestIt.test_it`."""
    found = set(_tests_in(tree, tree.body, ""))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node).endswith(".__test__ = False"):
            found.discard(ast.unparse(node.targets[0]).rpartition(".")[0])
    asserting = asserting_functions(tree)
    if not found and not any(is_case(statement, asserting) for statement in tree.body):
        # The form of HumanEval.
        found = {"check"}
    return with_inherited(tree, frozenset(found))


def _tests_in(tree: ast.Module, body: Iterable[ast.stmt], path: str) -> Iterator[str]:
    bases = ancestors(tree)
    for node in body:
        if isinstance(node, FUNCTIONS) and node.name.startswith("test"):
            yield f"{path}{node.name}"
        elif isinstance(node, ast.ClassDef) and _is_test_class(node, bases[node.name]):
            yield from _tests_in(tree, node.body, f"{path}{node.name}.")
            for base in tree.body:
                if isinstance(base, ast.ClassDef) and base.name in bases[node.name]:
                    yield from _tests_in(tree, base.body, f"{base.name}.")


def _is_test_class(node: ast.ClassDef, bases: Container[str]) -> bool:
    if any(ast.unparse(each) == "__test__ = False" for each in node.body):
        return False
    if "TestCase" in bases or "IsolatedAsyncioTestCase" in bases:
        return True
    made = any(isinstance(each, FUNCTIONS) and each.name == "__init__" for each in node.body)
    return node.name.startswith("Test") and not made


def ancestors(tree: ast.Module) -> dict[str, set[str]]:
    """Return the names of all direct and indirect base classes of each class in a file."""
    found = {
        node.name: {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    for _ in found:
        for bases in found.values():
            bases.update(*(found.get(base, ()) for base in list(bases)))
    return found


def with_inherited(tree: ast.Module, tests: frozenset[str]) -> frozenset[str]:
    """Add the tests that classes inherit from other classes of the file."""
    bases = ancestors(tree)
    inherited = {
        f"{base}.{path.rpartition('.')[2]}"
        for path in tests
        for base in bases.get(path.rpartition(".")[0].rpartition(".")[2], ())
    }
    return tests | inherited


def bound_names(tree: ast.Module) -> set[str]:
    """Return the names that a file of tests binds anywhere, apart from those of the program."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Import(names=found):
                names |= {(each.asname or each.name).partition(".")[0] for each in found}
            case ast.ImportFrom(module=module, names=found) if module != "solution":
                names |= {each.asname or each.name for each in found}
            case _:
                pass
    return names
