"""Batches of one PostgreSQL store whose workers and server are struck at random moments.

    python -m tests.blows COUNT [FIRST]     as root, for batches with the seeds FIRST, FIRST + 1, …

Workers are killed, frozen and cut off from the network, and the server is killed. Each batch must
end by itself with the results of an undisturbed one. Prints a line for each batch.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.tools.errors import InputError, StoreError
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import trace_of
from tests.command import Command, Done, Running, installed, warm
from tests.doubled_batch import begun_again, lay_out, stored, told
from tests.postgres_server import Server, restartable_server

TASKS = 30
WORKERS = 3
LEASE = "2"
SECONDS = 600.0
SERVER = "10.79.0.1"
"""The server's address, on this machine's loopback, for those who are cut off."""
NOT_STARTED = ("the sandbox's test run failed: timeout", "cannot use store")
"""What a worker says that a blow met while it started."""
WITHOUT_NETWORK = ("kill", "freeze", "kill", "crash", "kill", "freeze", "restart", "kill")
ALL = ("kill", "freeze", "kill", "crash", "kill", "cut", "kill", "freeze", "cut")
"""The blows to one batch: four kills of workers and one of the server, for a start."""


T = TypeVar("T")


class Fleet:
    """The workers of a store, and what befell them."""

    def __init__(self, stack: ExitStack, command: Command, server: Server) -> None:
        """Start nothing yet; `stack` ends what is left."""
        self._stack = stack
        self._command = command
        self._server = server
        self._revivals: list[Callable[[], None]] = []
        self.near: list[Running] = []
        self.far: list[tuple[Running, str]] = []
        """Each in a network namespace, with the link that leads there."""
        self._silent: list[Running] = []
        """Those that were frozen or cut off."""

    def start_near(self) -> None:
        """Start a worker on this machine."""
        self.near.append(self._start(self._command, self._server.url))

    def start_far(self) -> None:
        """Start a worker in a network namespace, as on another machine."""
        name, link = self._stack.enter_context(namespace())
        inside = partial(installed, prefix=("ip", "netns", "exec", name))
        url = f"postgresql://postgres@{SERVER}/postgres"
        self.far.append((self._start(Command(self._command.home, inside), url), link))

    def strike(self, blow: str, chance: random.Random) -> bool:
        """Let something befall a worker at work, which is replaced, or the server.

        Returns false, and does nothing, if the batch ends before a worker is at work.
        """
        if blow == "restart":
            self._server.restart()
        elif blow == "crash":
            self._server.crash(chance)
        elif blow == "cut":
            if (found := self._at_work(self.far, lambda each: each[0], chance)) is None:
                return False
            self.far.remove(found)
            far, link = found
            run("ip", "link", "set", link, "down")
            self._silence(far, lambda: run("ip", "link", "set", link, "up"))
            self.start_far()
        else:
            if (hit := self._at_work(self.near, lambda each: each, chance)) is None:
                return False
            self.near.remove(hit)
            if blow == "kill":
                hit.signal(signal.SIGKILL)
            else:
                hit.signal(signal.SIGSTOP)
                self._silence(hit, lambda: hit.signal(signal.SIGCONT))
            self.start_near()
        return True

    def revive(self) -> list[Done]:
        """Wake up and reconnect the silent; return how each worker ended that was not killed."""
        for revive in self._revivals:
            revive()
        left = [*self.near, *(each for each, _ in self.far), *self._silent]
        return [each.wait(SECONDS) for each in left]

    def _at_work(
        self, some: list[T], running: Callable[[T], Running], chance: random.Random
    ) -> T | None:
        """Return one of some workers that holds a run, as soon as one does before the end."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            with suppress(InputError, StoreError):  # The server may not be back yet.
                now = asyncio.run(standing(self._server.url))
                if found := [each for each in some if running(each).process.pid in now.holding]:
                    return chance.choice(found)
                if not now.left:
                    break
            time.sleep(0.1)
        return None

    def _silence(self, hit: Running, revive: Callable[[], None]) -> None:
        self._silent.append(hit)
        self._revivals.append(revive)

    def _start(self, command: Command, url: str) -> Running:
        options = ("--concurrency", "2", "--idle", "5", "--lease", LEASE)
        return self._stack.enter_context(command.start("worker", "--store", url, *options))


def undisturbed(home: Path) -> None:
    """Run the batch of all seeds to its end in the folder `quiet`, as one process."""
    arguments = (*lay_out(home, TASKS), "--out", "quiet", "--concurrency", "30")
    done = Command(home, warm)(*arguments, timeout=SECONDS)
    assert done.status == 0, done.stderr


