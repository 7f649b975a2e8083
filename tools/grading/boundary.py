"""The host's end of the boundary: a candidate and an examiner, each in a context of its own.

The host passes on what one of them sends to the other, as bytes up to a bound, and reads nothing of
it but the first line of what the examiner sends.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from opencodeinterpreter.tools.execution import (
    Execution,
    ExecutionError,
    Logs,
    SandboxLimits,
    TestOutcome,
)
from opencodeinterpreter.tools.grading.inside import (
    blank,
    candidate,
    cases,
    examiner,
    link,
    reach,
    remote,
    surroundings,
    wire,
)
from opencodeinterpreter.tools.grading.inside.candidate import MARK
from opencodeinterpreter.tools.grading.shipping import AGAIN, ship
from opencodeinterpreter.tools.sandbox.protocol import Context, ContextSandbox

_INSIDE = "opencodeinterpreter.tools.grading.inside"


def _not_imported(name: str) -> ModuleType:
    """Return a module that has its name and its file alone: what it imports is for the sandbox."""
    module = ModuleType(f"{_INSIDE}.{name}")
    module.__file__ = str(Path(str(wire.__file__)).with_name(f"{name}.py"))
    return module


_PYTHON_TESTS = _not_imported("python_tests")
CANDIDATE = (wire, surroundings, candidate)
EXAMINER = (wire, surroundings, link, remote, cases, blank, reach, _PYTHON_TESTS, examiner)
MODULES = (*CANDIDATE, *EXAMINER[2:])
"""What of ours runs in the sandbox; one that is opened with them need not be sent them."""
LEAST_SECONDS = 0.05
"""Time without which nothing more is started."""
MOST_BYTES = 2 << 20
"""Bytes that one answer may take, with what was printed before it."""
_SPARE_SECONDS = 1.0
"""What the examiner may take beyond the candidate's time."""
_EXAMINER_MEMORY = 512
"""MiB."""
_FAILURE = 4000


class Candidate:
    """A candidate in a context of its own, and the time that it has left."""

    def __init__(self, sandbox: ContextSandbox, context: Context, limits: SandboxLimits) -> None:
        self._sandbox = sandbox
        self._context = context
        self._limits = limits
        self._clock = asyncio.get_running_loop().time
        self._seconds = min(limits.wall_seconds, limits.cpu_seconds)
        self._deadline = self._clock() + self._seconds
        self._stdout: list[str] = []
        self._stderr: list[str] = []
        self._dropped = 0
        self.last = Execution(status="ok")
        """How the last cell ended."""
        self.late = False
        """Whether a call took too long."""
        self._gone = ""

    @property
    def left(self) -> float:
        """Seconds left for all that is still to come."""
        return self._deadline - self._clock()

    async def load(self, code: str, files: Mapping[str, str]) -> dict[str, Any]:
        """Import the candidate; return what `answer` does for the attempt."""
        program = await ship(self._sandbox, *CANDIDATE)
        return await self._cell(program, "", {**files, "solution.py": code})

    async def answer(self, request: str) -> dict[str, Any]:
        """Send a request; return `stdout`, `stderr` and `reply`, or `why` there is none and `text`.

        Raises SandboxError.
        """
        if self._gone:
            return {"why": "over", "text": self._gone}
        if self.left < LEAST_SECONDS:
            self.late = True
            return {"why": "over", "text": f"the {self._seconds:g} s for all tests are spent"}
        return await self._cell(AGAIN, request, {})

    async def _cell(self, code: str, stdin: str, files: Mapping[str, str]) -> dict[str, Any]:
        # Half of all, so that one endless loop never takes what the other tests need.
        share = max(min(self.left, self._seconds / 2), LEAST_SECONDS)
        update = {"wall_seconds": share, "cpu_seconds": share, "output_bytes": MOST_BYTES}
        self.last = ended = await self._sandbox.run_code(
            code,
            files=files,
            stdin=stdin,
            limits=self._limits.model_copy(update=update),
            context=self._context,
        )
        printed, mark, reply = ended.logs.stdout.rpartition(MARK)
        printed = printed if mark else reply
        self._stdout.append(printed)
        self._stderr.append(ended.logs.stderr)
        self._dropped += ended.logs.stdout_dropped + ended.logs.stderr_dropped
        if ended.status == "timeout":
            self.late = True
            if ended.state_lost:
                self._gone = "the program was stopped when it took too long"
            return {"why": "late", "text": f"it took longer than {share:.3g} s and was stopped"}
        if ended.status != "ok" or ended.state_lost:
            self._gone = how_it_ended(ended)
            return {"why": "gone", "text": self._gone}
        if not mark:
            text = f"its answer and what it printed are longer than {MOST_BYTES >> 20} MiB"
            return {"why": "gone", "text": text}
        return {"stdout": printed, "stderr": ended.logs.stderr, "reply": reply}

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


