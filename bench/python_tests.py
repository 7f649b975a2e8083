"""What tests in Python cost a draft, in turns within one run.

`run` only runs the program. `fails` is a draft whose tests run with the examiner, the last of
which fails. `passes` is one whose tests then run once more, in one process with the program.
"""

import asyncio
import os
import random
import statistics
import sys
import time

from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import open_runner

ROUNDS = 60
PAUSE_SECONDS = 0.05
"""Between two drafts, as a model takes longer to write one."""
COUNT = 5
TESTS = PythonTests(
    source="from solution import f\n"
    + "".join(f"def test_{n}():\n    assert f({n}) == {n + 1}\n" for n in range(COUNT))
)
RIGHT = "def f(x): return x + 1"
DRAFTS = {
    "run": Program(code=RIGHT),
    "fails": Program(code=f"def f(x): return x + 1 if x < {COUNT - 1} else 0", tests=TESTS),
    "passes": Program(code=RIGHT, tests=TESTS),
}


async def measure(rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of each kind of draft."""
    taken: dict[str, list[float]] = {name: [] for name in DRAFTS}
    async with open_runner("full") as runner:
        for program in DRAFTS.values():  # The first ones ship code.
            await runner.run(program)
        for _ in range(rounds):
            for name in random.sample(list(DRAFTS), len(DRAFTS)):
                await asyncio.sleep(PAUSE_SECONDS)
                began = time.perf_counter()
                await runner.run(DRAFTS[name])
                taken[name].append(1000 * (time.perf_counter() - began))
    return taken


def main() -> None:
    """Print percentiles, and what tests add to a run."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    taken = asyncio.run(measure(rounds))
    print(f"{rounds} rounds, milliseconds; load {os.getloadavg()[0]:.1f}")
    print(f"{'':8}{'p10':>8}{'p50':>8}{'p90':>8}{'- run':>8}")
    run = statistics.median(taken["run"])
    for name, times in taken.items():
        tenths = statistics.quantiles(times, n=10)
        middle = statistics.median(times)
        print(f"{name:8}{tenths[0]:8.1f}{middle:8.1f}{tenths[-1]:8.1f}{middle - run:8.1f}")


if __name__ == "__main__":
    main()