@dataclass(frozen=True)
class Struck:
    """What befell a batch that ended well."""

    dealt: Counter[str]
    """How many blows there were, by their names."""
    begun_again: int
    """How many tasks were begun again because a process had died."""
    seconds: float


def struck(home: Path, seed: int, blows: Sequence[str]) -> Struck:
    """Run the batch with workers while the blows come; check it against the undisturbed one."""
    chance, out = random.Random(seed), f"struck-{seed}"
    dealt = Counter[str]()
    command = Command(home, warm)
    address = SERVER if "cut" in blows else ""
    with restartable_server(address) as server, ExitStack() as stack:
        began = time.monotonic()
        arguments = (*lay_out(home, TASKS), "--out", out, "--store", server.url)
        batch = stack.enter_context(command.start(*arguments))
        while not asyncio.run(standing(server.url)).tasks:
            time.sleep(0.1)  # Workers that find nothing to do end.
        fleet = Fleet(stack, command, server)
        for _ in range(WORKERS - bool(address)):
            fleet.start_near()
        if address:
            fleet.start_far()
        for blow in chance.sample(blows, len(blows)):
            time.sleep(chance.uniform(0.5, 2.5))
            dealt[blow] += fleet.strike(blow, chance)
        done = batch.wait(SECONDS)
        seconds = time.monotonic() - began
        assert done.status == 0, done.stderr
        for ended in fleet.revive():
            assert ended.status == 0 or any(each in ended.stderr for each in NOT_STARTED), ended
        runs = asyncio.run(stored(server.url))
        again = asyncio.run(begun_again(server.url))
        assert asyncio.run(standing(server.url)) == (TASKS, 0, set())
    assert told(runs) == told(asyncio.run(stored(str(home / "quiet" / "runs.sqlite"))))
    assert all(asyncio.run(replay(trace_of(run))).identical for run in runs)
    samples = [(home / name / "samples.jsonl").read_text("utf-8") for name in (out, "quiet")]
    assert samples[0] == samples[1]
    return Struck(dealt, again, seconds)


class Standing(NamedTuple):
    """How far a store is."""

    tasks: int
    left: int
    holding: set[int]
    """The ids of the processes that live and hold runs."""


async def standing(url: str) -> Standing:
    """Return how far a store is."""
    async with open_store(url) as store:
        ((total, ended),) = await store.execute(
            "SELECT count(*), count(ended) FROM opencodeinterpreter_jobs"
        )
        held = await store.execute(
            "SELECT run, name FROM opencodeinterpreter_claims "
            "JOIN opencodeinterpreter_holders USING (holder)"
        )
        live = await store.claimed(*(run for run, _ in held))
    holding = {int(name.rpartition(":")[2]) for run, name in held if run in live}
    return Standing(total, total - ended, holding)


def run(*command: str) -> None:
    """Run a program that must succeed."""
    subprocess.run(command, check=True)


_made = iter(range(1, 255))


@contextmanager
def namespace() -> Iterator[tuple[str, str]]:
    """Yield a network namespace that reaches SERVER, and this machine's end of the link to it."""
    number = next(_made)
    name, here, there = (f"oci{os.getpid()}{kind}{number}" for kind in ("n", "h", "t"))
    subnet = f"10.79.{number}"
    run("ip", "netns", "add", name)
    try:
        run("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", name)
        run("ip", "addr", "add", f"{subnet}.1/24", "dev", here)
        run("ip", "link", "set", here, "up")
        inside = ("ip", "-n", name)
        run(*inside, "addr", "add", f"{subnet}.2/24", "dev", there)
        run(*inside, "link", "set", there, "up")
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "route", "add", "default", "via", f"{subnet}.1")
        yield name, here
    finally:
        run("ip", "netns", "del", name)


@contextmanager
def address_of_server() -> Iterator[None]:
    """Give this machine the server's address for a while."""
    run("ip", "addr", "add", f"{SERVER}/32", "dev", "lo")
    try:
        yield
    finally:
        run("ip", "addr", "del", f"{SERVER}/32", "dev", "lo")


def main() -> None:
    """Run as many batches as the arguments say."""
    count, first = (int(each) for each in (*sys.argv[1:], "1")[:2])
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Nothing is left behind.
    with tempfile.TemporaryDirectory() as folder, address_of_server():
        undisturbed(Path(folder))
        for seed in range(first, first + count):
            found = struck(Path(folder), seed, ALL)
            dealt = ", ".join(f"{number} {blow}" for blow, number in found.dealt.items())
            print(
                f"seed {seed}: ended after {found.seconds:.0f} s as undisturbed; {dealt}; "
                f"{found.begun_again} of {TASKS} tasks begun again; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
