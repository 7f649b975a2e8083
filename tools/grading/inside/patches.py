"""Runs in the sandbox, beside the candidate: attributes that tests put in place of others.

What tests set in the candidate's module and classes is undone when they delete it, as `patch` and
`monkeypatch` do. What they set in other modules, such as `time.sleep`, holds only while the
candidate's code runs: the code around it uses these modules too.
"""

import importlib
import sys
import types
from typing import Any

_MISSING = object()


class Patches:
    """What is set at present."""

    def __init__(self) -> None:
        self._own: dict[tuple[int, str], tuple[Any, Any]] = {}
        """Owner and first value of the attributes of the candidate that tests have set."""
        self._kept: dict[tuple[int, str], tuple[Any, str, Any]] = {}
        """What tests have set in other modules, by way of the candidate's module."""
        self._given: tuple[Any, ...] = ()
        self._undo: list[tuple[Any, str, Any]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute."""
        if _is_foreign(owner):
            self._kept[id(owner), name] = owner, name, value
            self._undo.append((owner, name, vars(owner).get(name, _MISSING)))
        elif isinstance(owner, type | types.ModuleType):
            self._own.setdefault((id(owner), name), (owner, vars(owner).get(name, _MISSING)))
        setattr(owner, name, value)

    def delete(self, owner: Any, name: str) -> None:
        """Undo what `set` did to a module or class; delete an attribute of anything else."""
        if (id(owner), name) in self._kept:
            del self._kept[id(owner), name]
            self.enter(self.leave())
        elif (before := self._own.pop((id(owner), name), None)) is not None:
            _restore(owner, name, before[1])
        else:
            delattr(owner, name)

    def enter(self, given: tuple[Any, ...]) -> None:
        """Set what tests have set in other modules: `[module, class, name, value]` each."""
        self._given = given
        for owner, name, value in [*map(_found, given), *self._kept.values()]:
            if owner is not None:
                self._undo.append((owner, name, vars(owner).get(name, _MISSING)))
                setattr(owner, name, value)

    def leave(self) -> tuple[Any, ...]:
        """Undo it, and return what was given to `enter`."""
        while self._undo:
            _restore(*self._undo.pop())
        given, self._given = self._given, ()
        return given


def _is_foreign(owner: Any) -> bool:
    return isinstance(owner, types.ModuleType) and owner.__name__ != "solution"


def _found(given: tuple[Any, ...]) -> tuple[Any, str, Any]:
    """Return owner, name and value; the owner is `None` if there is none here."""
    module, kind, name, value = given
    try:
        owner: Any = sys.modules.get(module) or importlib.import_module(module)
        for part in filter(None, kind.split(".")):
            owner = getattr(owner, part)
    except (ImportError, AttributeError):
        owner = None
    return owner, name, value


def _restore(owner: Any, name: str, value: Any) -> None:
    if value is _MISSING:
        delattr(owner, name)
    else:
        setattr(owner, name, value)
