"""The host's end of the boundary: it runs candidate and examiner, each in its own context.

The host relays a bounded number of bytes between the two. It reads only the first line of what the
examiner sends.
"""

import asyncio
import base64
import json
from collections import defaultdict
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
    derived,
    described,
    emptiness,
    examiner,
    foreign_code,
    lending,
    lent,
    link,
    logs,
    losses,
    never_run,
    patches,
    pointless,
    raised,
    ran,
    reach,
    remote,
    shared,
    surroundings,
    turns,
    watch,
    wire,
)
from opencodeinterpreter.tools.grading.inside.candidate import MARK
from opencodeinterpreter.tools.grading.shipping import AGAIN, ship
from opencodeinterpreter.tools.sandbox.protocol import Context, ContextSandbox
from opencodeinterpreter.tools.sandbox.shared.request import Files

_INSIDE = "opencodeinterpreter.tools.grading.inside"


def _not_imported(name: str) -> ModuleType:
    """Return a module with a name and a file only: its imports are for the sandbox."""
    module = ModuleType(f"{_INSIDE}.{name}")
    module.__file__ = str(Path(str(wire.__file__)).with_name(f"{name}.py"))
    return module


_PYTHON_TESTS = _not_imported("python_tests")
CANDIDATE = (wire, shared, surroundings, logs, described, lent, patches, candidate)
EXAMINER = (
    *(wire, shared, surroundings, logs, described, reach),
    *(pointless, never_run, ran, losses, lending, watch, turns),
    *(
        raised,
        link,
        derived,
        remote,
        foreign_code,
        emptiness,
        cases,
        blank,
        _PYTHON_TESTS,
        examiner,
    ),
)
MODULES = (*CANDIDATE, *EXAMINER[5:])
"""Our modules that run in the sandbox; a sandbox opened with them has them loaded."""
LEAST_SECONDS = 0.05
"""If fewer seconds are left, nothing more is started."""
MOST_BYTES = 2 << 20
"""The most bytes of one answer, including the output before it."""
_RESERVE = 0.25
"""The part of the time left that a test with many short calls leaves for those after it."""
_SPARE_SECONDS = 5.0
"""The seconds that the examiner may take in addition to the candidate's time."""
_EXAMINER_MEMORY = 512
"""MiB."""
_FAILURE = 4000


class Candidate:
    """A candidate in its own context, and the time that it has left."""

    def __init__(self, sandbox: ContextSandbox, context: Context, limits: SandboxLimits) -> None:
        self._sandbox = sandbox
        self._context = context
        self._limits = limits
        self._clock = asyncio.get_running_loop().time
        self._seconds = min(limits.wall_seconds, limits.cpu_seconds)
        self._deadline = self._clock() + self._seconds
        self._stdout = _Kept(limits.output_bytes)
        self._stderr = _Kept(limits.output_bytes)
        self.last = Execution(status="ok")
        """How the last cell ended."""
        self.late = False
        """Whether a call took too long."""
        self._gone = ""
        self._spent: defaultdict[int, float] = defaultdict(float)
        """The seconds that each test took."""
        self._begun: dict[int, float] = {}
        """The seconds that were left for all tests at the first call of each."""

    @property
    def left(self) -> float:
        """The seconds left for all further calls."""
        return self._deadline - self._clock()

    async def load(self, code: str, files: Files) -> dict[str, Any]:
        """Import the candidate; returns the same as `answer`."""
        program = await ship(self._sandbox, *CANDIDATE)
        # Half of the time, so that one endless loop leaves some for the other tests.
        return await self._cell(program, "", {**files, "solution.py": code}, self._seconds / 2)

    async def answer(self, request: str, test: int, followed: bool) -> dict[str, Any]:
        """Send a request of the `test`-th test; 0 is the code outside of all tests.

        A test that is `followed` by others leaves some time for them.

        Return `stdout`, `stderr` and `reply`, or `why` there is none and `text`. Raises
        SandboxError.
        """
        if self._gone:
            return {"why": "over", "text": self._gone}
        if self.left < LEAST_SECONDS:
            self.late = True
            why = "late" if self._spent[test] else "over"
            return {"why": why, "text": f"the {self._seconds:g} s for all tests are spent"}
        begun = self._begun.setdefault(test, self.left)
        if test and followed and self.left < begun * _RESERVE:
            self.late = True
            text = f"it spent {begun - self.left:.3g} of the {self._seconds:g} s for all tests"
            return {"why": "late", "text": text}
        most = self._seconds / 2
        if test and (each := self._limits.test_seconds) is not None:
            most = each - self._spent[test]
            if most < LEAST_SECONDS:
                return {"why": "late", "text": f"the {each:g} s for one test are spent"}
        answer = await self._cell(AGAIN, request, {}, most)
        self._spent[test] += self.last.seconds
        return answer

    async def _cell(self, code: str, stdin: str, files: Files, most: float) -> dict[str, Any]:
        share = max(min(self.left, most), LEAST_SECONDS)
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
        self._stdout.add(printed, ended.logs.stdout_dropped)
        self._stderr.add(ended.logs.stderr, ended.logs.stderr_dropped)
        if ended.status == "timeout":
            self.late = True
            if ended.state_lost:
                self._gone = "the program was stopped when it took too long"
            return {"why": "late", "text": f"it took longer than {share:.3g} s and was stopped"}
        if ended.status != "ok" or ended.state_lost:
            self._gone = how_it_ended(ended)
            return {"why": "gone", "text": self._gone}
        if not mark or len(ended.logs.stdout) + len(ended.logs.stderr) > MOST_BYTES:
            text = f"its answer and what it printed are longer than {MOST_BYTES >> 20} MiB"
            return {"why": "gone", "text": text}
        return {"stdout": printed, "stderr": ended.logs.stderr, "reply": reply}

    def logs(self) -> Logs:
        """Return the kept part of the candidate's output on both streams."""
        return Logs(
            stdout=self._stdout.text,
            stderr=self._stderr.text,
            stdout_dropped=self._stdout.dropped,
            stderr_dropped=self._stderr.dropped,
        )


