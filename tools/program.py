"""A program to run or to grade, and the steps of a session before it."""

from collections.abc import Mapping

from pydantic import Field

from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.grading.tests import Tests
from opencodeinterpreter.tools.input_files import Content, plain


class Step(Frozen):
    """Code and its files, as a session runs them one after the other."""

    code: str
    """Empty if only files came."""
    files: dict[str, str] = {}
    """Other files of the draft, by relative path."""
    inputs: Mapping[str, Content] = Field(default={}, exclude_if=lambda inputs: not inputs)
    """Files of the task; a file of the draft replaces one of the same path."""

    @property
    def all_files(self) -> dict[str, str | bytes]:
        """The files of the task and of the draft, as a sandbox takes them."""
        return {**plain(self.inputs), **self.files}


class Program(Step):
    """One draft, ready to run."""

    entry_point: str | None = None
    """The function that call cases call and that HumanEval's `check` is given."""
    tests: Tests | None = None
    """Without tests the program itself is run."""
    limits: SandboxLimits = SandboxLimits()
    """Of the program itself, or of all its tests together."""
    before: tuple[Step, ...] | None = Field(default=None, exclude_if=lambda before: before is None)
    """The steps whose variables and files the program finds; `None`: it runs alone."""

    @property
    def digest(self) -> str:
        """The sha256 of everything that determines what runs.

        Recorded executions are found by it, so a field that is added later must not change it
        while the field has its default.
        """
        return digest(self.model_dump(mode="json"))
