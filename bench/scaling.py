"""How many workers carry how many tasks a day: a simulation from what one task costs.

python bench/scaling.py      with the costs below
python bench/workers.py      measures the costs and checks the simulation by real workers

A lane of a worker does one task after another: it takes a turn at the model, which answers after a
fixed time, then at its worker's Python, which uses one core at once, at the sandboxes, which use
the others of the host, and at the cores of the database's server. Each of these serves in the order
of arrival. It leaves out the time in which a task waits for an answer of the database, and for new
processes of the sandbox.
"""

from collections.abc import Generator
from dataclasses import dataclass

import simpy


@dataclass(frozen=True)
class Costs:
    """What one task takes, in seconds of processor time."""

    turns: int
    python: float
    """In the worker's own process."""
    sandbox: float
    server: float
    """In the processes of PostgreSQL."""


@dataclass(frozen=True)
class Fleet:
    """The machines."""

    workers: int
    lanes: int
    """Tasks at once in each worker (`--concurrency`)."""
    model_seconds: float
    """After which a model answers, however many ask."""
    host_cores: int = 4
    """Of each worker's host."""
    server_cores: int = 8


MEASURED = Costs(turns=2, python=0.104, sandbox=0.238, server=0.022)
"""By `bench/workers.py`; docs/scaling.md says when and where."""

Step = Generator[simpy.Event, None, None]


class Cluster:
    """The stations of a fleet, each with its queue."""

    def __init__(self, costs: Costs, fleet: Fleet, shared_cores: int = 0) -> None:
        """Build it; with `shared_cores`, workers and server share the cores of one machine."""
        self.costs, self.fleet = costs, fleet
        self.clock = simpy.Environment()
        self.ended: list[float] = []
        self.busy = {"python": 0.0, "sandbox": 0.0, "server": 0.0}
        one = simpy.Resource(self.clock, shared_cores) if shared_cores else None
        self._server = one or simpy.Resource(self.clock, fleet.server_cores)
        self._pythons = [simpy.Resource(self.clock) for _ in range(fleet.workers)]
        self._hosts = [
            one or simpy.Resource(self.clock, fleet.host_cores) for _ in range(fleet.workers)
        ]
        for worker in range(fleet.workers):
            for lane in range(fleet.lanes):
                # Lanes do not begin in step: that is how they are after an hour.
                start = costs.turns * fleet.model_seconds * lane / fleet.lanes
                self.clock.process(self._lane(worker, start))

    def tasks_a_second(self, seconds: float = 80.0) -> float:
        """Return the tasks that end in a second, once all have begun."""
        first = 2 * self.costs.turns * self.fleet.model_seconds
        self.clock.run(first + seconds)
        return sum(end > first for end in self.ended) / seconds

    def _lane(self, worker: int, start: float) -> Step:
        yield self.clock.timeout(start)
        turns = self.costs.turns
        while True:
            for _ in range(turns):
                yield self.clock.timeout(self.fleet.model_seconds)
                with self._pythons[worker].request() as turn:
                    yield turn
                    yield from self._use("python", self._hosts[worker], self.costs.python / turns)
                yield from self._use("sandbox", self._hosts[worker], self.costs.sandbox / turns)
                yield from self._use("server", self._server, self.costs.server / turns)
            self.ended.append(self.clock.now)

    def _use(self, name: str, cores: simpy.Resource, seconds: float) -> Step:
        with cores.request() as core:
            yield core
            yield self.clock.timeout(seconds)
        self.busy[name] += seconds


def main() -> None:
    """Print what fleets do in a day, and how busy their parts are."""
    print(f"{MEASURED}; a model that answers after 20 s, hosts of 4 cores, a server of 8")
    print("workers  lanes  tasks a day   Python  sandbox   server")
    for workers, lanes in ((8, 8), (8, 64), (64, 8), (64, 64), (512, 8), (512, 64)):
        fleet = Fleet(workers, lanes, model_seconds=20.0)
        cluster = Cluster(MEASURED, fleet)
        rate = cluster.tasks_a_second()
        parts = (1, fleet.host_cores, fleet.server_cores / workers)
        shares = [
            busy / cluster.clock.now / workers / cores
            for busy, cores in zip(cluster.busy.values(), parts, strict=True)
        ]
        python, sandbox, server = (f"{share:.0%}" for share in shares)
        day = f"{86_400 * rate:,.0f}"
        print(f"{workers:7} {lanes:6} {day:>12} {python:>8} {sandbox:>8} {server:>8}")


if __name__ == "__main__":
    main()
