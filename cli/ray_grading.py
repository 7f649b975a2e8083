"""Grade samples on a Ray cluster: its nodes take parts of them until all have a verdict.

A verdict depends on nothing but its sample, so a part that is lost with a node, or graded twice,
changes no result.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from opencodeinterpreter.cli.ray_cluster import Cluster, open_cluster, told_of
from opencodeinterpreter.cli.shared_batch import tell
from opencodeinterpreter.tools.benchmarks.grading import GradingOptions, VerdictLog, grade_here
from opencodeinterpreter.tools.benchmarks.results import SampleVerdict
from opencodeinterpreter.tools.benchmarks.samples import Sample
from opencodeinterpreter.tools.benchmarks.tasks import Benchmark
from opencodeinterpreter.tools.errors import ClusterError, OpenCodeInterpreterError
from opencodeinterpreter.tools.sandbox.opening import SandboxName

_PART = 64
"""How many samples a node grades in one call."""
_PART_SECONDS = 1800.0
"""A node that has no verdicts on its part by then is left out."""
_POLL_SECONDS = 0.5


class Grader:
    """An actor: grades parts of the samples on its node."""

    async def grade(
        self,
        sandbox: SandboxName,
        benchmark: Benchmark,
        samples: Sequence[Sample],
        options: GradingOptions,
    ) -> list[SampleVerdict] | str:
        """Return the verdicts in order, or why this node cannot grade."""
        try:
            return await grade_here(sandbox, benchmark, samples, _Kept(), options)
        except OpenCodeInterpreterError as error:
            return str(error)


class _Kept:
    """Takes verdicts and keeps them nowhere."""

    def __init__(self) -> None:
        self.verdicts: dict[int, SampleVerdict] = {}

    def add(self, verdict: SampleVerdict) -> None:
        self.verdicts[verdict.number] = verdict


class _Grading:
    """The samples that have no verdict yet, and the nodes that grade them."""

    def __init__(
        self, cluster: Cluster, samples: Sequence[Sample], log: VerdictLog, options: GradingOptions
    ) -> None:
        missing = [number for number in range(len(samples)) if number not in log.verdicts]
        starts = range(0, len(missing), _PART)
        self._parts = deque(missing[start : start + _PART] for start in starts)
        self._cluster = cluster
        self._samples = samples
        self._log = log
        self._options = options
        self._unfit: dict[str, str] = {}
        """By node, why it cannot go on."""

    @property
    def _done(self) -> bool:
        return len(self._log.verdicts) == len(self._samples)

    async def see_through(self, sandbox: SandboxName, benchmark: Benchmark) -> None:
        """Let all nodes grade until no verdict is missing; raises ClusterError if none can."""
        shared = self._cluster.kept(benchmark)
        at_work: dict[str, asyncio.Task[str]] = {}
        try:
            while not self._done:
                nodes = self._cluster.nodes()
                for node in [node for node, work in at_work.items() if work.done()]:
                    self._unfit[node] = at_work.pop(node).result()
                    tell(f"Ray node {node[:8]} grades no more: {self._unfit[node]}")
                for node in nodes.keys() - at_work.keys() - self._unfit.keys():
                    at_work[node] = asyncio.create_task(self._work(node, sandbox, shared))
                    tell(f"Ray node {node[:8]} at {nodes[node]} grades")
                if not at_work:
                    told = "; ".join(sorted(set(self._unfit.values())))
                    raise ClusterError(f"no node of the Ray cluster can grade: {told}")
                await asyncio.wait(at_work.values(), timeout=_POLL_SECONDS)
        finally:
            for work in at_work.values():
                work.cancel()
            await asyncio.gather(*at_work.values(), return_exceptions=True)

    async def _work(self, node: str, sandbox: SandboxName, benchmark: Any) -> str:
        """Let a node grade parts until no verdict is missing; return why it cannot, or ''."""
        actor = self._cluster.actor(Grader, node)
        try:
            while not self._done:
                if not self._parts:  # Other nodes have the rest, and may yet lose it.
                    await asyncio.sleep(_POLL_SECONDS)
                    continue
                part = self._parts.popleft()
                samples = [self._samples[number] for number in part]
                options = replace(self._options, watch=None)
                call = actor.grade.remote(sandbox, benchmark, samples, options)
                try:
                    found = await asyncio.wait_for(
                        asyncio.wrap_future(call.future()), _PART_SECONDS
                    )
                except TimeoutError:
                    found = f"no answer within {_PART_SECONDS:g} s"
                except Exception as error:  # Ray raises many, of a node that died or a call.
                    found = told_of(error)
                if isinstance(found, str):
                    self._parts.appendleft(part)
                    return found
                self._take(part, found)
        finally:
            self._cluster.kill(actor)
        return ""

    def _take(self, part: Sequence[int], verdicts: Sequence[SampleVerdict]) -> None:
        for number, verdict in zip(part, verdicts, strict=True):
            self._log.add(verdict.model_copy(update={"number": number}))
        if self._options.watch:
            self._options.watch(len(self._log.verdicts), len(self._samples))


async def grade_on_ray(
    address: str,
    sandbox: SandboxName,
    benchmark: Benchmark,
    samples: Sequence[Sample],
    log: VerdictLog,
    options: GradingOptions,
) -> list[SampleVerdict]:
    """Do as `grade_here`, on the nodes of a Ray cluster; `options.workers` is of each node.

    Raises InputError and ClusterError as `open_cluster` does, and ClusterError if no node can
    grade.
    """
    async with open_cluster(address) as cluster:
        await _Grading(cluster, samples, log, options).see_through(sandbox, benchmark)
    return [log.verdicts[number] for number in range(len(samples))]
