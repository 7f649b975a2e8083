"""The errors that this package raises for its callers.

    OpenCodeInterpreterError
    ├── InputError              the caller's argument, file or setting is wrong (exit status 2)
    │   └── BusyError           another process works on the run
    └── OutsideError            something outside failed; `owner` says what (exit status 3)
        ├── ModelError          a model
        │   └── ContextOverflow
        ├── SandboxError        the sandbox
        │   └── E2BTransientError       in tools.sandbox.e2b: another attempt may succeed
        ├── BenchmarkError      a benchmark's files
        ├── ClusterError        a Ray cluster
        ├── StoreError          the database of runs
        │   └── ClaimLostError      another process took over the run
        └── OutputError         standard output

What untrusted code did is never an exception: it is data in an `Execution`.

The exceptions below are control flow. Each is caught within the package that defines it:

    tools.models          AttemptFailed, ErrorAnswerError; ClientFailed and SourceFailed of a fetch
    tools.sandbox.inside  StepFailedError
    tools.sandbox.local   ZygoteDiedError, NoCgroupsError
    tools.grading.inside  HarnessError and the kinds of it: TimedOutError, GoneError, OverError,
                          BlankError; TooLargeError, WireError, RefusedError
    tools.benchmarks      TimeLimitError
    traces                Diverged, NotRecorded
    cli                   Terminated; in cli.chat Left, Stopped
"""

from typing import ClassVar


class OpenCodeInterpreterError(RuntimeError):
    """The base of all errors; its text is one line for a person.

    It is a RuntimeError because LangGraph's server shows the text of those alone, and because
    LangGraph's default retry policy does not repeat them: our own retries are spent by then.
    """


class InputError(OpenCodeInterpreterError):
    """An argument, file or setting is wrong; the text names it, its value and the remedy."""


class BusyError(InputError):
    """Another process works on the run; the same call may succeed when it has ended."""


class OutsideError(OpenCodeInterpreterError):
    """Something outside failed and its retries are spent; `owner` says what."""

    owner: ClassVar[str]


class ModelError(OutsideError):
    """A model server is unreachable, refuses the request, or sends an invalid answer."""

    owner = "model"


class ContextOverflow(ModelError):
    """The conversation is longer than the model's context; a shorter one may succeed."""


class SandboxError(OutsideError):
    """The sandbox could not be set up, or it broke; the code inside it is never the cause."""

    owner = "sandbox"


class StoreError(OutsideError):
    """The database of runs is missing, corrupt, locked, full or of another version."""

    owner = "store"


class ClaimLostError(StoreError):
    """Another process has taken over the run, on which this one may write nothing more."""


class OutputError(OutsideError):
    """Standard output cannot be written, as on a full disk."""

    owner = "output"


class BenchmarkError(OutsideError):
    """A benchmark's official file is unavailable, or its reference solutions do not run."""

    owner = "benchmark"


class ClusterError(OutsideError):
    """A Ray cluster cannot be reached, or none of its nodes can work."""

    owner = "ray"
