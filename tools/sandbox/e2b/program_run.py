"""One run of a program in an E2B sandbox: send it, follow it, and report how it ended."""

import asyncio
import io
import json
import signal
import uuid
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.execution import Execution, Logs, SandboxLimits, Status
from opencodeinterpreter.tools.sandbox.e2b.calls import E2BTransientError, Handle, ask
from opencodeinterpreter.tools.sandbox.e2b.files import RemoteFolder
from opencodeinterpreter.tools.sandbox.e2b.inside import confinement, supervisor
from opencodeinterpreter.tools.sandbox.e2b.output import Kept, clean
from opencodeinterpreter.tools.sandbox.inside import cell, display, frames
from opencodeinterpreter.tools.sandbox.shared import claims
from opencodeinterpreter.tools.sandbox.shared.collecting import Collecting
from opencodeinterpreter.tools.sandbox.shared.listener import Listener
from opencodeinterpreter.tools.sandbox.shared.request import pack_request
from opencodeinterpreter.tools.sandbox.shared.signals import signal_name

GRACE_SECONDS = 15.0
"""How long after its time limit a run may take to report its end before it is given up."""
_RUNS = ".opencodeinterpreter"
"""Parent folder of the runs' folders, in the sandbox user's home."""
_LINE = 1 << 24
"""Maximum number of characters of a supervisor's message."""
_COMPLAINT = 2000
_WORD = 20
_LATEST = 1e6
_ROOT = "opencodeinterpreter"
_MAIN = f"""
import json, sys, zipfile
from {_ROOT}.tools.sandbox.e2b.inside.supervisor import main
with zipfile.ZipFile(sys.argv[0]) as archive:
    job = [archive.read(name) for name in ("request", "stdin", "limits.json")]
main(job[0], job[1], json.loads(job[2]))
"""
_MODULES = (supervisor, confinement, cell, display, frames)
_STATUS_OF: dict[str, Status] = {"wall": "timeout", "cpu": "timeout"}


class RunRequest(NamedTuple):
    """What to run; see `ContextSandbox.run_code`."""

    code: str
    files: Mapping[str, str | bytes]
    stdin: str
    limits: SandboxLimits
    collecting: Collecting | None
    seed: int | None
    listener: Listener


class FinishedRun(NamedTuple):
    """A finished run."""

    execution: Execution
    sound: bool
    """Whether its supervisor reported the end, so that no process of the run is left."""


async def run_once(handle: Handle, request: RunRequest, seconds: float) -> FinishedRun:
    """Run a program in its own process; `seconds` bound each call that runs no code.

    Raises E2BTransientError if the sandbox is lost, else SandboxError.
    """
    folder = f"{_RUNS}/{uuid.uuid4().hex}"
    archive = f"{folder}/job.pyz"
    packed = await asyncio.to_thread(_archive, request)
    await ask("take a run", handle.files.write(archive, packed), seconds)
    heard = _SupervisorMessages(request.limits.output_bytes, request.listener)
    try:
        code = await ask(
            "run a program",
            _command(handle, f"python3 -s -X utf8 {archive}", heard),
            request.limits.wall_seconds + GRACE_SECONDS,
        )
    except E2BTransientError as error:
        if not (heard.begun and isinstance(error.__cause__, TimeoutError)):
            raise
        late = Execution(status="timeout", reason="wall", logs=heard.logs())
        return FinishedRun(late, sound=False)
    execution = heard.execution(code)
    if heard.end and request.collecting:
        found = await RemoteFolder(handle, f"{folder}/work", None, seconds).collected(
            request.collecting
        )
        execution = execution.model_copy(update={"artifacts": found})
    return FinishedRun(execution, sound=bool(heard.end))


