"""What bounds the memory that the kernel keeps because of a system call that a run may make.

Every allowed call is in one of the two tables. A call that is in none fails a test: before it is
allowed, find out what it makes the kernel keep.
"""

_DESCRIPTORS = "RLIMIT_NOFILE: 256 descriptors in each process"
_BUFFERS = f"{_DESCRIPTORS}; no setsockopt and no F_SETPIPE_SZ, so each has the default size"
_TMPFS = "the work folder's size and number of files (`reduced`: the watched size of it)"
_MEMORY = "memory_mb by the watch of resident memory, page tables and swap; RLIMIT_AS"
_SIGNALS = "RLIMIT_SIGPENDING: 256 pending signals and timers"
_PROCESSES = "RLIMIT_NPROC (`reduced`: the watch)"

_BOUNDS = {
    _DESCRIPTORS: """
        creat dup dup2 dup3 epoll_create epoll_create1 eventfd2 fcntl open openat openat2
        timerfd_create
    """,
    f"{_DESCRIPTORS}; at most 128 × 128 watches of about 200 bytes": "epoll_ctl",
    _BUFFERS: "pipe pipe2 sendto socketpair splice write writev",
    _TMPFS: """
        copy_file_range fallocate ftruncate link linkat mkdir mkdirat pwrite64 pwritev pwritev2
        rename renameat renameat2 sendfile symlink symlinkat truncate
    """,
    _MEMORY: "brk madvise mprotect mremap",
    f"{_MEMORY}; no shared memory without a file, no huge pages; 65,530 mappings": "mmap",
    _SIGNALS: "kill tgkill timer_create timer_settime tkill",
    _PROCESSES: "clone fork setpgid setsid vfork",
    f"{_MEMORY}; its arguments: a quarter of the stack's limit": "execve",
    "the name of a process, and one of 80 bytes for each mapping": "prctl",
    f"{_DESCRIPTORS}, while it waits": "poll ppoll pselect6 select",
    "a fixed size for each thread": """
        arch_prctl futex futex_waitv membarrier rseq rt_sigaction sigaltstack
    """,
}
BOUNDED = {name: bound for bound, names in _BOUNDS.items() for name in names.split()}
"""The calls that make the kernel keep memory, and what bounds it."""

_KEEP_NOTHING = """
access alarm chdir chmod clock_getres clock_gettime clock_nanosleep close close_range
epoll_pwait epoll_pwait2 epoll_wait exit exit_group faccessat faccessat2 fadvise64 fchdir
fchmod fchmodat fchmodat2 fdatasync fstat fstatfs fsync get_robust_list getcpu getcwd getdents
getdents64 getegid geteuid getgid getgroups getitimer getpeername getpgid getpgrp getpid
getppid getpriority getrandom getresgid getresuid getrlimit getrusage getsid getsockname
getsockopt gettid gettimeofday getuid ioctl lseek lstat mincore msync munmap nanosleep
newfstatat pause pread64 preadv preadv2 prlimit64 read readlink readlinkat readv recvfrom
restart_syscall rmdir rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait
sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getparam
sched_getscheduler sched_yield set_robust_list set_tid_address setitimer shutdown stat statfs
statx sysinfo time timer_delete timer_getoverrun timer_gettime timerfd_gettime timerfd_settime
times umask uname unlink unlinkat utime utimensat utimes wait4 waitid
"""
KEEPS_NOTHING = frozenset(_KEEP_NOTHING.split())
"""The calls after which the kernel keeps no more than before."""
