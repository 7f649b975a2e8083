"""What running a program gave: the values that every sandbox and the grader speak in.

Whatever an execution holds is a claim by hostile code: bounded, shown and stored, never trusted.
Outcomes of tests are the exception: the grader writes them, on our side.
"""

from typing import Literal

from pydantic import Field, JsonValue

from opencodeinterpreter.tools.frozen import Frozen

Status = Literal["ok", "error", "timeout", "limit", "crashed", "exited", "sandbox_error"]


class SandboxLimits(Frozen):
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


class ExecutionError(Frozen):
    """The exception that ended a run, as the code's own process told it."""

    name: str
    value: str
    traceback: str


class Logs(Frozen):
    """What the code printed, cut to `SandboxLimits.output_bytes` each."""

    stdout: str = ""
    stderr: str = ""
    stdout_dropped: int = 0
    """Bytes that were printed and not kept."""
    stderr_dropped: int = 0


class Result(Frozen):
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


class Artifact(Frozen):
    """A file that a run left in its work folder and its caller asked for."""

    path: str
    """Relative to the work folder."""
    size: int
    """Bytes of the whole file."""
    sha256: str | None = None
    """Of the whole file, in hex; `None` where it was not read because it is too big."""
    content: str | None = None
    """The bytes in base64, `None` with `sha256`."""


class TestOutcome(Frozen):
    """One test's outcome, ready to be shown to a coder."""

    __test__ = False

    name: str
    """The test's own name, or its assertion, or `case 3`."""
    status: Literal["passed", "failed", "error", "timeout", "skipped", "not run"]
    message: str = ""
    """Input, expected and actual value; or the exception with the candidate's own lines."""
    word: str = Field(default="", exclude_if=lambda word: not word)
    """The candidate's own operator (`==`, `in`) on which the outcome rests; empty if none."""


class Execution(Frozen):
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
        """Whether at least one test passed, and none but skipped ones did not."""
        statuses = {test.status for test in self.tests or ()}
        return "passed" in statuses and statuses <= {"passed", "skipped"}
