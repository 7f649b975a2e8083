"""A table of attacks on the sandbox: programs that try to reach the host."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox

_FOLDER = Path(__file__).parent / "attacks"
_MARK = "# -- "
# H holds everything that an attacker could know.
_START = """
import ctypes, fcntl, json, mmap, os, resource, select, signal, socket, struct, sys, threading, time
H = json.load(sys.stdin)
F = H["folder"]
libc = ctypes.CDLL(None, use_errno=True)
def pick(x86, arm):
    return arm if os.uname().machine == "aarch64" else x86
def call(number, *arguments):
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return libc.syscall(ctypes.c_long(number), *words)
def attempt(action):
    try:
        return action()
    except (OSError, ValueError) as error:
        return error
"""


class Attack(NamedTuple):
    """One program; a `slow` one runs into a limit."""

    name: str
    code: str
    slow: bool = False


_CALLS = {
    # The numbers are of x86-64 and of aarch64: asm/unistd_64.h, asm-generic/unistd.h
    "acct": (163, 89), "add_key": (248, 217), "adjtimex": (159, 171), "bpf": (321, 280),
    "chroot": (161, 51), "clock_settime": (227, 112), "delete_module": (176, 106),
    "execveat": (322, 281), "fanotify_init": (300, 262), "finit_module": (313, 273),
    "fsopen": (430, 430), "init_module": (175, 105), "inotify_init1": (294, 26),
    "io_setup": (206, 0), "io_uring_setup": (425, 425), "kcmp": (312, 272),
    "kexec_load": (246, 104), "keyctl": (250, 219), "landlock_create_ruleset": (444, 444),
    "lookup_dcookie": (212, 18), "mbind": (237, 235), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "migrate_pages": (256, 238), "mount": (165, 40),
    "mount_setattr": (442, 442), "move_mount": (429, 429), "move_pages": (279, 239),
    "mq_open": (240, 180), "msgget": (68, 186), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "open_tree": (428, 428), "perf_event_open": (298, 241),
    "personality": (135, 92), "pidfd_getfd": (438, 438), "pidfd_open": (434, 434),
    "pivot_root": (155, 41), "process_madvise": (440, 440), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "ptrace": (101, 117), "quotactl": (179, 60),
    "request_key": (249, 218), "seccomp": (317, 277), "semget": (64, 190),
    "setdomainname": (171, 162), "sethostname": (170, 161), "setns": (308, 268),
    "setuid": (105, 146), "shmget": (29, 194), "swapon": (167, 224), "sync_file_range": (277, 84),
    "syslog": (103, 116), "umount2": (166, 39), "unshare": (272, 97), "userfaultfd": (323, 282),
    "vhangup": (153, 58), "vmsplice": (278, 75),
}  # fmt: skip


def _read(family: str) -> Iterator[Attack]:
    text = (_FOLDER / f"{family}.txt").read_text()
    for section in text.split(f"\n{_MARK}")[1:]:
        name, _, code = section.partition("\n")
        yield Attack(f"{family}: {name}", code, slow=family == "limit")


def _calls() -> Iterator[Attack]:
    arm = os.uname().machine == "aarch64"
    for name, numbers in _CALLS.items():
        arguments = "0x10000000, H['victim'], 0, 0, 0, 0"
        yield Attack(f"call: {name}", f"call({numbers[arm]}, {arguments})")


_GRAB = """
def grab(action):
    try:
        return action()
    except (OSError, ValueError, RuntimeError, MemoryError, AttributeError):
        return None
"""
_HOLD = "\nprint('held', flush=True)\nwhile True: time.sleep(60)\n"
_FAMILIES = ("read", "write", "talk", "signal", "kernel", "ending", "limit")
ATTACKS = (*(attack for family in _FAMILIES for attack in _read(family)), *_calls())
HOGS = {attack.name.removeprefix("hog: "): attack for attack in _read("hog")}
"""Programs that take as much as they can of something that the kernel keeps, by name."""
LIMITS = SandboxLimits(wall_seconds=5, memory_mb=96, output_bytes=1 << 16)
SLOW_LIMITS = SandboxLimits(wall_seconds=0.5, memory_mb=96, output_bytes=1 << 16)


def hog(name: str) -> str:
    """Return the program of a hog; it prints a line when it holds all that it could get."""
    needless = 'H = json.load(sys.stdin)\nF = H["folder"]\n'
    return _START.replace(needless, "") + _GRAB + HOGS[name].code + _HOLD


async def launch(sandbox: LocalSandbox, attack: Attack, told: dict[str, object]) -> Execution:
    """Run one attack with the knowledge in `told`."""
    limits = SLOW_LIMITS if attack.slow else LIMITS
    return await sandbox.run_code(_START + attack.code, stdin=json.dumps(told), limits=limits)
