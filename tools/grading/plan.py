"""Cut a file of Python tests into steps, each of which is set-up or one test.

An assertion at the top level is a test, and so is a loop, `with` or `try` that holds one; so is
each function named `test_*`, called after the rest has run. A file with neither is one test.
"""

import ast
from typing import NamedTuple

_NAME = 200
"""Most characters of a test's name."""
_WHOLE = "the whole file"


class Step(NamedTuple):
    """Source to run in the tests' namespace; `test` numbers the outcome, `None` is set-up."""

    source: str
    test: int | None


class Plan(NamedTuple):
    """The names of the tests, and the steps in the order in which they run."""

    names: list[str]
    steps: list[Step]


def plan(source: str) -> Plan:
    """Return the plan of a file of tests; raises SyntaxError or ValueError if it won't parse."""
    names: list[str] = []
    steps: list[Step] = []
    set_up: list[ast.stmt] = []
    functions: list[str] = []

    def flush() -> None:
        if set_up:
            steps.append(Step(_source(set_up), None))
            set_up.clear()

    def add(name: str, text: str) -> None:
        steps.append(Step(text, len(names)))
        names.append(name[:_NAME])

    for statement in ast.parse(source).body:
        if _is_test(statement):
            flush()
            add(_first_line(statement), _source([statement]))
            continue
        set_up.append(statement)
        if isinstance(statement, ast.FunctionDef) and statement.name.startswith("test_"):
            functions.append(statement.name)
    if not names and not functions:
        add(_WHOLE, _source(set_up))
        return Plan(names, steps)
    flush()
    for name in dict.fromkeys(functions):
        add(name, f"{name}()")
    return Plan(names, steps)


def has_tests(source: str) -> bool:
    """Whether a file asserts anything or has a `test_*` function; raises like `plan`."""
    return plan(source).names != [_WHOLE] or _holds_assert(ast.parse(source))


def _is_test(statement: ast.stmt) -> bool:
    blocks = ast.Assert | ast.For | ast.While | ast.With | ast.Try
    return isinstance(statement, blocks) and _holds_assert(statement)


def _holds_assert(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.Assert) for inner in ast.walk(node))


def _first_line(statement: ast.stmt) -> str:
    return ast.unparse(statement).splitlines()[0]


def _source(statements: list[ast.stmt]) -> str:
    told = [_Tell().visit(statement) for statement in statements]
    return ast.unparse(ast.fix_missing_locations(ast.Module(told, [])))


class _Tell(ast.NodeTransformer):
    """Turn assertions into calls that say what was compared when they fail.

    `_compare` and `_holds` are the harness's.
    """

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        text = ast.Constant(ast.unparse(ast.Assert(node.test)))
        note = ast.Lambda(
            ast.arguments([], [], None, [], [], None, []), node.msg or ast.Constant(None)
        )
        test = node.test
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            swapped = isinstance(test.left, ast.Constant)
            operator = ast.Constant(type(test.ops[0]).__name__)
            arguments = [text, operator, test.left, test.comparators[0], ast.Constant(swapped)]
            return ast.Expr(ast.Call(ast.Name("_compare"), [*arguments, note], []))
        return ast.Expr(ast.Call(ast.Name("_holds"), [text, test, note], []))
