"""Runs in the sandbox, in the examiner: which assertions of a test file ran.

A test can pass although none of its assertions ran: its loop went over an empty result, a condition
did not hold, nothing awaited its task. Marks that are added to the file's code record what ran.
"""

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from opencodeinterpreter.tools.grading.inside.never_run import Idle
from opencodeinterpreter.tools.grading.inside.reach import asserting_functions, is_check

_RAN, _ENTERED, _LOOP, _ITEM, _ALL = "@ran", "@entered", "@loop", "@item", "@all"
"""The names under which marked code finds the methods of `Ran`; they are not valid identifiers."""
_MACHINE = frozenset({"sys", "os", "platform", "shutil"})
"""Modules that a condition about the machine names."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Loop = ast.For | ast.AsyncFor
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_Node = TypeVar("_Node", bound=ast.AST)


class Ran:
    """What ran of one file's checks, over all tests that passed."""

    def __init__(self) -> None:
        self._checked = False
        """Whether a check ran in the current test."""
        self._entered: set[int] = set()
        self._begun: set[int] = set()
        self._items: set[int] = set()
        """The functions that the current test entered, its loops, and those that had an item."""
        self._idle: dict[int, bool] = {}
        """By the line of the first check of a function: whether no check ran in any test of it."""
        self._empty: dict[int, bool] = {}
        """By the line of a loop: whether it went over nothing each time."""

    def names(self) -> dict[str, Callable[..., Any]]:
        """Return what marked code refers to."""
        methods = (self._ran, self._entered.add, self._begun.add, self._items.add, self._read)
        return dict(zip((_RAN, _ENTERED, _LOOP, _ITEM, _ALL), methods, strict=True))

    def begin(self) -> None:
        """Begin a test."""
        self._checked = False
        for marks in (self._entered, self._begun, self._items):
            marks.clear()

    def passed(self) -> None:
        """End a test that passed."""
        for line in self._entered:
            self._idle[line] = self._idle.get(line, True) and not self._checked
        for line in self._begun:
            self._empty[line] = self._empty.get(line, True) and line not in self._items

    def lost(self) -> Iterator[Idle]:
        """Yield the checks that did not run in any test that should have run them."""
        for line, empty in sorted(self._empty.items()):
            if empty:
                yield Idle(line, "did not run: what it goes over was empty each time")
        for line, idle in sorted(self._idle.items()):
            if idle and line not in self._empty:
                yield Idle(line, "did not run, nor did another one of its test")

    def _ran(self, check: Any = None) -> Any:
        self._checked = True
        return check

    def _read(self, line: int, values: Iterable[Any]) -> Iterator[Any]:
        """Record whether something is in what `all` reads."""
        self._begun.add(line)
        return self._noted(line, iter(values))

    def _noted(self, line: int, values: Iterator[Any]) -> Iterator[Any]:
        for value in values:
            self._items.add(line)
            yield value


