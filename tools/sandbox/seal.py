"""What a forked child does to itself before the first byte of untrusted code.

The order matters: mounting needs the capabilities that are then dropped, Landlock needs
no_new_privs, and seccomp comes last since it forbids the other steps.
"""

import ctypes
import math
import os
import resource
import signal
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from opencodeinterpreter.tools.sandbox import frames, landlock, profiles, root, syscalls
from opencodeinterpreter.tools.sandbox.build import Build
from opencodeinterpreter.tools.sandbox.syscalls import call, mount, step

_MIB = 1 << 20
_FILES = 2048
"""Most files and folders in the work folder."""
_DESCRIPTORS = 256
_FOLDER = frames.pack({"folder": True})
LEAST_LANDLOCK = 3
"""The first version that guards truncation, without which `reduced` would not hold."""


@dataclass(frozen=True)
class Walls:
    """What the zygote prepared once for all of its children."""

    build: Build
    proc: int
    """A descriptor of the host's /proc."""
    ruleset: int | None
    """Landlock's descriptor; `None` where there is none, or where each child builds its own."""
    readable: tuple[str, ...]
    """The trees that Landlock lets a run read."""
    program: ctypes.Array[ctypes.c_char]
    """The compiled seccomp filter."""
    address_space: int
    """Bytes of address space that the bare interpreter takes."""
    own_count: bool
    """Whether nobody else's processes are counted with those of the runs."""


@dataclass(frozen=True)
class Limits:
    """The limits that the kernel itself enforces on one child."""

    cpu_seconds: float
    memory_mb: int
    disk_mb: int
    processes: int


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filter", ctypes.c_void_p))


def seal(walls: Walls, limits: Limits, descriptors: Sequence[int], folder: str) -> None:
    """Lock the calling process in for good; `descriptors` become 0 to 3, all others close.

    `folder` is the host's folder to work in where no mounts are made. Raises StepFailedError.
    """
    layers = walls.build.layers
    with step("descriptors"):
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        # The channel is the interpreter's own, not for programs that it starts.
        os.set_inheritable(len(descriptors) - 1, False)
    if "setsid" in layers:
        with step("setsid"):
            os.setsid()
    if "user" in layers:
        root.own_user(walls.proc)
    if "mount" in layers:
        _mount_work(limits)
    else:
        _settle_in(folder)
    with step("hand out the work folder"):
        _hand_out_folder(len(descriptors) - 1)
    with step("no_new_privs"):
        call("prctl", syscalls.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if "pid" not in layers:
            call("prctl", syscalls.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if "landlock" in layers:
        with step("landlock"):
            _wear_landlock(walls, folder)
    with step("close_range"):
        call("close_range", len(descriptors), ctypes.c_uint(0xFFFFFFFF), 0)
    with step("rlimits"):
        _set_rlimits(walls, limits)
    if "capabilities" in layers:
        with step("capset"):
            syscalls.drop_capabilities()
    if "seccomp" in layers:
        with step("seccomp"):
            _wear_filter(walls)


def readable(build: Build) -> tuple[str, ...]:
    """Return the trees that a run may read: all, where a root of its own hides the host's."""
    if build.tier == "full":
        return ("/",)
    trees = [*(source for source, _ in root.sources()), *root.SETTINGS]
    return tuple(filter(os.path.exists, trees))


def rules(build: Build, trees: Sequence[str], writable: str) -> int | None:
    """Return a Landlock ruleset's descriptor, `None` where there is no Landlock."""
    whole = build.tier == "full"
    devices = ["/dev"] if whole else [f"/dev/{name}" for name in root.DEVICES]
    return landlock.build(trees, [writable], devices, build.profile == "proc")


def _wear_landlock(walls: Walls, folder: str) -> None:
    ruleset = rules(walls.build, walls.readable, folder) if folder else walls.ruleset
    if ruleset is not None:
        landlock.wear(ruleset)


def _mount_work(limits: Limits) -> None:
    user = root.USER
    options = f"size={limits.disk_mb}m,nr_inodes={_FILES},mode=700,uid={user},gid={user}"
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    with step("unshare for a run"):
        call("unshare", syscalls.CLONE_NEWNS)
    with step("mount the work folder"):
        mount("tmpfs", root.ROOM, "tmpfs", flags, options)
        os.mkdir(root.WORK)  # noqa: PTH102 - a Path costs more than the call
        os.mkdir(root.SCRATCH)  # noqa: PTH102
        os.chdir(root.WORK)


def _settle_in(folder: str) -> None:
    with step("use the work folder"):
        os.environ.update(HOME=f"{folder}/work", TMPDIR=f"{folder}/tmp")
        os.chdir(f"{folder}/work")


def _hand_out_folder(channel: int) -> None:
    """Let the host read the work folder, even when the run is over by the time it looks."""
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    # The plain class: what `socket` adds to it costs more than the call.
    line = socket.SocketType(fileno=channel)
    rights = struct.pack("i", folder)
    line.sendmsg([_FOLDER], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    line.detach()
    os.close(folder)


def _set_rlimits(walls: Walls, limits: Limits) -> None:
    # The host watches resident memory; this bounds what can be asked for between two looks.
    address_space = walls.address_space + (2 * limits.memory_mb + 64) * _MIB
    bounds = [
        (resource.RLIMIT_AS, address_space),
        (resource.RLIMIT_CPU, math.ceil(limits.cpu_seconds) + 1),
        (resource.RLIMIT_FSIZE, limits.disk_mb * _MIB),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
    ]
    if "user" in walls.build.layers:
        bounds.append((resource.RLIMIT_NPROC, limits.processes))
    elif walls.own_count:
        bounds.append((resource.RLIMIT_NPROC, limits.processes * walls.build.runs + 2))
    for name, value in bounds:
        hard = resource.getrlimit(name)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (bound, bound))


def rehearse_limits() -> None:
    """Walk through the limits in the zygote, changing none; see `cell.rehearse`."""
    for _ in range(20):
        with step("rlimits"):
            for name in (resource.RLIMIT_AS, resource.RLIMIT_NPROC):
                resource.setrlimit(name, resource.getrlimit(name))


def _wear_filter(walls: Walls) -> None:
    program = walls.program
    if "pid" not in walls.build.layers:
        own = struct.pack("<I", os.getpid())
        named = program.raw.replace(struct.pack("<I", profiles.SELF), own)
        program = ctypes.create_string_buffer(named, len(named))
    header = _Program(len(program) // 8, ctypes.addressof(program))
    call("prctl", syscalls.PR_SET_SECCOMP, 2, ctypes.byref(header), 0, 0)
