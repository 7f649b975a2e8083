"""Move the zygote into its own namespaces and a read-only root.

An ordinary user creates the namespaces first, which give the right to mount. Root mounts first,
since only real root can read an interpreter below a private home; then it changes to a user id
that owns no files, so that hostile code is never root on the host.
"""

import contextlib
import ctypes
import os
import stat
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from opencodeinterpreter.tools.sandbox.inside import syscalls
from opencodeinterpreter.tools.sandbox.inside.build import Build
from opencodeinterpreter.tools.sandbox.inside.syscalls import call, mount, restrict_mounts, step

BOX = "/box"
ROOM = f"{BOX}/run"
"""Where a run's own file system is mounted. It holds WORK and SCRATCH."""
WORK = f"{ROOM}/work"
SCRATCH = f"{ROOM}/tmp"
USER = 1000
"""The user id that code in the sandbox sees."""

_NAMESPACES = {
    "mount": syscalls.CLONE_NEWNS,
    "pid": syscalls.CLONE_NEWPID,
    "net": syscalls.CLONE_NEWNET,
}
_OLD = "/.old"
DEVICES = {"null": "null", "zero": "full", "full": "full", "random": "random", "urandom": "urandom"}
"""The devices that a run sees, and the host's device behind each.

A mapping of the host's /dev/zero would be memory that no limit counts. /dev/full gives the same
bytes and cannot be mapped.
"""
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin")
SETTINGS = ("/etc/ld.so.cache", "/etc/localtime")
_HOST = "sandbox"
"""The host name that code in the sandbox sees."""
_NOBODY = 65534
_UNUSED = 0x70000000
"""Start of user ids above every range that systemd or a container engine assigns."""
_USERS = 1 << 12
"""Number of user ids of one sandbox, if the host is root: more than it has runs at once."""


_TO_BECOME_OTHERS = (0, 5, 6, 7)
"""Capabilities of a zygote whose children get user ids of their own: CHOWN, KILL, SETGID, SETUID.

A signal at a parent's death comes from the parent, so it needs the right to kill the children.
"""


class Inside(NamedTuple):
    """What a process has that moved into the sandbox."""

    proc: int
    """A descriptor of the host's /proc, which the caller must close."""
    users: range
    """The user ids that its runs can have; the first is its own."""


def enter(build: Build) -> Inside:
    """Move this process into the sandbox's namespaces and root; its children start inside.

    Raises StepFailedError.
    """
    with step("open /proc"):
        opened = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        proc = syscalls.out_of_the_way(opened)
        os.close(opened)
    _be_first_to_go(proc)
    as_root, mounts = os.geteuid() == 0, "mount" in build.layers
    if as_root and mounts:
        with step("unshare as root"):
            call("unshare", syscalls.CLONE_NEWNS)
        _build_root()
    users = range(os.geteuid(), os.geteuid() + 1)
    if build.tier == "full":
        mapper = _fork_mapper(proc) if as_root else None
        if as_root:
            _leave_root(build.folder)
        users = range(USER, USER + _unshare(proc, build.layers, mapper))
    elif as_root:
        users = _leave_root(build.folder, keep=_TO_BECOME_OTHERS)
    if mounts and not as_root:
        _build_root()
    return Inside(proc, users)


def be_user(user: int) -> None:
    """Change the calling process to a user id of its own, without a namespace."""
    with step("setresuid"):
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)


def own_user(proc: int, user: int) -> None:
    """Move the calling process into its own user namespace, as `user` of the present one.

    What the kernel counts per user and namespace, such as processes, is then counted for this
    process alone, and with a user id of its own also what it counts per user, such as pipes.
    """
    if user != USER:
        with step("setresuid"):
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            _keep_proc()
    with step("unshare for a run"):
        call("unshare", syscalls.CLONE_NEWUSER)
    with step("uid_map"):
        _write_proc(proc, "self/uid_map", f"{USER} {user} 1")
        _write_proc(proc, "self/gid_map", f"{USER} {user} 1")


