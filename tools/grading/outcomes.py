"""What became of one test."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class TestOutcome(BaseModel):
    """One test's outcome, ready to be shown to a coder."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    __test__ = False

    name: str
    """The test's own name, or its assertion, or `case 3`."""
    status: Literal["passed", "failed", "error", "timeout", "not run"]
    message: str = ""
    """Input, expected and actual value; or the exception with the candidate's own lines."""
