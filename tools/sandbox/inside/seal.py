"""Seal a forked child: give up every right before the first byte of untrusted code runs.

The order matters: mounting needs the capabilities that are dropped later, Landlock needs
no_new_privs, and seccomp comes last since it forbids the other steps. The zygote prepares as much
as possible, since the cost of a run is mostly the memory that its child changes and so copies.
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
from typing import NamedTuple

from opencodeinterpreter.tools.sandbox.inside import frames, landlock, profiles, root, syscalls
from opencodeinterpreter.tools.sandbox.inside.build import Build
from opencodeinterpreter.tools.sandbox.inside.cell import CHANNEL
from opencodeinterpreter.tools.sandbox.inside.syscalls import PreparedCall, make, prepare, step

FilterProgram = ctypes.Array[ctypes.c_char]
"""A compiled seccomp filter, in memory."""

_MIB = 1 << 20
_FILES = 2048
"""Maximum number of files and folders in the work folder."""
_DESCRIPTORS = 256
_SIGNALS = 256
"""Maximum number of pending signals and timers of a run."""
_FOLDER = frames.pack({"folder": True})
LEAST_LANDLOCK = 3
"""The first version that controls truncation, which the `reduced` tier depends on."""


@dataclass(frozen=True)
class Walls:
    """What the zygote prepares once for all its children."""

    build: Build
    proc: int
    """A descriptor of the host's /proc."""
    ruleset: int | None
    """The Landlock ruleset; `None` without Landlock, or if each child builds its own."""
    readable: tuple[str, ...]
    """The trees that Landlock allows a run to read."""
    program: FilterProgram
    """The seccomp filter."""
    address_space: int
    """Address space of the idle interpreter in bytes."""
    own_count: bool
    """Whether the user id of the runs has no other processes, so that they can be counted."""


@dataclass(frozen=True)
class KernelLimits:
    """The limits that the kernel enforces on one child; see `SandboxLimits`."""

    cpu_seconds: float
    memory_mb: int
    disk_mb: int
    processes: int


class Place(NamedTuple):
    """Where one child works, and as whom."""

    folder: str
    """The host's folder to work in; empty if the mount layer is on."""
    user: int
    """Its user id; that in the zygote's namespace, if there is one."""


class _Header(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filter", ctypes.c_void_p))


@dataclass(frozen=True)
class SealCalls:
    """The system calls that seal a child with certain limits, in order."""

    work: tuple[PreparedCall, ...]
    """Create its own work folder; empty if it gets a folder of the host."""
    rights: tuple[PreparedCall, ...]
    """Take away its rights to files."""
    bounds: tuple[PreparedCall, ...]
    """Close its descriptors, set its limits and take away all other rights."""


def prepare_seal(walls: Walls, limits: KernelLimits) -> SealCalls:
    """Return the calls that seal children with these limits."""
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


def seal(walls: Walls, prepared: SealCalls, descriptors: Sequence[int], place: Place) -> None:
    """Seal the calling process; `descriptors` become 0 to 3, all others are closed.

    Raises StepFailedError.
    """
    layers = walls.build.layers
    with step("descriptors"):
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        # Programs that the run starts do not inherit the channel.
        os.set_inheritable(CHANNEL, False)
    if "setsid" in layers:
        with step("setsid"):
            os.setsid()
    if "user" in layers:
        root.own_user(walls.proc, place.user)
    elif walls.build.tier == "reduced" and place.user != os.geteuid():
        root.be_user(place.user)
    make(prepared.work)
    if "mount" not in layers:
        _settle_in(place.folder)
    with step("hand out the work folder"):
        _hand_out_folder()
    make(prepared.rights)
    if place.folder and "landlock" in layers:
        with step("landlock"):
            _wear_own_rules(walls, place.folder)
    make(prepared.bounds)
    if "seccomp" in layers and "pid" not in layers:
        make([_filtering(_for_own_process(walls.program))])


def readable(build: Build) -> tuple[str, ...]:
    """Return the trees that a run may read: everything, if its own root hides the host's files."""
    if build.tier == "full":
        return ("/",)
    trees = [*(source for source, _ in root.sources()), *root.SETTINGS]
    return tuple(filter(os.path.exists, trees))


def rules(build: Build, trees: Sequence[str], writable: str) -> int | None:
    """Return the descriptor of a Landlock ruleset, or `None` without Landlock."""
    whole = build.tier == "full"
    own = [f"/dev/{name}" for name, source in root.DEVICES.items() if name == source]
    devices = ["/dev"] if whole else own
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
    """Send the host a descriptor of the work folder, which it can read even after the run."""
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    # The base class: what `socket.socket` adds costs more than the call.
    line = socket.SocketType(socket.AF_UNIX, socket.SOCK_STREAM, 0, CHANNEL)
    rights = struct.pack("i", folder)
    line.sendmsg([_FOLDER], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    line.detach()
    os.close(folder)


def _rlimits(walls: Walls, limits: KernelLimits) -> Iterator[PreparedCall]:
    # The host watches resident memory; this bounds what can be allocated between two checks.
    address_space = walls.address_space + (2 * limits.memory_mb + 64) * _MIB
    bounds = [
        (resource.RLIMIT_AS, address_space),
        (resource.RLIMIT_CPU, math.ceil(limits.cpu_seconds) + 1),
        (resource.RLIMIT_FSIZE, limits.disk_mb * _MIB),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS),
        # Not 0: the kernel would still start a program of the host that takes core files.
        (resource.RLIMIT_CORE, 1),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ]
    if "user" in walls.build.layers:
        bounds.append((resource.RLIMIT_NPROC, limits.processes))
        bounds.append((resource.RLIMIT_SIGPENDING, _SIGNALS))
    elif walls.own_count:
        bounds.append((resource.RLIMIT_NPROC, limits.processes * walls.build.runs + 2))
    for name, value in bounds:
        hard = resource.getrlimit(name)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        yield prepare("rlimits", "prlimit64", 0, name, struct.pack("QQ", bound, bound), None)


def _for_own_process(program: FilterProgram) -> FilterProgram:
    """Return the filter with its placeholder replaced by the calling process's id."""
    own = struct.pack("<I", os.getpid())
    named = program.raw.replace(struct.pack("<I", profiles.SELF), own)
    return ctypes.create_string_buffer(named, len(named))


def _filtering(program: FilterProgram) -> PreparedCall:
    header = _Header(len(program) // 8, ctypes.addressof(program))
    # Keep the program alive: the header holds only its address.
    header.program = program
    return prepare("seccomp", "prctl", syscalls.PR_SET_SECCOMP, 2, ctypes.byref(header), 0, 0)
