"""Find assertions in a test file that never run, from its text and what pytest collected.

The search starts at the top level of the file and at what pytest calls, and follows each name that
running code mentions. It finds assertions in code that nothing refers to, after a `return`, under a
condition that is always false, and in a function that is redefined further down.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from opencodeinterpreter.tools.grading.inside.pointless import LAZY, pointless
from opencodeinterpreter.tools.grading.inside.reach import (
    FUNCTIONS,
    HOOKS,
    ancestors,
    asserting_functions,
    checks,
    holds_assertion,
    is_main_guard,
    named_tests,
    with_inherited,
)

_SWALLOWING = frozenset({"AssertionError", "Exception", "BaseException"})
_ENDING = frozenset({"skip", "skipTest", "xfail", "exit", "_exit"})
_NEUTRAL = frozenset(
    {"staticmethod", "classmethod", "property", "contextmanager", "asynccontextmanager", "cache"}
    | {"lru_cache", "cached_property", "abstractmethod", "override", "wraps", "dataclass"}
)
"""Decorators that do not call the function, apart from pytest's marks."""
_DOCTESTS = frozenset({"testmod", "testfile", "run_docstring_examples", "DocTestSuite"})
_TELLING = re.compile(r"(print|(logging|log|logger|traceback)\.\w+)\(")
"""The beginning of a call that does nothing but tell what happened."""
_EXAMPLE = re.compile(r"^\s*>>> (.*)\n\s*(?!>>>)\S", re.MULTILINE)

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Idle(NamedTuple):
    """An assertion that would never run, or could never fail."""

    line: int
    why: str
    """The rest of a sentence that begins with "this assertion"."""


class _Unit(NamedTuple):
    """A function, method or lambda, whose body runs only if something calls it."""

    name: str
    path: str
    """Its name with those of the classes around it."""
    node: ast.AST
    in_class: str
    """The path of the class that it is a method of; empty for others."""


def never_run(tree: ast.Module, collected: frozenset[str] | None) -> list[Idle]:
    """Return the assertions of a file that would never run, in the order of their lines.

    `collected`: the tests that pytest found, as `TestIt.test_it`; `None` if the file could not be
    loaded, so that tests are found by name.
    """
    survey = _Survey(tree, named_tests(tree) if collected is None else collected)
    return sorted(set(survey.run()))


