"""Runs in the sandbox, in the examiner: checks that cannot fail, as their form alone shows."""

import ast
from typing import NamedTuple

from opencodeinterpreter.tools.grading.inside.reach import FUNCTIONS, bound_names, is_check

LAZY = frozenset({"enumerate", "filter", "iter", "map", "reversed", "zip"})
"""Functions that return an object which is true even if nothing is in it."""
_COPYING = LAZY | {"list", "tuple", "set", "frozenset", "dict", "sorted"}
_NOT_OF_MOCKS = frozenset({"called_once", "called_once_with", "called_with", "has_calls"})
"""What people write for the methods of mocks that begin with `assert_`."""
_ANSWERING = frozenset(
    {"all", "any", "callable", "hasattr", "isinstance", "issubclass"}
    | {"isclose", "allclose", "array_equal", "array_equiv", "startswith", "endswith"}
    | {"issubset", "issuperset", "isdisjoint", "__eq__", "__ne__", "__lt__", "__le__"}
)
"""Functions and methods that do nothing but answer yes or no."""
_EXPECTING = {
    **dict.fromkeys(("raises", "warns", "assertRaises", "assertWarns"), 1),
    **dict.fromkeys(("assertRaisesRegex", "assertWarnsRegex"), 2),
}
"""Functions that expect an exception or a warning, and how many arguments come before a call."""
_ONE_VALUE = frozenset({"assertTrue", "assertFalse", "assertIsNone", "assertIsNotNone"})
_DATA = (ast.List, ast.Tuple, ast.Set, ast.Dict, ast.UnaryOp, ast.Compare)


class Pointless(NamedTuple):
    """Finds them in one file."""

    own: frozenset[str]
    """All names that the file binds, so that they may differ from Python's."""
    functions: dict[str, ast.FunctionDef]
    """The functions and methods whose names stand for nothing else."""
    empty: frozenset[str]
    """The names of what is empty and never changed."""

    def why_true(self, test: ast.expr) -> str:
        """Return why an asserted value is always true; empty if it may be false."""
        match test:
            case ast.Tuple(elts=[_, *_]):
                return "a tuple is always true"
            case ast.List(elts=[first, *_]) | ast.Set(elts=[first, *_]) if not _starred(first):
                return "what has an item is always true"
            case ast.Dict(keys=[ast.expr(), *_]):
                return "what has an item is always true"
            case ast.GeneratorExp():
                return "a generator is always true; `all(...)` or `any(...)` reads it"
            case ast.Lambda():
                return "a function is always true"
            case ast.Constant(value=str(text)) if text:
                return "a text is always true"
            case ast.JoinedStr(values=values) if any(map(_is_text, values)):
                return "a text is always true"
            case ast.NamedExpr(value=value):
                return self.why_true(value)
            case ast.BoolOp(op=ast.Or(), values=values):
                return next(filter(None, map(self._why_either, values)), "")
            case ast.Compare(left=left, ops=[ast.GtE()], comparators=[ast.Constant(value=0)]):
                return "a length is never below 0" if _called(left) == "len" else ""
            case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="self"), attr=name):
                uncalled = f"`{name}` is a function, which is not called"
                return uncalled if name in self.functions else ""
            case ast.Call(func=ast.Name(id=name)) if name in LAZY - self.own:
                return f"what `{name}` returns is always true"
            case ast.Call(func=ast.Name(id="all"), args=[ast.GeneratorExp(generators=[over, *_])]):
                return "`all` of nothing is true" if self.is_empty(over.iter) else ""
            case ast.Call(func=ast.Attribute(attr=name)) if name in _NOT_OF_MOCKS:
                return f"a mock checks nothing by `{name}`; it has `assert_{name}`"
            case _:
                return ""

    def why_unused(self, value: ast.expr) -> str:
        """Return why a statement, which is an expression, checks nothing; empty if it may."""
        if not isinstance(value, ast.Call):
            return ""
        name, text = _called(value), ast.unparse(value)
        if name in _NOT_OF_MOCKS:
            return f"a mock checks nothing by `{name}`; it has `assert_{name}`"
        if name in _EXPECTING and len(value.args) == _EXPECTING[name] and _is_alone(value):
            return f"`{text}` needs `with`, or a function to call"
        if name in _ONE_VALUE and len(value.args) > 1 and _is_data(value.args[1]):
            return f"the second argument of `{name}` is a message"
        if name in self.own and isinstance(value.func, ast.Name):
            function = self.functions.get(name)
            answers = function is not None and _only_answers(function)
            return f"nothing asserts what `{name}` returns" if answers else ""
        of_operator = isinstance(value.func, ast.Attribute) and text.startswith("operator.")
        holds = any(is_check(part, self.functions) for part in ast.walk(value))
        if (name in _ANSWERING or of_operator) and not holds:
            return f"nothing asserts what `{name}` returns"
        return ""

    def is_empty(self, values: ast.expr) -> bool:
        """Return whether there is nothing to loop over."""
        match values:
            case ast.List(elts=[]) | ast.Tuple(elts=[]) | ast.Dict(keys=[]):
                return True
            case ast.Name(id=name):
                return name in self.empty
            case ast.Call(func=ast.Attribute(attr="items" | "keys" | "values", value=value)):
                return self.is_empty(value)
            case ast.Call(func=ast.Name(id="range"), args=[ast.Constant(value=int(stop))]):
                return stop <= 0
            case ast.Call(func=ast.Name(id=name), args=given) if name in _COPYING - self.own:
                return any(map(self.is_empty, given))
            case _:
                return False

    def _why_either(self, value: ast.expr) -> str:
        if isinstance(value, ast.Constant) and value.value:
            return f"`{ast.unparse(value)}` is always true"
        return self.why_true(value)


