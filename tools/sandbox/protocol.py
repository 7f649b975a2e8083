"""The sandbox seam, in E2B's terms: code in, an `Execution` out.

Whatever an execution holds is a claim by hostile code: bounded, shown and stored, never trusted.
Only a failure of the sandbox itself raises (`SandboxError`).
"""

from collections.abc import Mapping
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from opencodeinterpreter.tools.grading.outcomes import TestOutcome

Status = Literal["ok", "error", "timeout", "limit", "crashed", "exited", "sandbox_error"]
Tier = Literal["full", "reduced"]


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SandboxLimits(_Plain):
    """What one run may use at most.

    Time, memory and output end a run as such; disk and processes reach it as exceptions.
    """

    wall_seconds: float = Field(default=10.0, gt=0)
    cpu_seconds: float = Field(default=10.0, gt=0)
    memory_mb: int = Field(default=512, ge=16)
    """Resident memory in MiB."""
    output_bytes: int = Field(default=65_536, ge=0)
    """What is kept of stdout and of stderr, each; the rest is counted and dropped."""
    disk_mb: int = Field(default=64, ge=1)
    """The work folder's size in MiB."""
    processes: int = Field(default=64, ge=1)


class ExecutionError(_Plain):
    """The exception that ended a run, as the code's own process told it."""

    name: str
    value: str
    traceback: str


class Logs(_Plain):
    """What the code printed, cut to `SandboxLimits.output_bytes` each."""

    stdout: str = ""
    stderr: str = ""
    stdout_dropped: int = 0
    """Bytes that were printed and not kept."""
    stderr_dropped: int = 0


class Execution(_Plain):
    """What running a program gave."""

    status: Status
    reason: str = ""
    """The limit or signal behind the status (`wall`, `cpu`, `memory`, `output`, `SIGSEGV`).

    The host records it before it kills.
    """
    exit_code: int | None = None
    logs: Logs = Logs()
    error: ExecutionError | None = None
    limits_hit: tuple[str, ...] = ()
    """Limits that the host itself saw reached without ending the run (`disk`, `processes`)."""
    tier: str = ""
    """How isolated the run was; empty where nothing ran."""
    seconds: float = 0.0
    """Wall time."""
    tests: tuple[TestOutcome, ...] | None = None
    """Outcomes of the program's tests, written by the grader; `None` where it had none."""

    @property
    def passed(self) -> bool:
        """Whether there were tests and all of them passed."""
        return bool(self.tests) and all(test.status == "passed" for test in self.tests or ())


class Sandbox(Protocol):
    """A place where untrusted code runs; without a context each run is one-shot."""

    @property
    def tier(self) -> str:
        """The isolation that a throw-away run proved when the sandbox was opened."""
        ...

    async def run_code(
        self,
        code: str,
        *,
        files: Mapping[str, str] | None = None,
        stdin: str = "",
        limits: SandboxLimits | None = None,
    ) -> Execution:
        """Run `code` as `__main__` in an empty work folder that holds `files`.

        `files` maps relative paths to text. Nothing that the run starts outlives it.
        Raises SandboxError when the sandbox itself fails.
        """
        ...