async def _command(handle: Handle, command: str, heard: "_SupervisorMessages") -> int:
    """Run a command to its end and return its exit status; negative for a signal."""
    from e2b import CommandExitException

    try:
        ended = await handle.commands.run(
            command,
            # As in local runs: fixed hashes, and no hidden threads.
            envs={"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            on_stdout=heard.take,
            on_stderr=heard.complain,
            # `ask` sets the deadline. With a timeout of its own for opening the stream, the SDK
            # leaves a task behind whenever a run is cancelled.
            timeout=0,
            request_timeout=0,
            retain_output=False,
        )
    except CommandExitException as left:
        return int(left.exit_code)
    return int(ended.exit_code)


def _archive(request: RunRequest) -> bytes:
    """Return an archive that Python can run: our modules and the request."""
    limits = request.limits.model_dump(mode="json")
    job = {
        "request": pack_request(
            request.code,
            request.files,
            seed=request.seed,
            cpu_seconds=request.limits.cpu_seconds,
        ),
        "stdin": request.stdin.encode("utf-8", "surrogateescape"),
        "limits.json": json.dumps(limits).encode(),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in {**_sources(), **job}.items():
            archive.writestr(path, content)
    return packed.getvalue()


@cache
def _sources() -> dict[str, bytes]:
    """Return the archive's modules, with empty packages around them."""
    sources = {"__main__.py": _MAIN.encode()}
    for module in _MODULES:
        path = module.__name__.replace(".", "/")
        for package in list(PurePosixPath(path).parents)[:-1]:
            sources[f"{package}/__init__.py"] = b""
        sources[f"{path}.py"] = Path(str(module.__file__)).read_bytes()
    return sources


class _SupervisorMessages:
    """Reads the supervisor's messages and keeps a bounded part of them."""

    def __init__(self, keep: int, listener: Listener) -> None:
        self.begun = False
        self.end: dict[str, Any] = {}
        self._kept = {"stdout": Kept(keep, listener.tell), "stderr": Kept(keep)}
        self._rest = ""
        self._complaint = ""

    def take(self, text: str) -> None:
        """Add a piece of the supervisor's stdout."""
        *lines, self._rest = (self._rest + text).split("\n")
        self._rest = self._rest[:_LINE]
        for line in lines:
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(message, dict) and not self.end:
                self._hear(message)

    def complain(self, text: str) -> None:
        """Add a piece of the supervisor's stderr, which is empty unless something failed."""
        self._complaint = (self._complaint + text)[-_COMPLAINT:]

    def _hear(self, message: dict[str, Any]) -> None:
        self.begun = self.begun or "begun" in message
        if isinstance(message.get("end"), dict):
            self.end = message["end"]
        for name, kept in self._kept.items():
            kept.take(clean(message.get(name)))

    def logs(self) -> Logs:
        """Return what the run printed."""
        dropped = self.end.get("dropped")
        counts = [*dropped, 0, 0] if isinstance(dropped, list) else [0, 0]
        return Logs(
            stdout=self._kept["stdout"].text(),
            stderr=self._kept["stderr"].text(),
            stdout_dropped=_number(counts[0]),
            stderr_dropped=_number(counts[1]),
        )

    def execution(self, code: int) -> Execution:
        """Return how the run ended; `code` is the supervisor's exit status.

        Raises SandboxError if the program never started.
        """
        if not self.begun or self.end.get("answers") == []:
            said = (self._complaint or self._kept["stderr"].text()).strip().splitlines()
            raise SandboxError(
                f"E2B's sandbox could not start a run (exit status {code}): "
                f"{said[-1] if said else 'no error message'}; "
                "its template must have Python 3.11 or newer as python3"
            )
        seconds = self.end.get("seconds")
        ended = Execution(
            status="ok",
            logs=self.logs(),
            seconds=seconds if isinstance(seconds, float) and 0 <= seconds < _LATEST else 0.0,
        )
        return ended.model_copy(update=self._ending())

    def _ending(self) -> dict[str, object]:
        reason = clean(self.end.get("reason"))[:_WORD]
        if reason:
            return {"status": _STATUS_OF.get(reason, "limit"), "reason": reason}
        answers = self.end.get("answers")
        answer = answers[1] if isinstance(answers, list) and len(answers) > 1 else None
        told = claims.ending(answer) if isinstance(answer, dict) else None
        if told is not None:
            return told
        code = self.end.get("code")
        if isinstance(code, int) and code >= 0:
            return {"status": "exited", "exit_code": code}
        # Without a code, the run killed its supervisor.
        if isinstance(code, int) and code > -signal.NSIG:
            return {"status": "crashed", "reason": signal_name(-code)}
        return {"status": "crashed", "reason": ""}


def _number(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
