"""Let a run that calls `abort` end by a signal that tells so.

SIGABRT cannot kill process 1 of a namespace. libc then executes an invalid instruction, and the
run seems to have crashed by SIGSEGV. Here SIGABRT leads to a trap instruction, which kills even
process 1, by SIGTRAP. The host reports that as SIGABRT.
"""

import ctypes
import mmap
import os
import signal

_TRAPS = {"x86_64": b"\xcc", "aarch64": b"\x00\x00\x20\xd4"}
_page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def tell_aborts() -> None:
    """Make SIGABRT end this process, and the runs forked from it, by SIGTRAP.

    Without effect if the kernel or a security module forbids to execute the instruction.
    """
    trap = _TRAPS[os.uname().machine]
    _page.write(trap * (mmap.PAGESIZE // len(trap)))
    at = ctypes.addressof(ctypes.c_char.from_buffer(_page))
    libc = ctypes.CDLL(None)
    executable = mmap.PROT_READ | mmap.PROT_EXEC
    if libc.mprotect(ctypes.c_void_p(at), ctypes.c_size_t(mmap.PAGESIZE), executable) == 0:
        # Not `signal.signal`: a handler in Python would not run before the process ends.
        libc.signal(signal.SIGABRT, ctypes.c_void_p(at))
        os.register_at_fork(after_in_child=_be_usual)


def _be_usual() -> None:
    """Let SIGABRT kill a process that a run starts, as everywhere."""
    if os.getpid() != 1:
        signal.signal(signal.SIGABRT, signal.SIG_DFL)
