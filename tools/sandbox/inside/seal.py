"""What a forked child does to itself before the first byte of untrusted code.

The order matters: mounting needs the capabilities that are then dropped, Landlock needs
no_new_privs, and seccomp comes last since it forbids the other steps. The zygote prepares what it
can: a child that has less to do has less memory to copy, which is what a run mostly costs.
"""

import ctypes
import math
import os
import resource
import signal
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from opencodeinterpreter.tools.sandbox.inside import frames, landlock, profiles, root, syscalls
from opencodeinterpreter.tools.sandbox.inside.build import Build
from opencodeinterpreter.tools.sandbox.inside.cell import CHANNEL
from opencodeinterpreter.tools.sandbox.inside.syscalls import PreparedCall, make, prepare, step

FilterProgram = ctypes.Array[ctypes.c_char]
"""A compiled seccomp filter."""

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
    program: FilterProgram
    """The compiled seccomp filter."""
    address_space: int
    """Bytes of address space that the bare interpreter takes."""
    own_count: bool
    """Whether nobody else's processes are counted with those of the runs."""


@dataclass(frozen=True)
class KernelLimits:
    """The limits that the kernel itself enforces on one child."""

    cpu_seconds: float
    memory_mb: int
    disk_mb: int
    processes: int


class _Header(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filter", ctypes.c_void_p))


@dataclass(frozen=True)
class SealCalls:
    """The system calls that lock in a child with certain limits, in their order."""

    work: tuple[PreparedCall, ...]
    """Give it a work folder of its own; empty where it gets one of the host's."""
    rights: tuple[PreparedCall, ...]
    """Take its rights to files."""
    bounds: tuple[PreparedCall, ...]
    """Take its descriptors, what it may use, and all other rights."""


def prepare_seal(walls: Walls, limits: KernelLimits) -> SealCalls:
    """Return the seal of all children with these limits."""
    layers = walls.build.layers
    rights = [prepare("no_new_privs", "prctl", syscalls.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)]
    if "pid" not in layers:
        dying = (syscalls.PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        rights.append(prepare("no_new_privs", "prctl", *dying))
    if walls.ruleset is not None:
        rights.append(landlock.wearing(walls.ruleset))
    everything = ctypes.c_uint(0xFFFFFFFF)
    bounds = [prepare("close_range", "close_range", CHANNEL + 1, everything, 0)]
    bounds += _rlimits(walls, limits)
    if "capabilities" in layers:
        bounds.append(syscalls.without_capabilities())
    if "seccomp" in layers and "pid" in layers:
        bounds.append(_filtering(walls.program))
    return SealCalls(_work(limits) if "mount" in layers else (), tuple(rights), tuple(bounds))


def seal(walls: Walls, prepared: SealCalls, descriptors: Sequence[int], folder: str) -> None:
    """Lock the calling process in for good; `descriptors` become 0 to 3, all others close.

    `folder` is the host's folder to work in where no mounts are made. Raises StepFailedError.
    """
    layers = walls.build.layers
    with step("descriptors"):
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        # The channel is the interpreter's own, not for programs that it starts.
        os.set_inheritable(CHANNEL, False)
    if "setsid" in layers:
        with step("setsid"):
            os.setsid()
    if "user" in layers:
        root.own_user(walls.proc)
    make(prepared.work)
    if "mount" not in layers:
        _settle_in(folder)
    with step("hand out the work folder"):
        _hand_out_folder()
    make(prepared.rights)
    if folder and "landlock" in layers:
        with step("landlock"):
            _wear_own_rules(walls, folder)
    make(prepared.bounds)
    if "seccomp" in layers and "pid" not in layers:
        make([_filtering(_for_own_process(walls.program))])


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


def _wear_own_rules(walls: Walls, folder: str) -> None:
    ruleset = rules(walls.build, walls.readable, folder)
    if ruleset is not None:
        make([landlock.wearing(ruleset)])


def _work(limits: KernelLimits) -> tuple[PreparedCall, ...]:
    user = root.USER
    options = f"size={limits.disk_mb}m,nr_inodes={_FILES},mode=700,uid={user},gid={user}"
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    mounted = (b"tmpfs", root.ROOM.encode(), b"tmpfs", flags, options.encode())
    name = "mount the work folder"
    return (
        prepare("unshare for a run", "unshare", syscalls.CLONE_NEWNS),
        prepare(name, "mount", *mounted),
        prepare(name, "mkdirat", syscalls.AT_FDCWD, root.WORK.encode(), 0o777),
        prepare(name, "mkdirat", syscalls.AT_FDCWD, root.SCRATCH.encode(), 0o777),
        prepare(name, "chdir", root.WORK.encode()),
    )


def _settle_in(folder: str) -> None:
    with step("use the work folder"):
        os.environ.update(HOME=f"{folder}/work", TMPDIR=f"{folder}/tmp")
        os.chdir(f"{folder}/work")


def _hand_out_folder() -> None:
    """Let the host read the work folder, even when the run is over by the time it looks."""
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    # The plain class: what `socket` adds to it costs more than the call.
    line = socket.SocketType(socket.AF_UNIX, socket.SOCK_STREAM, 0, CHANNEL)
    rights = struct.pack("i", folder)
    line.sendmsg([_FOLDER], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    line.detach()
    os.close(folder)


def _rlimits(walls: Walls, limits: KernelLimits) -> Iterator[PreparedCall]:
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
        yield prepare("rlimits", "prlimit64", 0, name, struct.pack("QQ", bound, bound), None)


def _for_own_process(program: FilterProgram) -> FilterProgram:
    """Return the filter with the calling process's id where it names that."""
    own = struct.pack("<I", os.getpid())
    named = program.raw.replace(struct.pack("<I", profiles.SELF), own)
    return ctypes.create_string_buffer(named, len(named))


def _filtering(program: FilterProgram) -> PreparedCall:
    header = _Header(len(program) // 8, ctypes.addressof(program))
    # It holds on to the program, whose address alone would not.
    header.program = program
    return prepare("seccomp", "prctl", syscalls.PR_SET_SECCOMP, 2, ctypes.byref(header), 0, 0)
