"""Runs in the sandbox, on both sides of the boundary: lists and the like that both sides hold.

In one process, two names can stand for one list. Here each side has a copy of it. A shared
container has a number, and every message brings the new content of those that changed. So a change
on one side, even much later or deep inside another container, is seen on the other, and a container
that comes back is the same object as before.
"""

import json
import sys
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any

from opencodeinterpreter.tools.grading.inside.wire import Form, WireError, Writer, read

_KINDS = (list, dict, set, bytearray, deque, Counter, OrderedDict, defaultdict, array)
_MAPPINGS = (dict, Counter, OrderedDict, defaultdict)
_FACTORIES = {kind.__name__: kind for kind in (bool, dict, float, int, list, set, str, tuple)}
_UNHELD = sys.getrefcount({0: [0]}[0]) + 1
"""The references to a container if nothing but a table and the call that counts refer to it."""


class Frame:
    """A list or dict that belongs to the message alone; what is in it may be shared."""

    def __init__(self, content: Any) -> None:
        self.content = content


class Shared:
    """One side's table of shared containers, and its messages.

    `first` and every second number after it are this side's own numbers. `other` and `subclass`
    are those of `Writer`; `make` makes the values of tags that are not plain data.
    """

    def __init__(
        self,
        first: int,
        other: Callable[[Any], Form],
        subclass: Callable[[Any, Form], Form],
        make: Callable[[str, Any], Any],
    ) -> None:
        self._next = first
        self._make = make
        self._other = other
        self._writer = Writer(self._form_of_other, subclass, self.reference)
        self._plain = Writer(other, subclass)
        self._containers: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}
        self._known: dict[int, Form] = {}
        """The contents that the other side has, as they were sent or received."""
        self._forgotten: list[int] = []
        self._reading = 0

    def text(self, told: list[Any]) -> str:
        """Return a message with what changed in shared containers; raises RecursionError."""
        form = self._writer.unshared(told)
        news = [] if self._reading else self._news()
        self._forget_unheld()
        forgotten, self._forgotten = self._forgotten, []
        return json.dumps([form, news, forgotten], separators=(",", ":"))

    def read(self, text: str) -> Any:
        """Return what a message tells, after its changes were made here; raises WireError."""
        # What is read may have to ask the other side, before all changes are made here.
        self._reading += 1
        try:
            told, news, forgotten = read(text, other=self._made)
            for number, content in news:
                self._change(number, content)
        except (ValueError, TypeError) as error:
            raise WireError(str(error)) from None
        finally:
            self._reading -= 1
        self._forget(forgotten)
        return told

    def form(self, value: Any) -> Form:
        """Return the form of a value in a message that is being written."""
        return self._writer.form(value)

    def end(self) -> None:
        """Share nothing any longer of what was shared until now."""
        self._forgotten += self._containers
        self._forget([*self._containers])

    def _form_of_other(self, value: Any) -> Form:
        if type(value) is Frame:
            return self._writer.unshared(value.content)
        return self._other(value)

    def reference(self, container: Any) -> Form:
        """Return the form of a container that both sides hold from now on."""
        number = self._numbers.get(id(container))
        if number is None:
            number, self._next = self._next, self._next + 2
            self._add(number, container)
        name = _kind(container).__name__
        if name != "ndarray":
            return {"ref": [number, name, _traits(container)]}
        self._known[number] = self._plain.form(container)
        return {"ref": [number, name, self._known[number]]}

    def _add(self, number: int, container: Any) -> None:
        self._containers[number] = container
        self._numbers[id(container)] = number

    def _made(self, tag: str, body: Any) -> Any:
        return self._find(*body) if tag == "ref" else self._make(tag, body)

    def _find(self, number: int, name: str, traits: Any) -> Any:
        """Return the container of a reference, a new one if the number is new."""
        if name == "ndarray":
            return self._find_array(number, traits)
        if number not in self._containers:
            self._add(number, _made(name, traits))
        found = self._containers[number]
        if _kind(found).__name__ != name:
            raise WireError(f"container {number} is a {type(found).__name__}, not a {name}")
        return found

    def _find_array(self, number: int, array: Any) -> Any:
        if type(array).__name__ != "ndarray":
            return array  # this side has no numpy
        if number not in self._containers:
            self._add(number, array)
        self._change(number, array)
        return self._containers[number]

    def _news(self) -> list[Form]:
        """Return number and content of each container that the other side does not have so."""
        told: list[Form] = []
        seen = 0
        while seen < len(self._containers):
            # The forms of what is in a container may add others.
            for number, container in [*self._containers.items()][seen:]:
                seen += 1
                content = self._form(container)
                if number not in self._known or self._known[number] != content:
                    self._known[number] = content
                    told.append([number, content])
        return told

    def _form(self, container: Any) -> Form:
        if type(container).__name__ == "ndarray":
            return self._plain.form(container)
        return self._writer.form(_content(container))

    def _change(self, number: int, content: Any) -> None:
        container = self._containers.get(number)
        if container is None:
            raise WireError(f"there is no container {number}")
        _fill(container, content)
        self._known[number] = self._form(container)

    def _forget_unheld(self) -> None:
        """Share no longer what nothing else here refers to: no change of it would be noticed."""
        for number in [*self._containers]:
            if sys.getrefcount(self._containers[number]) <= _UNHELD:
                self._forgotten.append(number)
                self._forget([number])

    def _forget(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            if number in self._containers:
                self._known.pop(number, None)
                del self._numbers[id(self._containers[number])]
                del self._containers[number]


def _kind(container: Any) -> Any:
    """Return the kind of a container, whose own class may derive from it."""
    return next((each for each in type(container).__mro__ if each in _KINDS), type(container))


def _traits(container: Any) -> Any:
    """Return what an empty container of the kind is made with."""
    kind = _kind(container)
    if kind is deque:
        return container.maxlen
    if kind is array:
        return container.typecode
    if kind is defaultdict:
        return getattr(container.default_factory, "__name__", "")
    return None


def _made(name: str, traits: Any) -> Any:
    kind: Any = next((each for each in _KINDS if each.__name__ == name), None)
    if kind is None:
        raise WireError(f"{name} is no kind of container")
    if kind is deque:
        return deque(maxlen=traits)
    if kind is array:
        return array(traits)
    return defaultdict(_FACTORIES.get(traits)) if kind is defaultdict else kind()


def _content(container: Any) -> Any:
    """Return what is in a container, as a tuple or bytes, without calling its own methods."""
    kind = _kind(container)
    if kind is bytearray:
        return bytes(container)
    if kind in _MAPPINGS:
        return tuple(dict.keys(container)), tuple(dict.values(container))
    return tuple(kind.__iter__(container))


def _fill(container: Any, content: Any) -> None:
    """Put content into a container; what is the same stays, so that loops over it can go on."""
    kind = _kind(container)
    if kind in _MAPPINGS:
        keys, values = content
        if tuple(dict.keys(container)) != keys:
            dict.clear(container)
        for key, value in zip(keys, values, strict=True):
            kind.__setitem__(container, key, value)
    elif kind is list or kind is bytearray:
        kind.__setitem__(container, slice(None), content)
    elif kind is array:
        if tuple(container) != content:
            container[:] = array(container.typecode, content)
    elif kind is set:
        if not set.__eq__(container, new := set(content)):
            set.clear(container)
            set.update(container, new)
    elif kind is deque:
        container.clear()
        container.extend(content)
    elif type(content) is type(container) and content.shape == container.shape:
        container[...] = content
