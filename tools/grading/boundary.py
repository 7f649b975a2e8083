"""The host's end of the boundary behind which a candidate is held."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from opencodeinterpreter.tools.execution import (
    Execution,
    ExecutionError,
    Logs,
    SandboxLimits,
    TestOutcome,
)
from opencodeinterpreter.tools.grading.inside import candidate, wire
from opencodeinterpreter.tools.grading.inside.candidate import MARK
from opencodeinterpreter.tools.grading.plain_data import cut
from opencodeinterpreter.tools.grading.shipping import AGAIN, ship
from opencodeinterpreter.tools.sandbox.protocol import Context, ContextSandbox

LEAST_SECONDS = 0.05
"""Time without which nothing more is started."""
TOO_LONG = "it took too long and was stopped"
REPLIES = 16 << 20
"""Bytes of one cell's output, its reply included."""


class Held:
    """A candidate in a context of its own, and the time that it has left."""

    def __init__(self, sandbox: ContextSandbox, context: Context, limits: SandboxLimits) -> None:
        self._sandbox = sandbox
        self._context = context
        self._limits = limits
        self._clock = asyncio.get_running_loop().time
        self._deadline = self._clock() + min(limits.wall_seconds, limits.cpu_seconds)
        self._stdout: list[str] = []
        self._stderr: list[str] = []
        self._dropped = 0
        self.last = Execution(status="ok")
        """How the last cell ended."""
        self.late = False
        """Whether a cell took too long."""
        self.gone = False
        """Whether the candidate's process, and all it held, has ended."""

    @property
    def left(self) -> float:
        """Seconds left for all that is still to come."""
        return self._deadline - self._clock()

    async def load(self, code: str, files: Mapping[str, str]) -> "Loaded":
        """Import the candidate; raises SandboxError."""
        program = await ship(self._sandbox, wire, candidate)
        reply = await self._cell(program, "", {**files, "solution.py": code})
        value = None if reply is None else claimed(reply)
        if isinstance(value, Failure):
            error = ExecutionError(name=value.name, value=value.text, traceback=value.lines)
            return Loaded("error", str(value), error)
        return Loaded(*self.ending(), None) if reply is None else Loaded("passed", "", None)

    def ending(self) -> tuple[Literal["timeout", "error"], str]:
        """Return status and message of what was under way when the last cell ended early."""
        if self.last.status == "timeout":
            return "timeout", TOO_LONG
        return "error", how_it_ended(self.last)

    async def ask(self, request: str) -> str | None:
        """Send a request; return the reply, `None` where the cell's end tells more."""
        return await self._cell(AGAIN, request, {})

    async def _cell(self, code: str, stdin: str, files: Mapping[str, str]) -> str | None:
        # Half of what is left, so that one endless loop never takes all.
        share = max(self.left, LEAST_SECONDS) / 2
        update = {"wall_seconds": share, "cpu_seconds": share, "output_bytes": REPLIES}
        self.last = await self._sandbox.run_code(
            code,
            files=files,
            stdin=stdin,
            limits=self._limits.model_copy(update=update),
            context=self._context,
        )
        self.late |= self.last.status == "timeout"
        self.gone |= self.last.state_lost or self.last.status not in ("ok", "timeout")
        printed, mark, reply = self.last.logs.stdout.rpartition(MARK)
        self._stdout.append(printed if mark else reply)
        self._stderr.append(self.last.logs.stderr)
        self._dropped += self.last.logs.stdout_dropped + self.last.logs.stderr_dropped
        return reply if mark and self.last.status == "ok" else None

    def logs(self) -> Logs:
        """Return what the candidate printed, on either stream, as far as it is kept."""
        most = self._limits.output_bytes
        kept = [_kept("".join(told), most) for told in (self._stdout, self._stderr)]
        (stdout, stdout_dropped), (stderr, stderr_dropped) = kept
        return Logs(
            stdout=stdout,
            stderr=stderr,
            stdout_dropped=stdout_dropped + self._dropped,
            stderr_dropped=stderr_dropped,
        )


@dataclass(frozen=True)
class Loaded:
    """How importing a candidate went."""

    status: Literal["passed", "timeout", "error"]
    message: str
    error: ExecutionError | None
    """The exception that it ended in."""

    @property
    def ok(self) -> bool:
        """Whether there is a candidate to be asked."""
        return self.status == "passed"

    def outcomes(self, names: Sequence[str]) -> tuple[TestOutcome, ...]:
        """Return outcomes that tell at the first test what kept all of them from being run."""
        first = [
            TestOutcome(name=name, status=self.status, message=cut(self.message))
            for name in names[:1]
        ]
        return (*first, *(TestOutcome(name=name, status="not run") for name in names[1:]))


def _kept(text: str, most: int) -> tuple[str, int]:
    content = text.encode("utf-8", "replace")
    return content[:most].decode(errors="ignore"), len(content[most:])


def how_it_ended(ended: Execution) -> str:
    """Return in words what ended a candidate's process."""
    if ended.status == "timeout":
        return f"it did not end within the limit ({ended.reason})"
    if ended.status == "limit":
        return f"the program was stopped by a limit: {ended.reason}"
    if ended.status == "crashed":
        return f"the program crashed: {ended.reason}"
    if ended.error:
        return f"{ended.error.name}: {ended.error.value}"
    return f"the program ended its process (exit code {ended.exit_code})"


@dataclass(frozen=True)
class Handle:
    """An object that stays with the candidate."""

    number: int
    shown: str
    """The start of its `repr`."""


@dataclass(frozen=True)
class Failure:
    """An exception, as the candidate's process told it."""

    name: str
    text: str
    lines: str
    """The candidate's own lines of the traceback."""

    def __str__(self) -> str:
        head = f"{self.name}: {self.text}" if self.text else self.name
        return f"{head}\n{self.lines}".rstrip()


def request(function: Handle | str, *arguments: Any) -> str:
    """Return what asks a candidate to call a function, or one of `candidate.FUNCTIONS`."""
    writer = wire.Writer(lambda value: {"handle": value.number})
    return writer.text([function, [*arguments], {}])


def claimed(reply: str) -> Any:
    """Return the value that a reply claims, or a `Failure`; never raises."""
    try:
        kind, *told = wire.read(reply, other=_other)
        if kind == "value":
            return told[0]
        name, others, _, text, lines = told
        own = others[0][1] if others else name
        return Failure(*(cut(_text(part)) for part in (own, text, lines)))
    except (ValueError, TypeError, LookupError) as error:
        return Failure("ValueError", f"the answer cannot be read: {error}", "")


def _text(value: Any) -> str:
    """Return a claimed text without lone surrogates; raises TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError("this should be a text")
    return value.encode("utf-8", "replace").decode()


def _other(tag: str, body: Any) -> Any:
    if tag == "handle":
        number, shown = body
        return Handle(int(number), cut(_text(shown)))
    if tag in ("exception", "builtin"):
        return wire.Opaque("type")
    raise wire.WireError(f"no type has the tag {tag!r}")
