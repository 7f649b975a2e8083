"""The sandbox interface, in E2B's terms: code in, an `Execution` out.

An execution holds claims by hostile code: they are bounded, shown and stored, never trusted. What
the code does never raises; a failure of the sandbox itself raises SandboxError.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.frozen import Frozen

Tier = Literal["full", "reduced"]
OnStdout = Callable[[str], None]
Profile = Literal["pure", "proc"]
"""`pure`: the code cannot start processes. `proc`: it may start processes and programs."""


class FileInfo(Frozen):
    """A file or folder in a context's work folder."""

    path: str
    """Path relative to the work folder."""
    kind: Literal["file", "folder", "other"]
    size: int = 0
    """Bytes; 0 for a folder."""


@dataclass(frozen=True)
class RunExtras:
    """What only few runs need."""

    collect: Sequence[str] = ()
    """Patterns (`*.png`, `out/*`) of files to return; a given file only if the code changed it."""
    held: Mapping[str, str | bytes] = field(default_factory=dict[str, str | bytes])
    """Files that a context holds already; like a given file, one is returned only if changed."""
    seed: int | None = None
    """Seed of `random` and of a preloaded numpy; without it random numbers differ from run to run.
    """
    on_stdout: OnStdout | None = None
    """Called with each piece of stdout up to the limit, as it arrives; the execution then holds
    none of it.
    """


NO_EXTRAS = RunExtras()


class Context(Frozen):
    """A handle to an interpreter that keeps variables, imports and files between runs."""

    id: str


class Sandbox(Protocol):
    """Runs untrusted code, each time in a new process and an empty work folder."""

    @property
    def tier(self) -> str:
        """The isolation, proved by a test run when the sandbox was opened."""
        ...

    @property
    def holds(self) -> frozenset[str]:
        """Names of modules of this package that every run finds loaded.

        A program need not bring them.
        """
        ...

    async def run_code(
        self,
        code: str,
        *,
        files: Mapping[str, str] | None = None,
        stdin: str = "",
        limits: SandboxLimits | None = None,
        extras: RunExtras = NO_EXTRAS,
    ) -> Execution:
        """Run `code` as `__main__` in a new work folder that holds `files`.

        `files` maps relative paths to text. All processes of the run end with it; cancelling the
        call ends the run. Raises SandboxError if the sandbox itself fails.
        """
        ...


class ContextSandbox(Sandbox, Protocol):
    """A sandbox that can also keep state between runs and exchange files.

    Every method raises SandboxError if the sandbox itself fails, and InputError for an unknown or
    removed context and for a path outside the work folder.
    """

    def reserve(self, count: int) -> AbstractAsyncContextManager[None]:
        """Reserve `count` contexts; wait until that many are free.

        A sandbox keeps a limited number of contexts: beyond it, a context is refused or another
        loses its state. Raises SandboxError if `count` is more than the sandbox keeps at all.
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
        extras: RunExtras = NO_EXTRAS,
    ) -> Execution:
        """Run `code` in a new process, or as the next cell of `context`.

        A cell's `results` hold the value of its last expression and its open figures. A cell that
        exceeds its time is interrupted and keeps its variables; it is killed only if it does not
        stop. Cells of one context run one at a time.
        """
        ...

    async def create_context(self, *, limits: SandboxLimits | None = None) -> Context:
        """Create an empty context; `limits` bound its memory, disk and processes."""
        ...

    async def restart_context(self, context: Context) -> None:
        """Clear the variables and files of `context`; its next cell is number 1."""
        ...

    async def remove_context(self, context: Context) -> None:
        """End `context` and its processes. Does nothing if it was removed before."""
        ...

    async def fork_context(self, context: Context) -> Context:
        """Create an independent copy of `context`.

        Its successful cells are run again, then its files are copied. Changes that a failed cell
        made in memory are missing, and results that depend on chance or the clock may differ.
        """
        ...

    async def read_file(self, context: Context, path: str) -> bytes:
        """Return the content of a file in the work folder; raises InputError if it is missing."""
        ...

    async def write_file(self, context: Context, path: str, data: bytes) -> None:
        """Write a file in the work folder; create its parent folders."""
        ...

    async def list_files(self, context: Context, path: str = ".") -> tuple[FileInfo, ...]:
        """Return the entries of a folder in the work folder, sorted by name."""
        ...
