"""Compute something of each item of a sequence that grows, without starting anew each time."""

from collections.abc import Callable, Sequence
from operator import is_
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_MOST = 4096
"""How many items are kept, of all sequences together; the newest sequence is always kept."""


class Growing(Generic[T, R]):
    """Returns one result per item: `step(result of the item before, item)`.

    What was computed for the beginning of an earlier sequence is used again, so that a sequence to
    which items are added takes a time that grows with its length. Items are compared by identity
    and must not change. Callers must not change the list that they get.
    """

    def __init__(self, step: Callable[[R | None, T], R]) -> None:
        """Use `step`, a pure function; it gets `None` before the first item."""
        self._step = step
        self._lock = Lock()
        self._held: dict[int, tuple[Sequence[T], list[R]]] = {}
        self._total = 0

    def __call__(self, items: Sequence[T]) -> list[R]:
        """Return the results of all items in order."""
        if not items:
            return []
        known, results = self._held.get(id(items[0]), ((), []))
        same = _shared(known, items)
        results = results[:same]
        if same == len(items):
            return results
        for item in items[same:]:
            results.append(self._step(results[-1] if results else None, item))
        with self._lock:
            self._keep(items, results)
        return results

    def _keep(self, items: Sequence[T], results: list[R]) -> None:
        # The key stays valid: while the sequence is held, so is its first item.
        self._drop(id(items[0]))
        self._held[id(items[0])] = (tuple(items), results)
        self._total += len(items)
        while self._total > _MOST and len(self._held) > 1:
            self._drop(next(iter(self._held)))

    def _drop(self, key: int) -> None:
        self._total -= len(self._held.pop(key, ((), []))[0])


def _shared(known: Sequence[object], items: Sequence[object]) -> int:
    """Return how many items both begin with; the loops over all items are the interpreter's own."""
    low, high = 0, min(len(known), len(items))
    if all(map(is_, known, items)):
        return high
    while low < high:
        middle = (low + high + 1) // 2
        if all(map(is_, known[low:middle], items[low:middle])):
            low = middle
        else:
            high = middle - 1
    return low