class _Survey:
    """Follows the code that runs."""

    def __init__(self, tree: ast.Module, collected: frozenset[str]) -> None:
        self._tree = tree
        self._tests = with_inherited(tree, collected)
        self._expecting = 0
        """How many enclosing blocks may handle what the current statement raises."""
        self._defined = {node.name: node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)}
        self._pointless = pointless(tree)
        self._words: set[str] = set()
        self._waiting: list[_Unit] = []
        self._idle: list[Idle] = []

    def run(self) -> list[Idle]:
        """Return what never runs."""
        self._block(self._tree.body, "", "")
        self._idle += _examples(self._tree)
        while reached := [unit for unit in self._waiting if self._is_used(unit)]:
            self._waiting = [unit for unit in self._waiting if unit not in reached]
            for unit in reached:
                self._enter(unit)
        for unit in self._waiting:
            holder = unit.in_class.rpartition(".")[2]
            unknown = holder and holder not in self._words and not self._is_collected(holder)
            why = f"would never run, since `{holder if unknown else unit.name}` is never called"
            self._lose(unit.node, why, whole=_is_test(unit))
        return self._idle

    def _is_collected(self, name: str) -> bool:
        """Return whether pytest found tests in a class."""
        return any(name in path.split(".")[:-1] for path in self._tests)

    def _is_used(self, unit: _Unit) -> bool:
        if unit.path in self._tests or unit.name in self._words:
            return True
        if unit.name.startswith("__") and unit.name.endswith("__"):
            return True
        if unit.name in HOOKS:
            return True
        marks = getattr(unit.node, "decorator_list", [])
        return any(not _is_neutral(mark) for mark in marks)

    def _lose(self, node: ast.AST, why: str, whole: bool = False) -> None:
        """Record all checks in `node` as lost; with `whole`, `node` itself if it has none."""
        lines = [check.lineno for check in checks(node, ())]  # type: ignore[attr-defined]
        if whole and not lines:
            lines = [node.lineno]  # type: ignore[attr-defined]
        self._idle += [Idle(line, why) for line in lines]

    def _enter(self, unit: _Unit) -> None:
        """Follow the body of a function that runs."""
        node = unit.node
        if isinstance(node, ast.Lambda):
            self._mention(node.body)
        if not isinstance(node, FUNCTIONS):
            return
        self._words |= {part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg)}
        if unit.path in self._tests:
            self._check_test(unit, node)
        self._block(node.body, f"{unit.path}.<locals>.", "")

    def _check_test(self, unit: _Unit, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Record what a test loses: the value that it returns, or all if it is never awaited."""
        own = list(_own(node))
        holds = holds_assertion(node)
        for part in own:
            if isinstance(part, ast.Return) and part.value is not None:
                if holds and not _is_condition(part.value):
                    continue
                self._idle.append(Idle(part.lineno, "could never fail, since it is returned"))
            if isinstance(part, ast.Yield | ast.YieldFrom):
                why = "would never run, since pytest does not run tests that yield"
                self._lose(node, why, whole=True)
        marks = node.decorator_list
        if (
            isinstance(node, ast.AsyncFunctionDef)
            and unit.in_class
            and all(map(_is_neutral, marks))
        ):
            bases = ancestors(self._tree).get(unit.in_class.rpartition(".")[2], set())
            if "TestCase" in bases:
                why = "would never run, since unittest.TestCase does not await tests; "
                self._lose(node, f"{why}derive from IsolatedAsyncioTestCase", whole=True)

    def _block(self, body: Sequence[ast.stmt], path: str, in_class: str) -> None:
        """Follow the statements of a block."""
        bound = [_bound(statement) for statement in body]
        for at, statement in enumerate(body):
            if isinstance(statement, Definition) and (later := _defined_anew(body, bound, at)):
                why = f"would never run, since `{statement.name}` is redefined on line {later}"
                self._lose(statement, why, whole=_named(statement))
                continue
            self._statement(statement, path, in_class)
            if _ends(statement):
                for lost in body[at + 1 :]:
                    ending = f"`{_word(statement)}` on line {statement.lineno}"
                    why = f"would never run, since it comes after the {ending}"
                    self._lose(lost, why, whole=_named(lost))
                return

    def _statement(self, node: ast.stmt, path: str, in_class: str) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                for part in [*node.decorator_list, *node.args.defaults, *node.args.kw_defaults]:
                    if part is not None:
                        self._mention(part)
                self._waiting.append(_Unit(node.name, f"{path}{node.name}", node, in_class))
            case ast.ClassDef():
                for head in [*node.decorator_list, *node.bases, *node.keywords]:
                    self._mention(head)
                self._block(node.body, f"{path}{node.name}.", f"{path}{node.name}")
            case ast.If():
                self._branch(node, path, in_class)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda() as function):
                self._waiting.append(_Unit(name, f"{path}{name}", function, ""))
            case _:
                self._simple(node, path, in_class)

    def _branch(self, node: ast.If, path: str, in_class: str) -> None:
        self._mention(node.test)
        sides = {True: node.body, False: node.orelse}
        never = _never(node.test)
        for side, body in sides.items():
            if side is never:
                for lost in body:
                    holds = "never" if never else "always"
                    why = f"would never run, since `if {ast.unparse(node.test)}` {holds} holds"
                    self._lose(lost, why, whole=_named(lost))
            else:
                self._block(body, path, in_class)

    def _simple(self, node: ast.stmt, path: str, in_class: str) -> None:
        """Follow any other statement, and the blocks in it."""
        why = _why_it_cannot_fail(node)
        if isinstance(node, ast.For) and self._pointless.is_empty(node.iter):
            why = "would never run, since there is nothing to loop over"
        if why:
            self._lose(node, why)
        if isinstance(node, ast.Expr):
            if isinstance(node.value, ast.Constant):
                return
            self._expression(node)
        if isinstance(node, ast.Assert) and (why := self._pointless.why_true(node.test)):
            self._idle.append(Idle(node.lineno, f"could never fail, since {why}"))
        if isinstance(node, ast.Assign) and _skips_all(node) and not path:
            why = "would never run, since `pytestmark` skips every test of the file"
            self._idle.append(Idle(node.lineno, why))
        for part in _outside_of_statements(node):
            self._mention(part)
        handling = isinstance(node, ast.With | ast.AsyncWith | ast.Try)
        self._expecting += handling
        for block in _blocks(node):
            self._block(block, path, in_class)
        self._expecting -= handling

    def _expression(self, node: ast.Expr) -> None:
        """Record an expression statement whose value should have been used."""
        if not self._expecting and (why := self._pointless.why_unused(node.value)):
            self._idle.append(Idle(node.lineno, f"could never fail, since {why}"))
        match node.value:
            case ast.Compare() if not self._expecting:
                what = "could never fail, since this compares and has no `assert`"
                self._idle.append(Idle(node.lineno, what))
            case ast.Attribute(attr=name) if name.startswith("assert"):
                what = f"could never fail, since `{ast.unparse(node)}` is not called"
                self._idle.append(Idle(node.lineno, what))
            case ast.Call(func=ast.Name(id=name)) if name in self._defined:
                function = self._defined[name]
                lazy = any(isinstance(part, ast.Yield | ast.YieldFrom) for part in _own(function))
                if lazy or isinstance(function, ast.AsyncFunctionDef):
                    made = "a generator" if lazy else "a coroutine"
                    call = f"`{name}(...)` on line {node.lineno}"
                    self._lose(function, f"would never run, since {call} only makes {made}")
            case ast.GeneratorExp():
                self._unread(node, "nothing reads this generator")
            case ast.Call(func=ast.Name(id=name)) if name in LAZY - self._pointless.own:
                self._unread(node, f"nothing reads what `{name}` returns")
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in _DOCTESTS:
                what = f"could never fail, since pytest cannot run `{name}` as a test"
                self._idle.append(Idle(node.lineno, what))
            case _:
                pass

    def _unread(self, node: ast.Expr, why: str) -> None:
        """Record an iterator that nothing reads, if reading it would check something."""
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        if holds_assertion(node) or names & asserting_functions(self._tree):
            self._idle.append(Idle(node.lineno, f"would never run, since {why}"))

    def _mention(self, node: ast.AST) -> None:
        """Record all names that an expression refers to."""
        for part in ast.walk(node):
            match part:
                case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name):
                    self._words.add(name)
                case ast.Constant(value=str(text)):
                    self._words |= set(re.findall(r"\w+", text))
                case _:
                    pass


def _named(node: ast.stmt) -> bool:
    """Return whether a definition is named like a test."""
    return isinstance(node, Definition) and node.name.lower().startswith("test")


def _is_test(unit: _Unit) -> bool:
    return isinstance(unit.node, ast.stmt) and _named(unit.node)


def _is_neutral(mark: ast.expr) -> bool:
    """Return whether a decorator does not call its function: a mark, or a requested fixture."""
    text = ast.unparse(mark)
    if ".mark." in text or text.startswith("mark."):
        return True
    function = mark.func if isinstance(mark, ast.Call) else mark
    name = ast.unparse(function).rpartition(".")[2]
    if name == "fixture":
        given = mark.keywords if isinstance(mark, ast.Call) else []
        return not any(keyword.arg in ("autouse", "name") for keyword in given)
    return name in _NEUTRAL


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function, except those of functions and classes inside it."""
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)


