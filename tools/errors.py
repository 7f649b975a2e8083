"""Every error this package raises on purpose.

    OpenCodeInterpreterError
    ├── InputError        what the caller gave is wrong            (exit status 2)
    └── OutsideError      something we depend on failed, with its owner  (exit status 3)
        ├── ModelError
        │   └── ContextOverflow
        ├── SandboxError
        ├── BenchmarkError
        └── StoreError

What untrusted code did is never an exception: it is data in an `Execution`.
"""

from typing import ClassVar


class OpenCodeInterpreterError(RuntimeError):
    """The root of the tree; its text is one line for a person.

    A RuntimeError, since LangGraph's server shows the text of those alone and its default retry
    policy does not repeat them: our own retries are spent by then.
    """


class InputError(OpenCodeInterpreterError):
    """An argument, file or setting is wrong; the text names it, its value and the way out."""


class OutsideError(OpenCodeInterpreterError):
    """An outside failure that outlived its retries; `owner` says whose it is."""

    owner: ClassVar[str]


class ModelError(OutsideError):
    """A model server could not be reached, refused, or answered nonsense."""

    owner = "model"


class ContextOverflow(ModelError):
    """A conversation is longer than its model's context; a shorter one may be answered."""


class SandboxError(OutsideError):
    """The sandbox could not be set up or broke; never the fault of the code in it."""

    owner = "sandbox"


class StoreError(OutsideError):
    """The database of runs is missing, corrupt, locked, full or of another version."""

    owner = "store"


class BenchmarkError(OutsideError):
    """A benchmark's official file could not be had, or its reference solutions do not run."""

    owner = "benchmark"
