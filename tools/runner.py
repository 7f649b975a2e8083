"""The runner seam: a program in, an execution out; sandbox and grader together."""

from typing import Protocol

from pydantic import BaseModel, ConfigDict

from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.grading.tests import Tests
from opencodeinterpreter.tools.sandbox.protocol import Execution, SandboxLimits


class Program(BaseModel):
    """One draft, ready to run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str
    files: dict[str, str] = {}
    """Further files of the draft, by relative path."""
    entry_point: str | None = None
    """The function that call cases call; by default the last one that `code` defines."""
    tests: Tests | None = None
    """Feedback tests; without them the program itself is run."""
    limits: SandboxLimits = SandboxLimits()

    @property
    def digest(self) -> str:
        """The sha256 of everything that decides what runs."""
        return digest(self.model_dump(mode="json"))


class Runner(Protocol):
    """Runs programs and grades their tests."""

    async def run(self, program: Program) -> Execution:
        """Run `program`; what it did is in the execution, only SandboxError is raised."""
        ...
