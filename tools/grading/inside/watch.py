"""Runs in the sandbox, in the examiner: notices what tests put in place of parts of modules.

`patch("time.sleep")` changes the module of the tests' process. The candidate has modules of its
own, so each call tells it what is replaced at present.
"""

import builtins
import functools
import random
import sys
import time
import types
from collections.abc import Callable
from typing import Any
from unittest import mock

_WATCHED = ((builtins, "input print open"), (time, "sleep time"), (random, "random"))
_NEVER = frozenset({"_pytest", "pytest", "py", "solution"})
_CROSSING = frozenset({"stdin", "stdout", "stderr"})
"""The attributes of `sys` that cross in another way."""


class Watch:
    """The attributes of modules and of their classes that tests may have replaced."""

    def __init__(self) -> None:
        self._watched: dict[tuple[str, str, str], tuple[Any, Any]] = {}
        """Owner and own value, by names of module, class and attribute."""
        for module, names in _WATCHED:
            for name in names.split():
                self._note(module, name, getattr(module, name))
        self._note(sys, "argv", sys.argv)

    def _note(self, owner: Any, name: str, value: Any) -> None:
        if isinstance(owner, types.ModuleType):
            place = owner.__name__, "", name
        elif type(owner) is type:
            place = owner.__module__, owner.__qualname__, name
        else:
            return
        root = place[0].partition(".")[0]
        if root in _NEVER or (owner is sys and name in _CROSSING):
            return
        self._watched.setdefault(place, (owner, value))

    def patched(self) -> tuple[tuple[Any, ...], ...]:
        """Return module, class, name and present value of each replaced attribute."""
        return tuple(
            (*place, vars(owner)[place[2]])
            for place, (owner, own) in self._watched.items()
            if vars(owner).get(place[2], own) is not own
        )

    def start(self) -> None:
        """Note from now on what `unittest.mock` and `monkeypatch` replace."""
        import pytest

        def entered(made: Any) -> None:
            self._note(made.target, made.attribute, made.temp_original)

        def set_(made: Any) -> None:
            if made._setattr:
                self._note(*made._setattr[-1])

        patch: Any = mock._patch
        patch.__enter__ = _followed(patch.__enter__, entered)
        monkeypatch: Any = pytest.MonkeyPatch
        monkeypatch.setattr = _followed(monkeypatch.setattr, set_)


def _followed(function: Callable[..., Any], by: Callable[[Any], None]) -> Callable[..., Any]:
    """Return a method that calls `by` with the object after `function`."""

    @functools.wraps(function)
    def method(made: Any, *given: Any, **named: Any) -> Any:
        value = function(made, *given, **named)
        by(made)
        return value

    return method
