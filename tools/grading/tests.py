"""A task's tests: Python source, or input/output cases; and how they are read from a file."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PythonTests(_Plain):
    """Assertions or `test_*` functions that import `solution`."""

    kind: Literal["python"] = "python"
    source: str


class CallCase(_Plain):
    """Call the entry point with `args`; the result must equal `expected`."""

    args: tuple[Any, ...]
    expected: Any


class StdinCase(_Plain):
    """Run the program with `stdin`; it must print `stdout` (trailing white space aside)."""

    stdin: str
    stdout: str


class CaseTests(_Plain):
    """Input/output cases, all of one shape."""

    kind: Literal["cases"] = "cases"
    cases: tuple[CallCase, ...] | tuple[StdinCase, ...]


Tests = Annotated[PythonTests | CaseTests, Field(discriminator="kind")]
