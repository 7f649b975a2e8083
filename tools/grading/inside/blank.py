"""Runs in the sandbox: what stands for the program where a file of tests is looked at alone.

Its names can be imported, passed on, named in `raises` and derived from. Whatever else a test does
with one of them ends that test, since only a program can tell more.
"""

import types
from typing import Any

from opencodeinterpreter.tools.grading.inside.link import HarnessError


class BlankError(HarnessError):
    """A test came to the point where it needs the program."""


def _needed(*arguments: Any, **named: Any) -> Any:
    raise BlankError


_OPERATIONS = (
    "add and bool call contains delitem enter eq float ge getitem gt instancecheck int iter le len "
    "lt mod mul ne or pow radd ror rsub rmul setitem sub subclasscheck truediv"
)


class BlankType(type):
    """The class of a program's names, each of which is a class, so that it can be one."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise BlankError

    __hash__ = type.__hash__
    __doc__ = property(_needed)
    __signature__ = property(_needed)


for _name in _OPERATIONS.split():
    setattr(BlankType, f"__{_name}__", _needed)


class BlankModule(types.ModuleType):
    """The program's module, all of whose names are blank."""

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return []
        if name.startswith("__"):
            raise AttributeError(name)
        return BlankType(name, (Exception,), {})