def _is_condition(value: ast.expr) -> bool:
    return isinstance(value, ast.Compare | ast.BoolOp) or (
        isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not)
    )


def _defined_anew(body: Sequence[ast.stmt], bound: Sequence[set[str]], at: int) -> int:
    """Return the line that redefines a definition before it is used; 0 if there is none."""
    first = body[at]
    if not isinstance(first, Definition) or not (_named(first) or holds_assertion(first)):
        return 0
    if any(not _is_neutral(mark) for mark in first.decorator_list):
        return 0
    later = next((n for n in range(at + 1, len(body)) if first.name in bound[n]), 0)
    for statement in body[at + 1 : later + 1]:
        parts = statement.decorator_list if isinstance(statement, Definition) else [statement]
        if any(_mentions(part, first.name) for part in parts):
            return 0
    return body[later].lineno if later else 0


def _mentions(node: ast.AST, name: str) -> bool:
    return any(
        isinstance(part, ast.Name) and part.id == name and isinstance(part.ctx, ast.Load)
        for part in ast.walk(node)
    )


def _bound(statement: ast.stmt) -> set[str]:
    """Return the names that a statement itself binds or deletes."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {each.asname or each.name for each in names}
        case _:
            return set()


def _ends(statement: ast.stmt) -> bool:
    """Return whether nothing after a statement of the same block runs."""
    match statement:
        case ast.Return() | ast.Raise() | ast.Continue() | ast.Break():
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name, value=ast.Name(id=owner)))):
            return name in _ENDING and owner in ("pytest", "self", "sys", "os")
        case ast.If(body=body, orelse=orelse):
            return bool(orelse) and _ends(body[-1]) and _ends(orelse[-1])
        case _:
            return False


def _word(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Expr):
        return ast.unparse(statement).partition("(")[0]
    return type(statement).__name__.lower()


def _never(test: ast.expr) -> bool | None:
    """Return the branch of a condition that is never taken; `None` if both can be."""
    match test:
        case ast.Constant(value=value):
            return not value
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            side = _never(inner)
            return None if side is None else not side
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return True
        case ast.Compare(ops=[ast.NotEq()]) if is_main_guard(test):
            return False
        case _:
            return True if is_main_guard(test) else None


def _why_it_cannot_fail(node: ast.stmt) -> str:
    """Return why no check in a statement can fail; empty if one can."""
    match node:
        case ast.While(test=test) if _never(test) is True:
            return f"would never run, since `while {ast.unparse(test)}` never holds"
        case ast.Try(finalbody=[*_, ast.Return() | ast.Break() | ast.Continue() as last]):
            return f"could never fail, since the `{_word(last)}` on line {last.lineno} hides it"
        case ast.Try(handlers=handlers) if any(holds_assertion(part) for part in node.body):
            for handler in handlers:
                caught = "BaseException" if handler.type is None else ast.unparse(handler.type)
                if _SWALLOWING.isdisjoint(re.findall(r"\w+", caught)):
                    continue
                hides = f"could never fail, since the `except` on line {handler.lineno} hides it"
                return hides if _is_inert(handler.body) else ""
            return ""
        case ast.With(items=items):
            for item in items:
                text = ast.unparse(item.context_expr)
                if re.match(r"(contextlib\.)?suppress\(", text) and _SWALLOWING & set(
                    re.findall(r"\w+", text)
                ):
                    return f"could never fail, since `{text}` hides it"
            return ""
        case _:
            return ""


def _is_inert(body: Sequence[ast.stmt]) -> bool:
    """Return whether an exception handler ignores what it caught."""
    return all(
        isinstance(statement, ast.Pass | ast.Continue | ast.Break)
        or (isinstance(statement, ast.Return) and statement.value is None)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        or (isinstance(statement, ast.Expr) and _TELLING.match(ast.unparse(statement)) is not None)
        for statement in body
    )


def _skips_all(node: ast.Assign) -> bool:
    """Return whether an assignment marks the whole file as skipped."""
    if not any(
        isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets
    ):
        return False
    return any(isinstance(part, ast.Attribute) and part.attr == "skip" for part in ast.walk(node))


def _outside_of_statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of a statement that are outside its inner statements."""
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.ExceptHandler | ast.match_case):
            yield from _outside_of_statements(part)
        elif not isinstance(part, ast.stmt):
            yield part


def _blocks(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        yield getattr(node, name, [])
    for handler in getattr(node, "handlers", []):
        yield handler.body
    for case in getattr(node, "cases", []):
        yield case.body


def _examples(tree: ast.Module) -> Iterator[Idle]:
    """Yield examples in the docstrings of tests, which pytest does not run by default."""
    imported = {
        name.asname or name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "solution"
        for name in node.names
    } | {"solution"}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module) and not (isinstance(node, Definition) and _named(node)):
            continue
        for example in _EXAMPLE.finditer(ast.get_docstring(node) or ""):
            if imported & set(re.findall(r"\w+", example[1])):
                why = "would never run, since pytest does not run examples in docstrings"
                yield Idle(node.body[0].lineno, why)
