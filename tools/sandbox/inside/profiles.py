"""Which system calls code in the sandbox may make.

`pure`: computing, threads, files and clocks. No processes and programs, no sockets except a
connected stream pair (asyncio needs one), no file locks, which could block other processes.
No call may make the kernel keep memory that no limit counts: `tests/kernel_memory.py` says for
each call that makes the kernel keep any what bounds it.
`proc`: also processes and programs; only in a tier with process namespaces.
`reduced`: `pure` without namespaces. A run may signal only itself, may not change the mode, owner,
times or attributes of files, since Landlock does not protect these, and has neither timers nor
real-time signals, which count for all processes of its user together.
"""

from opencodeinterpreter.tools.sandbox.inside.bpf import ALLOW, ENOSYS, ENOTSUP, Action, Where
from opencodeinterpreter.tools.sandbox.inside.syscall_table import number

SELF = 0x7EADBEEF
"""Placeholder for the run's own process id in the `reduced` table."""
_WIDE = 0xFFFFFFFF_FFFFFFFF
_THREAD = 0x3D0F00
"""The flags with which glibc starts a thread; musl adds 0x400000."""
_NOT_FOR_FORK = 0x7E038000
"""All flags that create a namespace, CLONE_PARENT, and CLONE_THREAD.

A thread has exactly the flags above: one with descriptors of its own would escape their count.
"""
_RUN = (0, 1)
"""Process ids of a run: 1 in its own namespace, and 0, which means the caller."""

_FREE = """
access alarm arch_prctl brk chdir chmod clock_getres clock_gettime clock_nanosleep close
close_range copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl
epoll_pwait epoll_pwait2 epoll_wait eventfd2 exit exit_group faccessat faccessat2 fadvise64
fallocate fchdir fchmod fchmodat fchmodat2 fdatasync fstat fstatfs fsync ftruncate
futex futex_waitv get_robust_list getcpu getcwd getdents getdents64 getegid geteuid getgid
getgroups getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid
getresuid getrlimit getrusage getsid getsockname gettid gettimeofday getuid
link linkat lseek lstat membarrier mincore mkdir mkdirat mprotect mremap
msync munmap nanosleep newfstatat open openat openat2 pause pipe pipe2 poll ppoll pread64
preadv preadv2 pselect6 pwrite64 pwritev pwritev2 read readlink readlinkat readv recvfrom
rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask
rt_sigreturn rt_sigsuspend rt_sigtimedwait sched_get_priority_max sched_get_priority_min
sched_getaffinity sched_getparam sched_getscheduler sched_yield select sendfile
set_robust_list set_tid_address setitimer shutdown sigaltstack splice stat statfs
statx symlink symlinkat sysinfo time timer_create timer_delete timer_getoverrun timer_gettime
timer_settime timerfd_create timerfd_gettime timerfd_settime times truncate umask uname unlink
unlinkat utime utimensat utimes wait4 waitid write writev
"""

_NEW_THREAD = (Where(0, (_THREAD,), _WIDE & ~0x400000),)
_CONDITIONAL: dict[str, Action] = {
    "clone": (_NEW_THREAD,),
    # glibc falls back to clone, whose flags a filter can read.
    "clone3": ENOSYS,
    # Duplicate, get and set flags, get a pipe's size. No locks, no signals to an owner, and no
    # larger pipes: all processes of a user share one quota.
    "fcntl": (
        (Where(1, (0, 1, 2, 3, 1030, 1032, 1034)),),
        (Where(1, (4,)), Where(2, (0,), 0x2000)),
    ),
    # FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, TCGETS, TIOCGWINSZ, TCGETS2
    "ioctl": ((Where(1, (0x541B, 0x5421, 0x5451, 0x5450, 0x5401, 0x5413, 0x802C542A)),),),
    # SO_TYPE, SO_ERROR, SO_SNDBUF, SO_RCVBUF, SO_ACCEPTCONN, SO_PROTOCOL, SO_DOMAIN. None gives
    # the process at the other end, which may be the host.
    "getsockopt": ((Where(1, (1,)), Where(2, (3, 4, 7, 8, 30, 38, 39))),),
    "kill": ((Where(0, (1,)),),),
    # All but MADV_MERGEABLE, which shows what other processes hold, and calls of the host's root.
    "madvise": ((Where(2, (*range(5), *range(8, 12), *range(13, 26))),),),
    # Neither huge pages nor shared memory without a file: it stays when it is unmapped in part.
    "mmap": ((Where(3, (0,), 0x40020),), (Where(3, (0x22,), 0x4002F),)),
    # Thread and memory names.
    "prctl": ((Where(0, (15, 16, 0x53564D41)),),),
    "prlimit64": ((Where(0, _RUN),),),
    # Without an address: only to a connected socket.
    "sendto": ((Where(4, (0,), _WIDE),),),
    # A Unix stream pair; a datagram socket could send to any address.
    "socketpair": ((Where(0, (1,)), Where(1, (1,), 0xF)),),
    "tgkill": ((Where(0, (1,)),),),
}

# As a file system without attributes answers. In `reduced`, they would be those of host files.
_CONDITIONAL |= dict.fromkeys(
    ("getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr"), ENOTSUP
)

_PROC: dict[str, Action] = {
    "clone": (_NEW_THREAD, (Where(0, (0,), _NOT_FOR_FORK),)),
    # A signal cannot leave the run's process namespace.
    **dict.fromkeys(
        ["execve", "fork", "kill", "setpgid", "setsid", "tgkill", "tkill", "vfork"], ALLOW
    ),
}

_STANDARD_SIGNALS = tuple(range(32))
"""All others are queued, and in `reduced` one quota of a user holds for all runs."""
_REDUCED: dict[str, Action] = {
    "kill": ((Where(0, (SELF,)), Where(1, _STANDARD_SIGNALS)),),
    "prlimit64": ((Where(0, (0, SELF)),),),
    "tgkill": ((Where(0, (SELF,)), Where(2, _STANDARD_SIGNALS)),),
}
_NOT_REDUCED = (
    *("chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimensat", "utimes"),
    # A timer takes a place in the quota of signals too.
    *("timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime"),
)


def table(profile: str, tier: str, machine: str) -> dict[int, Action]:
    """Return the actions of `profile` in `tier`, by system call number of `machine`."""
    actions: dict[str, Action] = {**dict.fromkeys(_FREE.split(), ALLOW), **_CONDITIONAL}
    if profile == "proc":
        actions |= _PROC
    if tier == "reduced":
        actions |= _REDUCED
        actions = {name: act for name, act in actions.items() if name not in _NOT_REDUCED}
    numbered = ((number(name, machine), action) for name, action in actions.items())
    return {at: action for at, action in numbered if at is not None}
