"""Runs in the sandbox: what stands for the program where a file of tests is looked at alone.

Its names can be imported and passed on, and nothing else: whatever a test does with one of them
ends that test, since only a program can tell more.
"""

import types
from typing import Any

from opencodeinterpreter.tools.grading.inside.link import HarnessError


class BlankError(HarnessError):
    """A test came to the point where it needs the program."""


class Blank:
    """A name of the program."""

    def __mro_entries__(self, bases: Any) -> tuple[type, ...]:
        return ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise BlankError(name)

    def _needed(self, *arguments: Any, **named: Any) -> Any:
        raise BlankError

    __call__ = __iter__ = __len__ = __bool__ = __getitem__ = __contains__ = __enter__ = _needed
    __lt__ = __le__ = __gt__ = __ge__ = __add__ = __radd__ = __sub__ = __rsub__ = _needed
    __mul__ = __rmul__ = __or__ = __ror__ = __and__ = __float__ = __int__ = __index__ = _needed

    def __eq__(self, other: object) -> bool:
        raise BlankError

    __hash__ = object.__hash__


Blank.__doc__ = property(Blank._needed)  # type: ignore[assignment]


class BlankModule(types.ModuleType):
    """The program's module, all of whose names are blank."""

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return []
        if name.startswith("__"):
            raise AttributeError(name)
        return Blank()
