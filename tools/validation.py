"""The first problem of a pydantic ValidationError, for one-line error messages."""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError


@dataclass(frozen=True)
class Problem:
    """One invalid value. As text it is `place: message`, or the message alone for the root."""

    place: str
    """The dotted path of the value, such as `limits.turns`; empty for the root."""
    message: str
    value: Any
    kind: str
    """Pydantic's error type, such as `missing` or `extra_forbidden`."""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


def first_problem(error: ValidationError) -> Problem:
    """Return the first problem that `error` lists."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return Problem(place, message, first["input"], first["type"])
