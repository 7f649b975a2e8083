"""The sandbox seam, in E2B's terms: code in, an `Execution` out.

Whatever an execution holds is a claim by hostile code: bounded, shown and stored, never trusted.
Only a failure of the sandbox itself raises (`SandboxError`).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from opencodeinterpreter.tools.grading.outcomes import TestOutcome

Status = Literal["ok", "error", "timeout", "limit", "crashed", "exited", "sandbox_error"]
Tier = Literal["full", "reduced"]
OnStdout = Callable[[str], None]
Profile = Literal["pure", "proc"]
"""`pure`: no process beside the code's own; `proc`: programs may be started in the sandbox."""


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SandboxLimits(_Plain):
    """What one run may use at most.

    Time, memory and output end a run as such; disk and processes reach it as exceptions.
    In a context, time and output are a cell's, memory, disk and processes the context's.
    """

    wall_seconds: float = Field(default=10.0, gt=0, lt=2**31)
    cpu_seconds: float = Field(default=10.0, gt=0, lt=2**31)
    memory_mb: int = Field(default=512, ge=16, lt=2**40)
    """Resident memory in MiB."""
    output_bytes: int = Field(default=65_536, ge=0, lt=2**63)
    """What is kept of stdout and of stderr, each; the rest is counted and dropped."""
    disk_mb: int = Field(default=64, ge=1, lt=2**40)
    """The work folder's size in MiB."""
    processes: int = Field(default=64, ge=1, lt=2**31)


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


class Result(_Plain):
    """One thing that a cell showed, in every form it was told in; `None` for the others.

    HTML, SVG and scripts come from hostile code: never put them into a page unframed.
    """

    is_main_result: bool = False
    """Whether it is the value of the cell's last expression, and not something it displayed."""
    text: str | None = None
    """Its `repr`."""
    html: str | None = None
    markdown: str | None = None
    latex: str | None = None
    svg: str | None = None
    png: str | None = None
    """An image in base64, like `jpeg` and `pdf`."""
    jpeg: str | None = None
    pdf: str | None = None
    javascript: str | None = None
    json_value: JsonValue = None
    """What the object itself gave as JSON."""
    extra: dict[str, JsonValue] = {}
    """Further forms by their MIME type."""


class Artifact(_Plain):
    """A file that a run left in its work folder and its caller asked for."""

    path: str
    """Relative to the work folder."""
    size: int
    """Bytes of the whole file."""
    sha256: str | None = None
    """Of the whole file, in hex; `None` where it was not read because it is too big."""
    content: str | None = None
    """The bytes in base64, `None` with `sha256`."""


class FileInfo(_Plain):
    """An entry of a context's work folder."""

    path: str
    """Relative to the work folder."""
    kind: Literal["file", "folder", "other"]
    size: int = 0
    """Bytes; 0 for a folder."""


class Context(_Plain):
    """A handle of an interpreter whose variables, imports and files stay between runs."""

    id: str


class Execution(_Plain):
    """What running a program gave."""

    status: Status
    reason: str = ""
    """The limit or signal behind the status (`wall`, `cpu`, `memory`, `output`, `SIGSEGV`).

    The host records it before it kills.
    """
    exit_code: int | None = None
    results: tuple[Result, ...] = ()
    """What a cell showed, figures included; always empty without a context."""
    logs: Logs = Logs()
    error: ExecutionError | None = None
    limits_hit: tuple[str, ...] = ()
    """Limits that the host itself saw reached without ending the run (`disk`, `processes`)."""
    artifacts: tuple[Artifact, ...] = ()
    """The files that the caller asked for with `collect`."""
    execution_count: int | None = None
    """The cell's number in its context, from 1; `None` without one."""
    state_lost: bool = False
    """Whether the context's variables and files went with this run, or had gone before it.

    A loss is told twice: by the run that ended the context's process, and by the next one, which
    began in an empty context.
    """
    tier: str = ""
    """How isolated the run was; empty where nothing ran."""
    profile: str = ""
    """What the code was allowed to do (`pure`, `proc`); empty where nothing ran."""
    seconds: float = 0.0
    """Wall time."""
    tests: tuple[TestOutcome, ...] | None = None
    """Outcomes of the program's tests, written by the grader; `None` where it had none."""
    tests_by: Literal["tests", "tests in process"] = Field(
        default="tests in process", exclude_if=lambda by: by == "tests in process"
    )
    """Who decides by them: `tests`, out of the candidate's reach, or tests within it.

    Left out of dumps in the latter case, since older traces do not have it.
    """

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

    @property
    def holds(self) -> frozenset[str]:
        """Names of this package's modules that every run finds loaded: no program brings them."""
        ...

    async def run_code(
        self,
        code: str,
        *,
        files: Mapping[str, str] | None = None,
        stdin: str = "",
        limits: SandboxLimits | None = None,
        on_stdout: OnStdout | None = None,
    ) -> Execution:
        """Run `code` as `__main__` in an empty work folder that holds `files`.

        `files` maps relative paths to text. Nothing that the run starts outlives it, and it ends
        when it is cancelled. `on_stdout` is told what is printed and kept, in pieces, as it comes.
        Raises SandboxError when the sandbox itself fails.
        """
        ...


class ContextSandbox(Sandbox, Protocol):
    """A sandbox that can also keep state between runs and hand files in and out.

    Every method raises SandboxError when the sandbox itself fails, and InputError for a context
    that it does not have (any more) or a path that leaves the work folder.
    """

    def reserve(self, count: int) -> AbstractAsyncContextManager[None]:
        """Wait until `count` contexts fit beside all that are reserved, and keep room for them.

        With more contexts than a sandbox keeps, one loses its state or is refused. Raises
        SandboxError where that many never fit.
        """
        ...

    async def run_code(
        self,
        code: str,
        *,
        files: Mapping[str, str | bytes] | None = None,
        stdin: str = "",
        limits: SandboxLimits | None = None,
        context: Context | None = None,
        collect: Sequence[str] = (),
        seed: int | None = None,
        on_stdout: OnStdout | None = None,
    ) -> Execution:
        """Run `code`, one-shot, or as the next cell of `context`.

        A cell's last expression is shown (`results`), and so are the figures it leaves open. One
        that overruns its time is interrupted and keeps its variables, and is killed only if it
        won't stop; cells of one context run one after the other. `collect` holds patterns
        (`*.png`, `out/*`) of files to return; `seed` fixes the random numbers of `random` and
        of a preloaded numpy, which else differ from run to run.
        """
        ...

    async def create_context(self, *, limits: SandboxLimits | None = None) -> Context:
        """Make an empty context; `limits` bound its memory, disk and processes for its life."""
        ...

    async def restart_context(self, context: Context) -> None:
        """Empty `context`: no variables, no files; its next cell is number 1."""
        ...

    async def remove_context(self, context: Context) -> None:
        """End `context` and all it started; a context that is gone already is no error."""
        ...

    async def fork_context(self, context: Context) -> Context:
        """Make a second context in the same state, each going its own way from there.

        Its successful cells are run again, then the files are copied: what a failed cell changed
        in memory is not there, and what a cell did at random or by the clock may differ.
        """
        ...

    async def read_file(self, context: Context, path: str) -> bytes:
        """Return a file of the work folder; raises InputError where there is none."""
        ...

    async def write_file(self, context: Context, path: str, data: bytes) -> None:
        """Write a file into the work folder, making its parent folders."""
        ...

    async def list_files(self, context: Context, path: str = ".") -> tuple[FileInfo, ...]:
        """Return the entries of a folder of the work folder, by name."""
        ...
