"""Which system calls code in the sandbox may make.

`pure`: computing, threads, files and clocks. No processes and programs, no sockets except a
connected stream pair (asyncio needs one), no file locks, which could block other processes.
`proc`: also processes and programs; only in a tier with process namespaces.
`reduced`: `pure` without namespaces. A run may signal only itself, and may not change the mode,
owner, times or attributes of files, since Landlock does not protect these.
"""

from opencodeinterpreter.tools.sandbox.inside.bpf import ALLOW, ENOSYS, Action, Where
from opencodeinterpreter.tools.sandbox.inside.syscall_table import number

SELF = 0x7EADBEEF
"""Placeholder for the run's own process id in the `reduced` table."""
_WIDE = 0xFFFFFFFF_FFFFFFFF
_THREAD = 0x3D0F00
"""The flags with which glibc starts a thread; musl adds 0x400000."""
_NOT_FOR_FORK = 0x7E028000
"""All flags that create a namespace, and CLONE_PARENT."""
_RUN = (0, 1)
"""Process ids of a run: 1 in its own namespace, and 0, which means the caller."""

_FREE = """
access alarm arch_prctl brk chdir chmod clock_getres clock_gettime clock_nanosleep close
close_range copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl
epoll_pwait epoll_pwait2 epoll_wait eventfd2 exit exit_group faccessat faccessat2 fadvise64
fallocate fchdir fchmod fchmodat fchmodat2 fdatasync fgetxattr fstat fstatfs fsync ftruncate
futex futex_waitv get_robust_list getcpu getcwd getdents getdents64 getegid geteuid getgid
getgroups getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid
getresuid getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getxattr
lgetxattr link linkat lseek lstat madvise membarrier mincore mkdir mkdirat mmap mprotect mremap
msync munmap nanosleep newfstatat open openat openat2 pause pipe pipe2 poll ppoll pread64
preadv preadv2 pselect6 pwrite64 pwritev pwritev2 read readlink readlinkat readv recvfrom
rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask
rt_sigreturn rt_sigsuspend rt_sigtimedwait sched_get_priority_max sched_get_priority_min
sched_getaffinity sched_getparam sched_getscheduler sched_yield select sendfile
set_robust_list set_tid_address setitimer setsockopt shutdown sigaltstack splice stat statfs
statx symlink symlinkat sysinfo time timer_create timer_delete timer_getoverrun timer_gettime
timer_settime timerfd_create timerfd_gettime timerfd_settime times truncate umask uname unlink
unlinkat utime utimensat utimes wait4 waitid write writev
"""

_CONDITIONAL: dict[str, Action] = {
    "clone": ((Where(0, (_THREAD,), _WIDE & ~0x400000),),),
    # glibc falls back to clone, whose flags a filter can read.
    "clone3": ENOSYS,
    # Duplicate, get and set flags, pipe size; no locks and no signals to an owner.
    "fcntl": (
        (Where(1, (0, 1, 2, 3, 1030, 1031, 1032, 1034)),),
        (Where(1, (4,)), Where(2, (0,), 0x2000)),
    ),
    # FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, TCGETS, TIOCGWINSZ, TCGETS2
    "ioctl": ((Where(1, (0x541B, 0x5421, 0x5451, 0x5450, 0x5401, 0x5413, 0x802C542A)),),),
    "kill": ((Where(0, (1,)),),),
    # Thread and memory names.
    "prctl": ((Where(0, (15, 16, 0x53564D41)),),),
    "prlimit64": ((Where(0, _RUN),),),
    # Without an address: only to a connected socket.
    "sendto": ((Where(4, (0,), _WIDE),),),
    # A Unix stream pair; a datagram socket could send to any address.
    "socketpair": ((Where(0, (1,)), Where(1, (1,), 0xF)),),
    "tgkill": ((Where(0, (1,)),),),
}

_PROC: dict[str, Action] = {
    "clone": ((Where(0, (0,), _NOT_FOR_FORK),),),
    # A signal cannot leave the run's process namespace.
    **dict.fromkeys(
        ["execve", "fork", "kill", "setpgid", "setsid", "tgkill", "tkill", "vfork"], ALLOW
    ),
}

_REDUCED: dict[str, Action] = {
    "kill": ((Where(0, (SELF,)),),),
    "prlimit64": ((Where(0, (0, SELF)),),),
    "tgkill": ((Where(0, (SELF,)),),),
}
_NOT_REDUCED = ("chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimensat", "utimes")


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