class _Kept:
    """The beginning of what is printed on a stream."""

    def __init__(self, most: int) -> None:
        self._room = most
        self.text = ""
        self.dropped = 0
        """Bytes that are not kept."""

    def add(self, text: str, dropped: int) -> None:
        """Keep as much of `text` as there is room for; `dropped` bytes of it are gone already."""
        # No character takes less than a byte.
        content = text[: self._room].encode("utf-8", "replace")
        kept = content[: self._room].decode(errors="ignore")
        whole = len(content) if len(text) <= self._room else len(text.encode("utf-8", "replace"))
        self.text += kept
        self._room -= min(self._room, len(content))
        self.dropped += dropped + whole - len(kept.encode())


def how_it_ended(ended: Execution) -> str:
    """Describe what ended a process."""
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
    """The examiner, in its own context, which calls a candidate."""

    def __init__(
        self, sandbox: ContextSandbox, context: Context, candidate: Candidate | None
    ) -> None:
        self._sandbox = sandbox
        self._context = context
        self._candidate = candidate

    async def examine(
        self, job: Mapping[str, Any], files: Files, seconds: float
    ) -> list[dict[str, str]]:
        """Do a job and return its outcomes; raises SandboxError.

        If a test exhausts the examiner's limits, that test fails with this reason.
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
            answer = await self._candidate.answer(body, told["ask"], told["followed"])
            message = _message(answer)
            seconds = max(self._candidate.left, LEAST_SECONDS)
            program, files = AGAIN, {}


def _message(answer: Mapping[str, str]) -> str:
    """Return an answer as the examiner reads it; JSON would make printed text six times as long."""
    if "reply" not in answer:
        return json.dumps(answer)
    parts = [answer[name].encode("utf-8", "replace") for name in ("stdout", "stderr", "reply")]
    head = json.dumps({"sizes": [len(part) for part in parts]})
    return f"{head}\n{base64.b64encode(b''.join(parts)).decode()}"


def _exhausted(ended: Execution) -> dict[str, str]:
    status = "timeout" if ended.status == "timeout" else "error"
    if ended.status == "ok":
        what = f"more than {MOST_BYTES >> 20} MiB were sent at once"
    else:
        what = how_it_ended(ended).replace("the program", "it")
    return {"name": "tests", "status": status, "message": f"the process of the tests: {what}"}


def outcomes_of(told: Sequence[Mapping[str, str]]) -> tuple[TestOutcome, ...]:
    """Return the examiner's outcomes in the form of the record."""
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
    """Return the exception of a failed import, as the candidate reported it; never raises."""
    if len(reply) > _FAILURE:
        return None
    try:
        kind, error, _ = json.loads(reply)[0]
        if kind != "error":
            return None
        name, others, _, text, lines, *_ = error["raising"]
        own = others["tuple"][0]["tuple"][1] if others["tuple"] else name
        return ExecutionError(name=str(own), value=str(text), traceback=str(lines))
    except (ValueError, TypeError, LookupError):
        return None
