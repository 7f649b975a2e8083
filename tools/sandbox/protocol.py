"""The sandbox seam, in E2B's terms: code in, an `Execution` out.

Whatever an execution holds is a claim by hostile code: bounded, shown and stored, never trusted.
Only a failure of the sandbox itself raises (`SandboxError`).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.frozen import Frozen

Tier = Literal["full", "reduced"]
OnStdout = Callable[[str], None]
Profile = Literal["pure", "proc"]
"""`pure`: no process beside the code's own; `proc`: programs may be started in the sandbox."""


class FileInfo(Frozen):
    """An entry of a context's work folder."""

    path: str
    """Relative to the work folder."""
    kind: Literal["file", "folder", "other"]
    size: int = 0
    """Bytes; 0 for a folder."""


class Context(Frozen):
    """A handle of an interpreter whose variables, imports and files stay between runs."""

    id: str


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
