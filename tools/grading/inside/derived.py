"""Runs in the sandbox, in the examiner: classes of the tests that derive from the candidate's.

Such a class is made in the candidate's process, where its methods are functions of the tests. Here
it is a proxy like that of any class of the candidate. What `super()` finds in a method is requested
from the candidate.
"""

from collections.abc import Iterable, Mapping
from types import FunctionType
from typing import Any

_LOCAL = frozenset({"__classcell__", "__doc__", "__module__", "__qualname__"})
"""What a class body sets that only the proxy has."""


class Above:
    """A method of a class of the candidate, as `super()` finds it in a class of the tests."""

    def __init__(self, link: Any, kind: Any, name: str) -> None:
        self._link = link
        self._kind = kind
        self._name = name

    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is None:
            return self._link.do("getattr", owner, self._name)
        return self._link.do("inherited", self._kind, instance, self._name)


def derive(
    link: Any, name: str, bases: Iterable[Any], members: Mapping[str, Any], named: Any
) -> int:
    """Make a class in the candidate's process; return its handle."""
    remote = [base for base in bases if "_class_link" in base.__dict__]
    own = [base for base in bases if "_class_link" not in base.__dict__]
    sent = {name: each for base in reversed(own) for name, each in _of_mixin(base)}
    sent |= {name: each for name, each in members.items() if name not in _LOCAL}
    parts = {name: _part(each) for name, each in sent.items()}
    for base in remote:
        _show_methods(link, base)
    return int(link.do("subclass", name, tuple(remote), parts, named))


def _of_mixin(kind: type) -> list[tuple[str, Any]]:
    """Return the members of a class of the tests that stands beside one of the candidate's."""
    found: dict[str, Any] = {}
    for each in reversed(kind.__mro__):
        if each is not object:
            found |= {
                name: value
                for name, value in vars(each).items()
                if not name.startswith("__") or isinstance(value, FunctionType)
            }
    return list(found.items())


def _part(member: Any) -> tuple[Any, ...]:
    """Return how a member of a class is made again: a kind, and what it is made of."""
    if isinstance(member, staticmethod | classmethod):
        return type(member).__name__, member.__func__
    if type(member) is property:
        return "property", member.fget, member.fset, member.fdel
    return "plain", member


def _show_methods(link: Any, kind: Any) -> None:
    """Let `super()` find the methods of a class and of those above it."""
    for each in kind.__mro__:
        if "_class_link" in each.__dict__ and "_shows" not in each.__dict__:
            type.__setattr__(each, "_shows", True)
            type.__setattr__(each, "__getattribute__", _without_above)
            for name in link.do("methods", each):
                type.__setattr__(each, str(name), Above(link, each, str(name)))


def _without_above(self: Any, name: str) -> Any:
    """Look up an attribute that is not asked for by `super()`: the candidate finds it."""
    own = next((vars(each)[name] for each in type(self).__mro__ if name in vars(each)), None)
    if isinstance(own, Above):
        raise AttributeError(name)
    return object.__getattribute__(self, name)
