"""Explain why the sandbox cannot isolate on this machine, and what to change."""

import os
from pathlib import Path

_CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
_SWITCHES = {
    # Kernel settings that forbid namespaces: the value that does so, and the cure.
    "user/max_user_namespaces": ("0", "sudo sysctl -w user.max_user_namespaces=15000"),
    "kernel/unprivileged_userns_clone": (
        "0",
        "sudo sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    "kernel/apparmor_restrict_unprivileged_userns": (
        "1",
        "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, "
        "or an AppArmor profile with `userns,` for the interpreter",
    ),
}
_NAMESPACE_STEPS = {
    "unshare as root",
    "unshare",
    "setgroups",
    "uid_map",
    "mount",
    "pivot_root",
    "bind",
    "umount",
    "fork",
}
_CURES = {
    "mount_setattr": "it needs Linux 5.12 or newer",
    "machine": "the sandbox supports x86_64 and aarch64 only; use one of these",
    "read the interpreter": (
        "make it readable for all users (chmod -R go+rX), or name another interpreter, "
        "such as /usr/bin/python3"
    ),
    "open /proc": "mount /proc",
    "landlock version": (
        "the tier `reduced` needs version 3 or newer: use Linux 6.2 or newer with Landlock enabled"
    ),
    "seccomp": "it needs a kernel with CONFIG_SECCOMP_FILTER",
}


def explain(step: str, errno: int, detail: str) -> str:
    """Return one sentence that names the failed step, the cause and the cure.

    Reads files below /proc/sys: call it in a thread.
    """
    failed = f"the sandbox cannot isolate code here: step `{step}` failed"
    if errno:
        failed += f" (errno {errno}, {os.strerror(errno)})"
    elif detail:
        failed += f" ({detail})"
    cure = _cure(step)
    if step in _NAMESPACE_STEPS:
        cure += "; or name the weaker tier `reduced` (--sandbox reduced), which needs no namespaces"
    return f"{failed}; {cure}"


def wrong_system(system: str) -> str:
    """Return the message for an operating system other than Linux."""
    return (
        f"the local sandbox needs Linux, this is {system}: use a Linux virtual machine or "
        "container, or a remote sandbox (--sandbox e2b)"
    )


def _cure(step: str) -> str:
    if step in _NAMESPACE_STEPS:
        for name, (value, cure) in _SWITCHES.items():
            if _setting(name) == value and not (os.geteuid() == 0 and "unprivileged" in name):
                return f"/proc/sys/{name} is {value}, which forbids namespaces: {cure}"
        if any(Path(mark).exists() for mark in _CONTAINER_MARKS):
            return (
                "this is a container whose engine forbids namespaces: start it with "
                "--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
                "and as root also --cap-add SYS_ADMIN"
            )
        return (
            "the kernel, a security module or a seccomp filter around this process forbids "
            "namespaces: allow user namespaces, or run outside that confinement"
        )
    if step.startswith("import "):
        return "install it for the sandbox's interpreter, or do not preload it"
    return _CURES.get(step, "the kernel seems to lack this feature: use Linux 5.12 or newer")


def _setting(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""