class Marks(ast.NodeTransformer):
    """Adds marks to a file whose top-level tests are the bodies of `with` blocks of `case`."""

    def __init__(self, tree: ast.Module, case: str) -> None:
        self._asserting = asserting_functions(tree)
        self._case = case
        self._top_level = [each for each in tree.body if not isinstance(each, _DEFINITIONS)]
        self._around: list[ast.AST] = [tree]

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Mark the beginning of a function that should check something."""
        return self._unit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        """Mark the beginning of a coroutine that should check something."""
        return self._unit(node)

    def visit_With(self, node: ast.With) -> ast.AST:
        """Mark the beginning of a statement that is a test by itself."""
        called = getattr(node.items[0].context_expr, "func", None)
        if isinstance(called, ast.Name) and called.id == self._case:
            return self._unit(node)
        return self.generic_visit(node)

    def visit_For(self, node: ast.For) -> ast.AST | list[ast.AST]:
        """Mark a test's loop over something that may be empty."""
        return self._loop(node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST | list[ast.AST]:
        """Mark a test's asynchronous loop."""
        return self._loop(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST | list[ast.AST]:
        """Mark an assertion, and what `all` reads in it."""
        if not _can_pass(node):
            return node
        for part in ast.walk(node.test):
            match part:
                case ast.Call(
                    func=ast.Name(id="all"),
                    args=[ast.GeneratorExp(generators=[over, *_])]
                    | [ast.ListComp(generators=[over, *_])],
                ):
                    self._all(over)
                case _:
                    pass
        self.generic_visit(node)
        return [_mark(_RAN, node), node]

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Mark a check that is a call."""
        self.generic_visit(node)
        if is_check(node, ()) and _can_pass(node):
            node.func = _located(ast.Call(ast.Name(_RAN, ast.Load()), [node.func], []), node.func)
        return node

    def _unit(self, node: Function | ast.With) -> ast.AST:
        first = next((part for each in node.body for part in self._checks(each)), None)
        self._around.append(node)
        self.generic_visit(node)
        self._around.pop()
        if first is not None:
            after_text = ast.get_docstring(node) is not None if isinstance(node, Function) else 0
            node.body.insert(int(after_text), _mark(_ENTERED, first, first.lineno))
        return node

    def _loop(self, node: Loop) -> ast.AST | list[ast.AST]:
        line, over = node.lineno, node.iter
        guarded = any(True for part in node.body for _ in self._checks(part))
        guarded = guarded and self._may_be_empty(over, node)
        self.generic_visit(node)
        if not guarded:
            return node
        node.body.insert(0, _mark(_ITEM, node.body[0], line))
        return [_mark(_LOOP, node, line), node]

    def _all(self, generator: ast.comprehension) -> None:
        """Mark what the generator of an `all(...)` goes over."""
        over = generator.iter
        if not generator.is_async and self._may_be_empty(over, over):
            arguments = [ast.Constant(over.lineno), over]
            generator.iter = _located(ast.Call(ast.Name(_ALL, ast.Load()), arguments, []), over)

    def _may_be_empty(self, over: ast.expr, inside: ast.AST) -> bool:
        """Return whether a test goes over something without an assertion about its length."""
        around = self._around[-1]
        if isinstance(around, Function) and not around.name.startswith("test"):
            return False
        body = around.body if isinstance(around, Function) else self._top_level
        inner = set(ast.walk(inside))
        return not any(
            part not in inner and _settles(part, over)
            for statement in body
            for part in ast.walk(statement)
            if is_check(part, ())
        )

    def _checks(self, node: ast.AST) -> Iterator[Any]:
        """Yield the checks that should run with a statement, on any machine."""
        if isinstance(node, ast.If) and _MACHINE & _names(node.test):
            return
        if is_check(node, self._asserting) and _can_pass(node):
            yield node
        for part in ast.iter_child_nodes(node):
            yield from self._checks(part)


def _can_pass(check: ast.AST) -> bool:
    """Return whether a right program can reach a check: not `assert False` or `pytest.fail()`."""
    match check:
        case ast.Assert(test=ast.Constant()):
            return False
        case ast.Call(func=ast.Attribute(attr="fail") | ast.Name(id="fail")):
            return False
        case _:
            return True


def _settles(check: ast.AST, over: ast.expr) -> bool:
    """Return whether a check decides if what a loop goes over is empty, as `len(x) == 3` does."""
    match check:
        case ast.Assert(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right])):
            return _shared(left, over) != _shared(right, over)
        case ast.Assert(test=ast.UnaryOp(op=ast.Not(), operand=value) | value):
            return _is_size(value) and bool(_shared(value, over))
        case ast.Call(func=ast.Attribute(attr=name), args=[left, right, *_]):
            equal = name.startswith("assert") and name.endswith("Equal") and "Not" not in name
            return equal and _shared(left, over) != _shared(right, over)
        case ast.Call(func=ast.Attribute(attr="assertFalse" | "assertTrue"), args=[value, *_]):
            return _is_size(value) and bool(_shared(value, over))
        case _:
            return False


def _is_size(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) or ast.unparse(value).startswith("len(")


def _shared(value: ast.expr, over: ast.expr) -> set[str]:
    """Return what an expression and that which a loop goes over have in common."""
    called = {part.func for part in ast.walk(over) if isinstance(part, ast.Call)}
    names = {
        part.id for part in ast.walk(over) if isinstance(part, ast.Name) and part not in called
    }
    shared = names & _names(value) - {"self"}
    return shared | {ast.unparse(over)} if ast.unparse(over) in ast.unparse(value) else shared


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _mark(name: str, where: ast.AST, *given: int) -> ast.stmt:
    arguments: list[ast.expr] = [ast.Constant(each) for each in given]
    return _located(ast.Expr(ast.Call(ast.Name(name, ast.Load()), arguments, [])), where)


def _located(node: _Node, where: ast.AST) -> _Node:
    return ast.fix_missing_locations(ast.copy_location(node, where))