def pointless(tree: ast.Module) -> Pointless:
    """Return a finder for a file."""
    imported = {
        name.asname or name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    stored = {
        part.id if isinstance(part, ast.Name) else part.attr
        for part in ast.walk(tree)
        if isinstance(part, ast.Name | ast.Attribute) and isinstance(part.ctx, ast.Store)
    }
    given = {part.arg for part in ast.walk(tree) if isinstance(part, ast.arg)}
    functions = {
        node.name: node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and not node.decorator_list
    }
    only = {name: node for name, node in functions.items() if name not in stored | given | imported}
    finder = Pointless(frozenset(bound_names(tree) | imported), only, frozenset())
    return finder._replace(empty=_empty_names(tree, finder))


def _empty_names(tree: ast.Module, finder: Pointless) -> frozenset[str]:
    """Return the names at the top level that hold nothing, and that loops alone refer to."""
    loops = [part for part in ast.walk(tree) if isinstance(part, ast.For | ast.comprehension)]
    looped = [part.iter.id for part in loops if isinstance(part.iter, ast.Name)]
    names = [part.id for part in ast.walk(tree) if isinstance(part, ast.Name)]
    return frozenset(
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and finder.is_empty(node.value)
        for target in node.targets
        if isinstance(target, ast.Name) and names.count(target.id) == 1 + looped.count(target.id)
    )


def _starred(item: ast.expr) -> bool:
    return isinstance(item, ast.Starred)


def _is_text(part: ast.expr) -> bool:
    return isinstance(part, ast.Constant) and bool(part.value)


def _called(value: ast.expr) -> str:
    """Return the last name of a called function; empty if nothing is called."""
    match value:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name
        case _:
            return ""


def _is_alone(call: ast.Call) -> bool:
    """Return whether a call names no function by keyword."""
    return all(keyword.arg in ("match", "msg") for keyword in call.keywords)


def _is_data(value: ast.expr) -> bool:
    if isinstance(value, ast.Constant):
        return not isinstance(value.value, str) and value.value is not None
    return isinstance(value, _DATA)


def _only_answers(function: ast.FunctionDef) -> bool:
    """Return whether a function does nothing but return a comparison."""
    body = function.body[ast.get_docstring(function) is not None :]
    match body:
        case [ast.Return(value=ast.Compare() | ast.BoolOp())]:
            return not any(isinstance(part, FUNCTIONS) for part in ast.walk(body[0]))
        case _:
            return False