def read_proc(proc: int, path: str) -> str:
    """Return the text of a file of the host's /proc, given by descriptor."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    try:
        return os.read(descriptor, 1 << 16).decode()
    finally:
        os.close(descriptor)


def _write_proc(proc: int, path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _be_first_to_go(proc: int) -> None:
    """Make the kernel kill the sandbox before the host if memory runs out."""
    with step("oom_score_adj"):
        _write_proc(proc, "self/oom_score_adj", "500")


class _Mapper(NamedTuple):
    """A process that is still root, to give this one a range of user ids."""

    pid: int
    line: int
    """The descriptor that tells it to begin."""


def _fork_mapper(proc: int) -> _Mapper:
    heard, told = os.pipe()
    pid, parent = os.fork(), os.getppid()
    if pid:
        os.close(heard)
        return _Mapper(pid, told)
    failed = 1
    with contextlib.suppress(OSError):
        os.close(told)
        user = int.from_bytes(os.read(heard, 8), "big")
        if user >= _UNUSED:
            for name in ("uid_map", "gid_map"):
                _write_proc(proc, f"{parent}/{name}", f"{USER} {user} {_USERS}")
            failed = 0
    os._exit(failed)


def _map_users(proc: int, user: int, group: int, mapper: _Mapper | None) -> int:
    """Give this process its user ids in its new namespace, and return how many."""
    if mapper:
        os.write(mapper.line, user.to_bytes(8, "big"))
        os.close(mapper.line)
        if os.waitpid(mapper.pid, 0)[1] == 0:
            return _USERS
    _write_proc(proc, "self/uid_map", f"{USER} {user} 1")
    _write_proc(proc, "self/gid_map", f"{USER} {group} 1")
    return 1


def _unshare(proc: int, layers: frozenset[str], mapper: _Mapper | None) -> int:
    user, group = os.geteuid(), os.getegid()
    flags = syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
    for layer, flag in _NAMESPACES.items():
        flags |= flag if layer in layers else 0
    with step("unshare"):
        call("unshare", flags)
    with step("sethostname"):
        call("sethostname", _HOST.encode(), ctypes.c_size_t(len(_HOST)))
    with step("setgroups"):
        _write_proc(proc, "self/setgroups", "deny")
    with step("uid_map"):
        return _map_users(proc, user, group, mapper)


def _keep_proc() -> None:
    """Let /proc/self belong to this process, since the maps are written there.

    A change of user id makes it belong to root.
    """
    call("prctl", syscalls.PR_SET_DUMPABLE, 1, 0, 0, 0)


def _leave_root(folder: str, keep: tuple[int, ...] = ()) -> range:
    """Change to a user id that owns no files; return the ids that the kept capabilities allow."""
    first, count = _UNUSED + (os.getpid() & 0xFFFF) * _USERS, _USERS
    with step("setresuid"):
        os.setgroups([])
        call("prctl", syscalls.PR_SET_KEEPCAPS, int(bool(keep)), 0, 0, 0)
        try:
            _become(first, folder)
        except OSError:
            # A container may map only a few user ids.
            first, count, keep = _NOBODY, 1, ()
            _become(first, folder)
        _keep_proc()
    with step("capset"):
        syscalls.keep_capabilities(*keep)
    return range(first, first + count)


def _become(user: int, folder: str) -> None:
    if folder:
        os.chown(folder, user, user)
        # Runs with other user ids come through; they can neither list nor write it.
        Path(folder).chmod(0o711)
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _build_root() -> None:
    """Create a read-only root with what the interpreter needs, and move into it."""
    found = list(sources())
    stage = next(path for path in ("/tmp", "/mnt", "/var") if Path(path).is_dir())
    with step("mount"):
        mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
        flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
        mount("tmpfs", stage, "tmpfs", flags, "mode=755,size=1m,nr_inodes=1000")
        Path(stage + _OLD).mkdir()
    with step("pivot_root"):
        os.chdir(stage)
        call("pivot_root", b".", stage.encode() + _OLD.encode())
        os.chdir("/")
    for source, target in found:
        with step("bind"):
            _bind(source, target)
        with step("mount_setattr"):
            restrict_mounts(target, syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV)
    with step("bind"):
        for name, source in DEVICES.items():
            _bind(f"/dev/{source}", f"/dev/{name}")
        _furnish()
    with step("umount"):
        call("umount2", _OLD.encode(), syscalls.MNT_DETACH)
        Path(_OLD).rmdir()
    with step("mount_setattr"):
        restrict_mounts("/", syscalls.MOUNT_ATTR_RDONLY)


def _bind(source: str, target: str) -> None:
    old, new = Path(_OLD + source), Path(target)
    new.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISDIR(old.stat().st_mode):
        new.mkdir(exist_ok=True)
    else:
        new.touch()
    mount(str(old), target, flags=syscalls.MS_BIND | syscalls.MS_REC)


def _furnish() -> None:
    """Add what does not come from the host: mount points, /tmp and the user database."""
    Path(ROOM).mkdir(parents=True)
    for name in _SYSTEM:
        target = _link_target(Path(_OLD + name))
        if target and not Path(name).exists():
            Path(name).symlink_to(target)
    # `multiprocessing` keeps its semaphores there as files.
    Path("/dev/shm").symlink_to(SCRATCH)
    # /tmp exists already if the interpreter is below it; TMPDIR names the scratch folder anyway.
    if not Path("/tmp").exists():
        Path("/tmp").symlink_to(SCRATCH)
    etc = Path("/etc")
    etc.mkdir(exist_ok=True)
    (etc / "passwd").write_text(f"user:x:{USER}:{USER}::{WORK}:/bin/sh\n")
    (etc / "group").write_text(f"user:x:{USER}:\n")


def _link_target(path: Path) -> str | None:
    return str(path.readlink()) if path.is_symlink() else None


def sources() -> Iterator[tuple[str, str]]:
    """Yield (real path on the host, path in the sandbox) of each tree, outer trees first.

    The trees are those that the interpreter and its packages read.
    """
    wanted = [path for path in _SYSTEM if not Path(path).is_symlink()]
    for prefix in dict.fromkeys((sys.prefix, sys.base_prefix, sys.base_exec_prefix)):
        # Never a whole prefix: it may be a home folder with private files.
        wanted += [f"{prefix}/{part}" for part in ("bin", "lib", "lib64", "pyvenv.cfg")]
    wanted += [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    real = [os.path.realpath(path) for path in wanted if Path(path).exists()]
    taken: list[str] = []
    for target in sorted({*(path for path in wanted if Path(path).exists()), *real}, key=len):
        if not any(target == outer or target.startswith(outer + "/") for outer in taken):
            taken.append(target)
            yield os.path.realpath(target), target
    for path in SETTINGS:
        if Path(path).exists():
            yield os.path.realpath(path), path
