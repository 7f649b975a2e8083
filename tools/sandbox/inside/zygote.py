"""The zygote: a warm interpreter, process 1 of its namespace, that forks a child for each run.

It ends when the host closes the control socket; all runs end with it.
"""

import contextlib
import ctypes
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Sequence
from functools import lru_cache, partial
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
from pathlib import Path
from typing import Any

from opencodeinterpreter.tools.sandbox.inside import (
    aborting,
    anonymous_memory,
    bpf,
    cell,
    forking,
    frames,
    landlock,
    preload,
    profiles,
    root,
    syscalls,
)
from opencodeinterpreter.tools.sandbox.inside.build import Build
from opencodeinterpreter.tools.sandbox.inside.seal import (
    LEAST_LANDLOCK,
    KernelLimits,
    Place,
    SealCalls,
    Walls,
    prepare_seal,
    readable,
    rules,
    seal,
)
from opencodeinterpreter.tools.sandbox.inside.syscall_table import MACHINES
from opencodeinterpreter.tools.sandbox.inside.syscalls import StepFailedError, step

_SET_UP_FAILED = 97
_SEALS = 16
"""Number of combinations of limits for which prepared calls are cached."""
_ENVIRONMENT = {
    "HOME": root.WORK,
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "TMPDIR": root.SCRATCH,
    "USER": "user",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


def main(descriptor: int, plan: str) -> None:
    """Become the zygote, with the control socket at `descriptor`, and serve until it closes."""
    control = socket.socket(fileno=descriptor)
    build = Build.from_json(plan)
    as_root = os.geteuid() == 0
    try:
        entered = _enter(build)
    except StepFailedError as failure:
        _refuse(control, failure)
        return
    child = os.fork()
    if child:
        control.close()
        os.close(entered.proc)
        _silence()
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
    # If the parent alone is killed, process 1 and all its runs end too.
    syscalls.call("prctl", syscalls.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        zygote = Zygote(control, build, entered, own_count=as_root)
        zygote.serve()
    except StepFailedError as failure:
        _refuse(control, failure)
    finally:
        os._exit(0)


def _refuse(control: socket.socket, failure: StepFailedError) -> None:
    refusal = {"step": failure.step, "errno": failure.errno, "detail": failure.detail}
    control.send(json.dumps({"refused": refusal}).encode())


def _enter(build: Build) -> root.Inside:
    if os.uname().machine not in MACHINES:
        raise StepFailedError("machine", 0, os.uname().machine)
    os.umask(0o022)
    if build.tier == "reduced" and landlock.version() < LEAST_LANDLOCK:
        raise StepFailedError("landlock version", 0, f"it is {landlock.version()}")
    for name in preload.STANDARD:
        __import__(name)
    preload.load_files(build.modules)
    entered = root.enter(build)
    sys.path[:] = [path for path in sys.path if path and os.path.exists(path)]  # noqa: PTH110 - never raises
    # Finders of editable installs point to folders that do not exist in the sandbox.
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, PathFinder]
    for name in [name for name in sys.modules if name.startswith("__editable__")]:
        del sys.modules[name]
    sys.path_importer_cache.clear()
    sys.orig_argv[:] = sys.argv[:] = ["python"]
    if not os.access(os.__file__, os.R_OK):
        raise StepFailedError("read the interpreter", 0, str(Path(os.__file__).parent))
    return entered


def _silence() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    os.close(null)


class Zygote:
    """Forks children at the host's request and reports how they ended."""

    def __init__(
        self, control: socket.socket, build: Build, entered: root.Inside, *, own_count: bool
    ) -> None:
        proc, self._users = entered
        self._control = control
        self._build = build
        self._own_namespace = os.pidfd_open(os.getpid())
        self._children: dict[int, tuple[int, int]] = {}
        self._poller = select.poll()
        self._poller.register(control, select.POLLIN)
        self._import(proc)
        with step("landlock"):
            trees, ruleset = readable(build), None
            if "landlock" in build.layers and not build.folder:
                ruleset = rules(build, trees, root.BOX)
        machine = os.uname().machine
        table = profiles.table(build.profile, build.tier, machine)
        program = bpf.compile_filter(table, machine)
        pages = root.read_proc(proc, "self/statm").split()
        self._walls = Walls(
            build,
            proc,
            ruleset,
            trees,
            ctypes.create_string_buffer(program, len(program)),
            int(pages[0]) * resource.getpagesize(),
            own_count,
        )
        self._prepare_seal = lru_cache(_SEALS)(partial(prepare_seal, self._walls))
        self._resident = int(pages[1]) * resource.getpagesize()

    def _import(self, proc: int) -> None:
        """Import the preloaded modules in a folder that no run sees."""
        if "mount" in self._build.layers:
            with step("mount the work folder"):
                syscalls.mount("tmpfs", root.ROOM, "tmpfs", 0, "size=64m,mode=700")
            folder = root.ROOM
        else:
            folder = f"{self._build.folder}/zygote"
            Path(folder).mkdir(mode=0o700)
        os.environ.clear()
        os.environ.update(_ENVIRONMENT)
        preload.settle(folder)
        preload.load(self._build.preload, proc)
        os.chdir("/")
        preload.forget_folder()
        os.environ.update(_ENVIRONMENT)

    def serve(self) -> None:
        """Serve until the host closes the control socket."""
        self._warm_up()
        self._tell(
            {
                "ready": True,
                "landlock": landlock.version(),
                "resident": self._resident,
                "python": sys.version.split()[0],
            }
        )
        while True:
            for descriptor, _ in self._poller.poll():
                if descriptor in self._children:
                    self._reap(descriptor)
                elif not self._obey():
                    return

    def _warm_up(self) -> None:
        """Run what a child runs, so that caches are filled before the first fork."""
        if "pid" in self._build.layers:
            aborting.tell_aborts()
        if self._build.profile == "proc":
            anonymous_memory.be_files()
        else:
            anonymous_memory.be_private()
        cell.open_streams()
        _silence()
        cell.rehearse(cell.REHEARSAL)
        syscalls.rehearse()
        forking.expect_one_thread()
        held = dict(self._build.modules)
        for name in [name for name in sys.modules if name.startswith("opencodeinterpreter")]:
            if name not in held:
                del sys.modules[name]
        gc.collect()
        gc.freeze()

    def _tell(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        socket.send_fds(self._control, [json.dumps(message).encode()], list(descriptors))

    def _obey(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._control, 4096, 4)
        if not data:
            return False
        message = json.loads(data)
        run: int = message["run"]
        try:
            # The zygote itself has the first user id.
            user = self._users[run % (len(self._users) - 1) + 1 if len(self._users) > 1 else 0]
            place = Place(self._folder(run, user), user)
            prepared = self._prepare_seal(KernelLimits(**message["limits"]))
            child, handle = self._fork(prepared, descriptors, place)
        except StepFailedError as failure:
            self._tell({"run": run, "failed": f"{failure.step}: {failure.detail}"})
        else:
            self._children[handle] = (run, child)
            self._tell({"run": run, "started": True}, [handle])
            self._poller.register(handle, select.POLLIN)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _folder(self, run: int, user: int) -> str:
        """Create the work folder of a run, if the mount layer is off."""
        if not self._build.folder:
            return ""
        folder = Path(self._build.folder, str(run))
        with step("make the work folder"):
            folder.mkdir(mode=0o700)
            (folder / "work").mkdir()
            (folder / "tmp").mkdir()
            if user != self._users[0]:
                for path in (folder / "work", folder / "tmp", folder):
                    os.chown(path, user, user)
        return str(folder)

    def _fork(
        self, prepared: SealCalls, descriptors: Sequence[int], place: Place
    ) -> tuple[int, int]:
        apart = "pid" in self._build.layers
        with step("fork"):
            if apart:
                syscalls.call("unshare", syscalls.CLONE_NEWPID)
            try:
                child = os.fork()
                if not child:
                    self._be_child(prepared, descriptors, place)
            finally:
                if apart:
                    syscalls.call("setns", self._own_namespace, syscalls.CLONE_NEWPID)
            return child, os.pidfd_open(child)

    def _be_child(self, prepared: SealCalls, descriptors: Sequence[int], place: Place) -> None:
        try:
            forking.be_usual()
            seal(self._walls, prepared, descriptors, place)
            cell.live()
        except StepFailedError as failure:
            with contextlib.suppress(OSError):
                frames.send(cell.CHANNEL, {"failed": f"{failure.step}: {failure.detail}"})
        finally:
            os._exit(_SET_UP_FAILED)

    def _reap(self, handle: int) -> None:
        run, child = self._children.pop(handle)
        self._poller.unregister(handle)
        os.close(handle)
        _, status, used = os.wait4(child, 0)
        code = os.waitstatus_to_exitcode(status)
        self._tell({"run": run, "exit": code, "cpu": used.ru_utime + used.ru_stime})