def _kept(text: str, most: int) -> tuple[str, int]:
    content = text.encode("utf-8", "replace")
    return content[:most].decode(errors="ignore"), len(content[most:])


def how_it_ended(ended: Execution) -> str:
    """Return in words what ended a process."""
    if ended.status == "timeout":
        return f"it did not end within the limit ({ended.reason})"
    if ended.status == "limit":
        return f"the program was stopped by a limit: {ended.reason}"
    if ended.status == "crashed":
        return f"the program crashed: {ended.reason}"
    if ended.error:
        return f"{ended.error.name}: {ended.error.value}"
    return f"the program ended its process (exit code {ended.exit_code})"


class Examiner:
    """The examiner, in a context of its own, that asks a candidate."""

    def __init__(
        self, sandbox: ContextSandbox, context: Context, candidate: Candidate | None
    ) -> None:
        self._sandbox = sandbox
        self._context = context
        self._candidate = candidate

    async def examine(
        self, job: Mapping[str, Any], files: Mapping[str, str], seconds: float
    ) -> list[dict[str, str]]:
        """Do a job and return its outcomes; raises SandboxError.

        What exhausts the examiner is a test that fails for that reason.
        """
        program = await ship(self._sandbox, *EXAMINER)
        message = json.dumps(job)
        while True:
            ended = await self._sandbox.run_code(
                program,
                files=files,
                stdin=message,
                limits=SandboxLimits(
                    wall_seconds=seconds + _SPARE_SECONDS,
                    cpu_seconds=seconds + _SPARE_SECONDS,
                    memory_mb=_EXAMINER_MEMORY,
                    output_bytes=MOST_BYTES,
                ),
                context=self._context,
            )
            head, line, body = ended.logs.stdout.partition("\n")
            if ended.status != "ok" or not line or ended.logs.stdout_dropped:
                return [_exhausted(ended)]
            told: dict[str, Any] = json.loads(head)
            if "outcomes" in told or self._candidate is None:
                return list(told["outcomes"])
            message = json.dumps(await self._candidate.answer(body))
            seconds = max(self._candidate.left, LEAST_SECONDS)
            program, files = AGAIN, {}


def _exhausted(ended: Execution) -> dict[str, str]:
    status = "timeout" if ended.status == "timeout" else "error"
    if ended.status == "ok":
        what = f"more than {MOST_BYTES >> 20} MiB were sent at once"
    else:
        what = how_it_ended(ended).replace("the program", "it")
    return {"name": "tests", "status": status, "message": f"the process of the tests: {what}"}


def outcomes_of(told: Sequence[Mapping[str, str]]) -> tuple[TestOutcome, ...]:
    """Return the examiner's outcomes as the record holds them."""
    return tuple(
        TestOutcome(
            name=_storable(each["name"]),
            status=each["status"],
            message=_storable(each.get("message", "")),
            word=each.get("word", ""),
        )
        for each in told
    )


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def loading_error(reply: str) -> ExecutionError | None:
    """Return the exception in which importing a candidate ended, as it told it; never raises."""
    if len(reply) > _FAILURE:
        return None
    try:
        kind, name, others, _, text, lines, *_ = json.loads(reply)
        own = others[0][1] if others else name
        if kind != "error":
            return None
        return ExecutionError(name=str(own), value=str(text), traceback=str(lines))
    except (ValueError, TypeError, LookupError):
        return None
