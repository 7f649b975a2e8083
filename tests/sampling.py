"""Long tables of cases: some of them run among the fast tests, the others are slow."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def every(step: int, cases: Iterable[object]) -> list[Any]:
    """Return all cases as parameters; each `step`-th of them is fast, the others are slow."""
    return [
        case if number % step == 0 else pytest.param(case, marks=pytest.mark.slow)
        for number, case in enumerate(cases)
    ]


def first_of_each(kind: Callable[[Any], object], cases: Iterable[object]) -> list[Any]:
    """Return all cases as parameters; the first of each kind is fast, the others are slow."""
    found: dict[object, object] = {}
    return [
        case
        if found.setdefault(kind(case), case) is case
        else pytest.param(case, marks=pytest.mark.slow)
        for case in cases
    ]
