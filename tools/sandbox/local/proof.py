"""Prove that a sandbox isolates: a test run tries to escape while the host watches.

The proof is what happened just now on this machine, never a version number.
"""

import asyncio
import contextlib
import json
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.sandbox.inside.build import Build
from opencodeinterpreter.tools.sandbox.protocol import Sandbox

_ATTEMPT = """
import json, os, socket, sys

port, name, folder, pids, ways = json.load(sys.stdin)
got_out = []

def attempt(what, action):
    if what not in ways:
        return
    try:
        action()
    except OSError:
        return
    got_out.append(what)

attempt("network", lambda: socket.create_connection(("127.0.0.1", port), 1))
attempt("host sockets", lambda: socket.socket(socket.AF_UNIX).connect("\\0" + name))
attempt("read", lambda: open(folder + "/canary").read())
attempt("write", lambda: open(folder + "/canary", "w").write("changed"))
attempt("write", lambda: open(folder + "/new", "w").close())
attempt("system", lambda: open("/usr/canary", "w").close())
for pid in set(pids) - {os.getpid()}:
    attempt("signals", lambda: os.kill(pid, 0))
    attempt("processes", lambda: os.stat(f"/proc/{pid}"))
attempt("programs", lambda: os.execv("/bin/true", ["true"]))
print(json.dumps(got_out))
"""
_WAYS = {
    "network": "no connection to a server of the host",
    "host sockets": "no connection to an abstract socket of the host",
    "read": "a readable file of the host stays unread",
    "write": "a writable file of the host stays as it was",
    "system": "nothing is written into /usr",
    "signals": "the host's processes can't be signalled",
    "processes": "the host's processes can't be seen",
    "programs": "no other program can be started",
}


class Canary(Frozen):
    """One way to escape that the test run tried without success."""

    name: str
    held: str
    """What did not happen, in words."""


async def prove(sandbox: Sandbox, build: Build, zygote: int) -> tuple[Canary, ...]:
    """Run a program that tries each way to escape; raises SandboxError if one succeeds.

    `zygote`: the zygote's process id on the host. Ways that the tier or the profile does not
    block are left out.
    """
    left_out = {"processes": build.tier == "reduced", "programs": build.profile == "proc"}
    ways = [way for way in _WAYS if not left_out.get(way)]
    touched: set[str] = set()
    # In a container this process may be number 1, as the run is in its own namespace.
    pids = [os.getpid(), zygote]
    async with _servers(touched) as (port, name), _canary_folder() as folder:
        ended = await sandbox.run_code(
            _ATTEMPT,
            stdin=json.dumps([port, name, str(folder), pids, ways]),
            limits=SandboxLimits(wall_seconds=20),
        )
        if await asyncio.to_thread(_changed, folder):
            touched.add("write")
    if ended.status != "ok":
        told = ended.error.value if ended.error else ended.reason
        raise SandboxError(f"the sandbox's test run failed: {ended.status}: {told}")
    touched |= set(json.loads(ended.logs.stdout))
    if touched:
        raise SandboxError(
            f"the sandbox does not isolate here, its test run escaped by: "
            f"{', '.join(sorted(touched))}; refusing to run code in it"
        )
    return tuple(Canary(name=way, held=_WAYS[way]) for way in ways)


@contextlib.asynccontextmanager
async def _canary_folder() -> AsyncIterator[Path]:
    """Yield a folder with a canary file; it is made and removed off the event loop."""
    holder = await asyncio.to_thread(tempfile.TemporaryDirectory)
    try:
        folder = Path(holder.name)
        await asyncio.to_thread(_lay_out, folder)
        yield folder
    finally:
        await asyncio.to_thread(holder.cleanup)


@contextlib.asynccontextmanager
async def _servers(touched: set[str]) -> AsyncIterator[tuple[int, str]]:
    """Listen on TCP and on an abstract socket; add to `touched` which of them is connected to."""

    def note(way: str) -> "asyncio.streams._ClientConnectedCallback":
        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            touched.add(way)
            writer.close()

        return connected

    name = f"opencodeinterpreter-{os.getpid()}-{os.urandom(8).hex()}"
    tcp = await asyncio.start_server(note("network"), "127.0.0.1", 0)
    with _abstract_socket(name) as listening:
        unix = await asyncio.start_unix_server(note("host sockets"), sock=listening)
        async with tcp, unix:
            yield tcp.sockets[0].getsockname()[1], name


@contextlib.contextmanager
def _abstract_socket(name: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind("\0" + name)
        yield listening


def _lay_out(folder: Path) -> None:
    canary = folder / "canary"
    canary.write_text("as it was")
    # Open to everybody: the sandbox must keep the run out, not the file mode.
    canary.chmod(0o666)
    folder.chmod(0o777)


def _changed(folder: Path) -> bool:
    return [path.name for path in folder.iterdir()] != ["canary"] or (
        (folder / "canary").read_text() != "as it was"
    )
