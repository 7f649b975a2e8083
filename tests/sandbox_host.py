"""Targets on the host that hostile code may try to reach, and checks of what it reached."""

import asyncio
import os
import secrets
import socket
import stat
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.sandbox.inside import landlock
from opencodeinterpreter.tools.sandbox.inside.seal import LEAST_LANDLOCK
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox

DEBIAN = Path("/usr/bin/python3")
"""An interpreter that all users can read."""
needs_reduced = pytest.mark.skipif(
    landlock.version() < LEAST_LANDLOCK,
    reason=f"the tier `reduced` needs Landlock {LEAST_LANDLOCK}, which came with Linux 6.2",
)
REDUCED = pytest.param("reduced", marks=needs_reduced)
_PLACES = ("/planted", "/usr/planted", "/etc/planted", "/tmp/planted", "/dev/planted", "/planted")
_DYING_SECONDS = 0.5
_START_SECONDS = 30.0
_SLEEPER = "import sys; sys.stdin.read()"


def readable_by_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o5 == 0o5 for folder in path.resolve().parents)


def serves(interpreter: Path) -> bool:
    """Return whether `interpreter` exists and is new enough."""
    if not interpreter.exists():
        return False
    check = [str(interpreter), "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    return subprocess.run(check, check=False).returncode == 0


def descendants(pid: int) -> set[int]:
    """Return the descendants of `pid` on the host."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    stack = [pid]
    while stack:
        for child in children.get(stack.pop(), []):
            found.add(child)
            stack.append(child)
    return found


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def user_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


class Host:
    """Targets for one sandbox; `effects` returns which were reached and restores them."""

    def __init__(self, folder: Path, user: int) -> None:
        self._open = ExitStack()
        self._folder = folder
        self._user = user
        """The user id of sandboxed code on the host; it owns the targets."""
        self.secret = secrets.token_hex(16)
        self.mark = secrets.token_hex(4)
        folder.chmod(0o777)
        self.tcp = self._listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        self.udp = self._listen(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        self.streams = [
            self._listen(socket.AF_UNIX, socket.SOCK_STREAM, f"\0stream-{self.mark}"),
            self._listen(socket.AF_UNIX, socket.SOCK_STREAM, str(folder / "stream")),
        ]
        self.datagrams = [
            self._listen(socket.AF_UNIX, socket.SOCK_DGRAM, f"\0datagram-{self.mark}"),
            self._listen(socket.AF_UNIX, socket.SOCK_DGRAM, str(folder / "datagram")),
        ]
        self._lay_out()
        self._before = self._files()
        self.victim = self._start_victim()
        self.sibling = 0
        self.sibling_work = ""

    def _listen(self, family: int, kind: int, address: str | tuple[str, int]) -> socket.socket:
        canary = self._open.enter_context(socket.socket(family, kind))
        canary.bind(address)
        if kind == socket.SOCK_STREAM:
            canary.listen(50)
        canary.setblocking(False)
        if isinstance(address, str) and address[0] != "\0":
            Path(address).chmod(0o777)
        return canary

    def _lay_out(self) -> None:
        for name, mode in (("secret", 0o644), ("writable", 0o666), ("own", 0o600)):
            path = self._folder / name
            path.write_text(f"as it was, and {self.secret}")
            path.chmod(mode)
            if os.geteuid() == 0:
                os.chown(path, self._user, self._user)
            os.utime(path, (1_000_000, 1_000_000))

    def _files(self) -> dict[str, object]:
        seen: dict[str, object] = {"listing": sorted(p.name for p in self._folder.iterdir())}
        for name in ("secret", "writable", "own"):
            path = self._folder / name
            try:
                told = path.lstat()
                times = (told.st_mtime, stat.S_IMODE(told.st_mode), told.st_nlink, told.st_uid)
                seen[name] = (*times, path.read_text(), os.listxattr(path))
            except OSError as error:
                seen[name] = str(error)
        library = [path.stat() for path in Path("/usr/lib").glob("python3*/os.py")]
        seen["library"] = [(told.st_mtime, told.st_mode, told.st_size) for told in library]
        seen["planted"] = [place for place in _PLACES if Path(place).exists()]
        seen["machine"] = (socket.gethostname(), os.getpriority(os.PRIO_PROCESS, 0))
        return seen

    def _start_victim(self) -> subprocess.Popen[bytes]:
        python = DEBIAN if DEBIAN.exists() else sys.executable
        other = {"user": self._user, "group": self._user} if os.geteuid() == 0 else {}
        return subprocess.Popen([python, "-c", _SLEEPER], stdin=subprocess.PIPE, **other)  # type: ignore[call-overload, no-any-return]

    def told(self) -> dict[str, object]:
        """Return all that an attack needs to know, as much as the best informed attacker has."""
        return {
            "tcp": self.tcp.getsockname()[1],
            "udp": self.udp.getsockname()[1],
            "stream": str(self._folder / "stream"),
            "datagram": str(self._folder / "datagram"),
            "mark": self.mark,
            "folder": str(self._folder),
            "victim": self.victim.pid,
            "host": os.getpid(),
            "sibling": self.sibling,
            "sibling_work": self.sibling_work,
        }

    def effects(self, output: str) -> set[str]:
        """Return what was reached since the last call; `output` is all that the code returned."""
        found = {name for name, seen in self._files().items() if seen != self._before[name]}
        if self.secret in output:
            found.add("secret told")
        if self._heard():
            found.add("heard")
        if self.victim.poll() is not None:
            found.add("victim dead")
            self.victim.communicate()
            self.victim = self._start_victim()
        if self.sibling and not alive(self.sibling):
            found.add("sibling dead")
            self.sibling = 0
        if self._left_running():
            found.add("left running")
        if found & self._before.keys():
            self._restore()
        return found

    def _heard(self) -> bool:
        heard = False
        for canary in (self.tcp, *self.streams):
            with suppress(BlockingIOError):
                canary.accept()[0].close()
                heard = True
        for canary in (self.udp, *self.datagrams):
            with suppress(BlockingIOError):
                canary.recv(64)
                heard = True
        return heard

    def _left_running(self) -> bool:
        """Return whether a process has the name that daemons of attacks give themselves.

        A process killed with its run may take a moment to end.
        """
        deadline = time.monotonic() + _DYING_SECONDS
        while left := self._daemons():
            if time.monotonic() > deadline:
                for pid in left:
                    with suppress(OSError):
                        os.kill(pid, 9)
                return True
            time.sleep(0.01)
        return False

    def _daemons(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    named = (entry / "comm").read_text().strip() == f"left-{self.mark}"
                    if named and alive(int(entry.name)):
                        found.append(int(entry.name))
        return found

    def _restore(self) -> None:
        for entry in self._folder.iterdir():
            if entry.is_dir():
                entry.rmdir()
            elif entry.name not in ("stream", "datagram"):
                entry.unlink()
        for place in map(Path, _PLACES):
            place.unlink(missing_ok=True)
        self._lay_out()
        self._before = self._files()

    def close(self) -> None:
        """Close all targets."""
        self.victim.communicate()
        self._open.close()


async def start_sibling(sandbox: LocalSandbox, host: Host) -> asyncio.Task[object]:
    """Start a run with a secret in its folder that goes on while others attack."""
    keeper = sandbox.zygote_pid
    assert keeper is not None
    before = descendants(keeper)
    code = (
        f"import os, time; open('inner', 'w').write({host.secret!r})\n"
        "print(os.getcwd(), flush=True)\ntime.sleep(600)"
    )
    limits = SandboxLimits(wall_seconds=600, memory_mb=96)
    sibling: asyncio.Task[object] = asyncio.create_task(sandbox.run_code(code, limits=limits))
    until = time.monotonic() + _START_SECONDS
    while not host.sibling and not sibling.done():
        # In some containers, root may not inspect processes of other users.
        assert time.monotonic() < until, "no process is seen in a folder with the sibling's file"
        await asyncio.sleep(0.02)
        for pid in descendants(keeper) - before:
            work = Path(f"/proc/{pid}/cwd")
            with suppress(OSError):
                if (work / "inner").exists():
                    host.sibling, host.sibling_work = pid, str(work.readlink())
    return sibling
