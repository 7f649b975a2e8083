"""Runs in the sandbox: a placeholder for the program when a file of tests is checked on its own.

Its names can be imported, passed on, used in `raises` and subclassed. Any other use ends the test,
since its result would depend on the program.
"""

import ast
import builtins
import functools
import inspect
import sys
import types
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from typing import Any, cast

from opencodeinterpreter.tools.grading.inside.link import HarnessError
from opencodeinterpreter.tools.grading.inside.reach import bound_names


class BlankError(HarnessError):
    """A test reached the point where it needs the program."""


def _needed(*arguments: Any, **named: Any) -> Any:
    raise BlankError


_OPERATIONS = (
    "add and bool call contains delitem enter eq float ge getitem gt instancecheck int iter le len "
    "lt mod mul ne or pow radd ror rsub rmul setitem sub subclasscheck truediv"
)


_OF_NAMED_TUPLES = ("_asdict", "_field_defaults", "_fields", "_make", "_replace")


class BlankType(type):
    """The metaclass of the placeholder's names: each is a class, so it can be used as one."""

    def __new__(
        cls, name: str, bases: tuple[Any, ...], members: dict[str, Any], /, **named: Any
    ) -> Any:
        """Make a class; its keywords are for the program's `__init_subclass__`."""
        return super().__new__(cls, name, bases, members)

    def __init__(cls, name: str, bases: Any, members: Any, /, **named: Any) -> None:
        super().__init__(name, bases, members)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_") and name not in _OF_NAMED_TUPLES:
            raise AttributeError(name)
        raise BlankError

    __hash__ = type.__hash__
    __doc__ = property(_needed)
    __signature__ = property(_needed)
    __dataclass_fields__ = property(_needed)


for _name in _OPERATIONS.split():
    setattr(BlankType, f"__{_name}__", _needed)


class BlankModule(types.ModuleType):
    """The program's module, all of whose names are blank."""

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return sorted(_free_names())
        if name.startswith("__"):
            raise AttributeError(name)
        return BlankType(name, (Exception,), {"__module__": "solution"})


def _free_names() -> set[str]:
    """Return the names that the importing file uses and does not bind: they are the program's."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None and "__source_of_tests__" not in frame.f_globals:
        frame = frame.f_back
    source = frame.f_globals["__source_of_tests__"] if frame is not None else ""
    tree = ast.parse(source)
    used = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    taken = bound_names(tree) | set(dir(builtins))
    return {name for name in used if not name.startswith("_")} - taken


class BlankImporter:
    """Imports the placeholder again, if the tests reload it or remove it from `sys.modules`."""

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        """Return how the program's module is imported; `None` for others."""
        return ModuleSpec(name, cast("Any", self)) if name == "solution" else None

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        """Return a new module."""
        return BlankModule("solution")

    def exec_module(self, module: types.ModuleType) -> None:
        """Do nothing: nothing is in the module."""


def demand_program() -> None:
    """Let `inspect`, if tests use it on the placeholder, need the program."""
    for name, function in [*vars(inspect).items()]:
        if inspect.isfunction(function) and name.startswith(("is", "get", "signature")):
            setattr(inspect, name, _demanding(function))


def _demanding(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def ask(*given: Any, **named: Any) -> Any:
        asking = sys._getframe(1).f_globals
        blank = given and type(given[0]) in (BlankType, BlankModule)
        if blank and "__source_of_tests__" in asking:
            raise BlankError
        return function(*given, **named)

    return ask
