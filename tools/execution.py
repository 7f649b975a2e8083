"""The result of running a program, as every sandbox and the grader return it.

Everything in an execution is a claim by hostile code: it is bounded, shown and stored, but never
trusted. The outcomes of tests are the exception: the grader writes them.
"""

from typing import Literal

from pydantic import ConfigDict, Field, JsonValue

from opencodeinterpreter.tools.frozen import Frozen

Status = Literal["ok", "error", "timeout", "limit", "crashed", "exited", "sandbox_error"]


class SandboxLimits(Frozen):
    """The most that one run may use.

    Too much time, memory or output ends the run; too much disk or too many processes raise an
    exception in it. In a context, time and output are limited per cell, the rest per context.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    wall_seconds: float = Field(default=10.0, gt=0, lt=2**31)
    """Time from start to end."""
    cpu_seconds: float = Field(default=10.0, gt=0, lt=2**31)
    """Processor time."""
    memory_mb: int = Field(default=512, ge=16, lt=2**40)
    """Resident memory in MiB."""
    output_bytes: int = Field(default=65_536, ge=0, lt=2**63)
    """How many bytes of stdout, and of stderr, are kept; the rest is counted and dropped."""
    disk_mb: int = Field(default=64, ge=1, lt=2**40)
    """The work folder's size in MiB."""
    processes: int = Field(default=64, ge=1, lt=2**31)
    """Processes and threads at once."""
    test_seconds: float | None = Field(
        default=None, gt=0, lt=2**31, exclude_if=lambda seconds: seconds is None
    )
    """The time that a program may take in one test; `None` means half of `wall_seconds` for one
    call.
    """


USUAL_LIMITS = SandboxLimits()
"""The limits of a run for which nobody chose others."""


class ExecutionError(Frozen):
    """The exception that ended a run, as the code's own process reported it."""

    name: str
    value: str
    traceback: str


class Logs(Frozen):
    """The code's output, each stream cut to `SandboxLimits.output_bytes`."""

    stdout: str = ""
    stderr: str = ""
    stdout_dropped: int = 0
    """Bytes that were printed but not kept."""
    stderr_dropped: int = 0


class Result(Frozen):
    """One thing that a cell displayed, in each form that the cell gave; other forms are `None`.

    HTML, SVG and scripts come from hostile code: never put them into a page without a sandboxed
    frame.
    """

    is_main_result: bool = False
    """Whether it is the value of the cell's last expression, not something that it displayed."""
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
    """The object's own JSON form."""
    extra: dict[str, JsonValue] = {}
    """Other forms by MIME type."""


class Artifact(Frozen):
    """A file that a program wrote in its work folder."""

    path: str
    """Relative to the work folder."""
    size: int
    """Bytes of the whole file."""
    sha256: str | None = None
    """Of the whole file, in hex; `None` if the file was too big to be read."""
    content: str | None = None
    """The bytes in base64; `None` if `sha256` is, and in a record, which keeps them by `sha256`."""


class TestOutcome(Frozen):
    """One test's outcome, in a form that a coder is shown."""

    __test__ = False

    name: str
    """The test's own name, or its assertion, or `case 3`."""
    status: Literal["passed", "failed", "error", "timeout", "skipped", "not run"]
    message: str = ""
    """Input, expected and actual value, or the exception with the candidate's own lines."""
    word: str = Field(default="", exclude_if=lambda word: not word)
    """The candidate's own operator (`==`, `in`) that decided the outcome; empty if none did."""


class Execution(Frozen):
    """The result of running a program."""

    status: Status
    reason: str = ""
    """The limit or signal behind the status (`wall`, `cpu`, `memory`, `output`, `SIGSEGV`).

    The host records it before it kills the process.
    """
    exit_code: int | None = None
    results: tuple[Result, ...] = ()
    """What a cell displayed, including figures; always empty without a context."""
    logs: Logs = Logs()
    error: ExecutionError | None = None
    limits_hit: tuple[str, ...] = ()
    """Limits that the host saw reached and that did not end the run (`disk`, `processes`)."""
    artifacts: tuple[Artifact, ...] = ()
    """The files that the caller asked for with `collect`."""
    execution_count: int | None = None
    """The cell's number in its context, from 1; `None` without one."""
    state_lost: bool = False
    """Whether the context's variables and files were lost in this run or before it.

    A loss is reported twice: by the run that ended the context's process, and by the next run,
    which starts in an empty context.
    """
    tier: str = ""
    """How isolated the run was, such as `full`; empty if nothing ran."""
    profile: str = ""
    """What the code was allowed to do (`pure`, `proc`); empty if nothing ran."""
    seconds: float = 0.0
    """Wall time."""
    tests: tuple[TestOutcome, ...] | None = None
    """The outcomes of the program's tests, written by the grader; `None` if it has no tests."""
    tests_by: Literal["tests"] | None = Field(default=None, exclude_if=lambda by: by is None)
    """`tests` if the grader ran tests, out of the candidate's reach; `None` if it ran none."""

    @property
    def passed(self) -> bool:
        """Whether at least one test passed and all others passed or were skipped."""
        statuses = {test.status for test in self.tests or ()}
        return "passed" in statuses and statuses <= {"passed", "skipped"}
