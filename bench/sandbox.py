"""Measure the time of a run in the local sandbox, as ratios within one interleaved run.

The floor is the same warmed interpreter forking a child that exits at once. `alone` is a run after
a pause, as when a model is called in between; `in a row` are runs without a pause, as in grading. A
run is timed until its caller has the result. `ready child`: a child was forked during the pause.
Variants take turns in random order, so that other load affects all of them alike.

Bubblewrap is measured if it is installed, and Docker if BENCH_IMAGE names a local image with
python3.
"""

import asyncio
import gc
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from importlib.util import find_spec

from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.sandbox.inside import frames
from opencodeinterpreter.tools.sandbox.inside.build import PRELOADS
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox, open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 200
PAUSE = 0.008
"""Pause in seconds before each turn, in which a child can be forked ahead."""
ROW = 4
"""Number of measurements without a pause after the one with it."""

_FLOOR = """
import gc, importlib, os, sys, time
for name in {modules!r}: importlib.import_module(name)
def once():
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
for _ in range(20): once()
gc.collect(); gc.freeze()
for line in sys.stdin:
    began = time.perf_counter(); once(); print(time.perf_counter() - began, flush=True)
"""

Variant = Callable[[], Awaitable[float]]
Seconds = dict[str, list[float]]


class Floor:
    """A process that forks on request and reports how long it took."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        """Start it with `modules` imported, in addition to those of every zygote."""
        from opencodeinterpreter.tools.sandbox.inside.preload import STANDARD

        code = _FLOOR.format(modules=(*STANDARD, *modules))
        environment = dict(os.environ, OPENBLAS_NUM_THREADS="1")
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    async def once(self) -> float:
        """Return the time of one fork, exit and wait in seconds."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self._process.communicate()


async def _timed(action: Awaitable[object]) -> float:
    began = time.perf_counter()
    await action
    return time.perf_counter() - began


def _runs(sandbox: LocalSandbox) -> Variant:
    return lambda: _timed(sandbox.run_code("pass"))


def _program(*command: str) -> Variant:
    return lambda: _timed(asyncio.to_thread(subprocess.run, command, check=True))


async def _cell_without_loop(stack: AsyncExitStack, sandbox: LocalSandbox) -> Variant:
    """Return a variant that runs a cell by blocking calls: the minimum time of a cell."""
    child = await sandbox._spawn(SandboxLimits())
    stack.callback(child.close)
    child.give_stdin("")
    await child.ready
    asyncio.get_running_loop().remove_reader(child.channel)
    channel = child.channel.fileno()
    os.set_blocking(channel, True)

    async def once() -> float:
        began = time.perf_counter()
        frames.send(channel, {"code": "x = 1", "files": {}, "stdin": "", "cell": 1, "seed": None})
        frames.receive(channel)
        return time.perf_counter() - began

    return once


async def _variants(stack: AsyncExitStack) -> dict[str, Variant]:
    sets = ["std"] + ["numpy"] * (find_spec("numpy") is not None)
    variants: dict[str, Variant] = {}
    for name in sets:
        floor = Floor(PRELOADS[name])
        stack.callback(floor.close)
        variants[f"{name}: floor"] = floor.once
        for kind, ready in (("run", 0), ("ready child", 1)):
            sandbox = await stack.enter_async_context(
                open_local_sandbox(LocalSandboxSettings(preload=name, ready=ready))
            )
            variants[f"{name}: {kind}"] = _runs(sandbox)
        context = await sandbox.create_context()
        await sandbox.run_code("x = 0", context=context)
        variants[f"{name}: cell"] = lambda s=sandbox, c=context: _timed(  # type: ignore[misc]
            s.run_code("x += 1", context=c)
        )
        variants[f"{name}: cell, no loop"] = await _cell_without_loop(stack, sandbox)
    variants["python -I -c pass"] = _program(sys.executable, "-I", "-c", "pass")
    if bubblewrap := shutil.which("bwrap"):
        isolated = (bubblewrap, "--ro-bind", "/", "/", "--unshare-all", "--die-with-parent")
        variants["bubblewrap, python -I"] = _program(*isolated, sys.executable, "-I", "-c", "pass")
    if image := os.environ.get("BENCH_IMAGE"):
        container = ("docker", "run", "--rm", "--network", "none", image)
        variants["docker, python3 -I"] = _program(*container, "python3", "-I", "-c", "pass")
    return variants


async def main() -> None:
    """Measure all variants and print the table."""
    async with AsyncExitStack() as stack:
        variants = await _variants(stack)
        for measure in variants.values():
            await measure()
        alone: Seconds = {name: [] for name in variants}
        in_a_row: Seconds = {name: [] for name in variants}
        gc.disable()
        for _ in range(ROUNDS):
            for name in random.sample(list(variants), len(variants)):
                await asyncio.sleep(PAUSE)
                alone[name].append(await variants[name]())
                for _ in range(ROW if ":" in name else 0):
                    in_a_row[name].append(await variants[name]())
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{ROUNDS} rounds, milliseconds; load {load}")
    _report("alone", alone)
    _report("in a row", in_a_row)


def _report(title: str, seconds: Seconds) -> None:
    middle = {name: statistics.median(found) for name, found in seconds.items() if found}
    print(f"{title:<24}{'p10':>8}{'p50':>8}{'p90':>8}{'/ floor':>10}{'/ run':>8}")
    for name, p50 in middle.items():
        group = name.partition(":")[0] if ":" in name else "std"
        p10, *_, p90 = statistics.quantiles(seconds[name], n=10)
        times = "".join(f"{value * 1000:>8.2f}" for value in (p10, p50, p90))
        floor, run = middle[f"{group}: floor"], middle[f"{group}: run"]
        print(f"{name:<24}{times}{p50 / floor:>10.2f}{p50 / run:>8.2f}")


asyncio.run(main())
