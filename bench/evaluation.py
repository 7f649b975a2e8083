"""What `evaluate` and `batch` cost beside the work that they order.

python bench/evaluation.py

1. The wall time of an evaluation, divided by the larger of two parts of it: the same requests from
   a bare client, and the grading of the same programs alone. The model is a server in a
   process of its own, with a fixed delay and a few answers at a time.
2. Processor time a turn of a batch of two-turn tasks in an SQLite store, without a sandbox, and the
   growth of the process meanwhile.
"""

import asyncio
import json
import os
import re
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import httpx

from opencodeinterpreter.graph.arms import arms_named
from opencodeinterpreter.graph.batch import Job, Plan, batch
from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.nodes.settings import Limits, Settings
from opencodeinterpreter.testing import draft
from opencodeinterpreter.tools.benchmarks.grading import (
    MODULES,
    RUNS_A_WORKER,
    GradingOptions,
    grade_samples,
)
from opencodeinterpreter.tools.benchmarks.journal import Journal
from opencodeinterpreter.tools.benchmarks.samples import Sample
from opencodeinterpreter.tools.benchmarks.tasks import Benchmark, OwnTask
from opencodeinterpreter.tools.execution import Execution, ExecutionError
from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.models.protocol import Request, Response
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX, open_sandbox
from opencodeinterpreter.traces.evaluation.evaluate import Work, prepare, run, score
from opencodeinterpreter.traces.evaluation.folder import Folder, Header

TASKS, AT_ONCE, DELAY, ROUNDS = 60, 4, 1.0, 3
TURNS = 2
GOAL = 1.15
BATCH, HALF = 1000, 500
GOAL_MS = 10.0


def benchmark() -> Benchmark:
    """Return tasks whose first draft is wrong for every second one."""
    tasks = {
        f"t/{n}": OwnTask(
            task_id=f"t/{n}",
            prompt=f"Write f{n}(x), which returns x + {n}.",
            entry_point=f"f{n}",
            reference=None,
            tests=PythonTests(source=f"from solution import f{n}\nassert f{n}(1) == {1 + n}"),
            scoring=PythonTests(source=f"from solution import f{n}\nassert f{n}(-5) == {n - 5}"),
        )
        for n in range(1, TASKS + 1)
    }
    return Benchmark("bench", "0" * 64, "0" * 32, tasks)


def program(number: int, right: bool) -> str:
    """Return a task's program."""
    return f"def f{number}(x):\n    return x + {number if right else -1}"


async def serve() -> None:
    """Answer chat requests after DELAY seconds, AT_ONCE at a time; every second draft is wrong."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
                length = next(int(x[15:]) for x in lines if x.startswith("content-length:"))
                said = json.loads(await reader.readexactly(length))["messages"]
                async with slots:
                    await asyncio.sleep(DELAY)
                writer.write(_reply(said))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _reply(said: list[dict[str, str]]) -> bytes:
    found = re.search(r"f(\d+)\(", said[0]["content"])
    number = int(found[1]) if found else 0
    text = draft(program(number, right=number % 2 == 1 or len(said) > 1))
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    body = json.dumps({"id": "x", "model": "m", "choices": [choice], "usage": usage}).encode()
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def server() -> AsyncIterator[str]:
    """Yield the URL of the server in a child process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "serve"), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    port = (await process.stdout.readline()).decode().strip()
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        await process.wait()


async def bare(url: str) -> float:
    """Return the seconds that a bare client needs for the same number of requests."""
    asked = [*range(1, TASKS + 1), *range(2, TASKS + 1, 2)]
    slots = asyncio.Semaphore(AT_ONCE)
    started = time.perf_counter()
    async with httpx.AsyncClient(timeout=60) as client:

        async def one(number: int) -> None:
            body = {"messages": [{"role": "user", "content": f"Write f{number}(x)."}]}
            async with slots:
                await client.post(f"{url}/chat/completions", json=body)

        await asyncio.gather(*(one(number) for number in asked))
    return time.perf_counter() - started


async def grading(tasks: Benchmark, folder: Path) -> float:
    """Return the seconds that grading the same programs takes."""
    samples = [
        Sample(name, program(n, right))
        for n, name in enumerate(tasks.tasks, 1)
        for right in ((True,) if n % 2 else (False, True))
    ]
    workers = len(os.sched_getaffinity(0))
    started = time.perf_counter()
    async with open_sandbox(
        DEFAULT_SANDBOX, concurrency=RUNS_A_WORKER * workers, preload="numpy", modules=MODULES
    ) as sandbox:
        log = Journal(folder / "graded", {}, "")
        log.open()
        await grade_samples(sandbox, tasks, samples, log, GradingOptions(workers=workers))
        log.close()
    return time.perf_counter() - started


async def evaluated(tasks: Benchmark, url: str, path: Path) -> float:
    """Return the seconds of a whole evaluation."""
    settings = Settings(models={"coder": f"openai:m@{url}"}, limits=Limits(turns=TURNS))
    header = Header(
        benchmark=tasks.name,
        sha256=tasks.sha256,
        protocol="held-out",
        settings=settings,
        arms=arms_named(["none", "execution"]),
    )
    folder, work = Folder(path), Work(concurrency=AT_ONCE)
    started = time.perf_counter()
    evaluation = await prepare(folder, tasks, header, list(tasks.tasks), work)
    await run(folder, evaluation, work, lambda ended: None)
    found = await score(folder, tasks, work)
    taken = time.perf_counter() - started
    assert found.arms[1].pass_at_1["held-out"][-1].value == 1.0
    return taken


async def compare(folder: Path) -> None:
    """Print the ratio of an evaluation to the larger one of its parts."""
    tasks = benchmark()
    ratios, parts = [], []
    async with server() as url:
        for _ in range(ROUNDS):
            place = Path(tempfile.mkdtemp(dir=folder))
            asked, graded = await bare(url), await grading(tasks, place)
            whole = await evaluated(tasks, url, place)
            ratios.append(whole / max(asked, graded))
            parts.append(f"{whole:.1f} s beside {asked:.1f} s asked, {graded:.1f} s graded")
    print(
        f"evaluation: {statistics.median(ratios):.2f} of its larger part "
        f"({min(ratios):.2f} to {max(ratios):.2f}, goal {GOAL}); {'; '.join(parts)}",
        flush=True,
    )


class InstantModel:
    """Answers at once, with another program in each turn."""

    spec = "openai:m@http://127.0.0.1:1/v1"

    async def complete(self, request: Request) -> Response:
        """Return a program that names the request."""
        place = request.at
        return Response(text=draft(f"print({place.turn}, {id(request)})"), model="m")


class InstantRunner:
    """Every first program fails, every second one runs; the sandbox is measured elsewhere."""

    async def run(self, program: Program) -> Execution:
        """Return an error for a first turn's program."""
        if program.code.startswith("print(1,"):
            error = ExecutionError(name="ValueError", value="first", traceback="")
            return Execution(status="error", exit_code=1, error=error)
        return Execution(status="ok", exit_code=0)


async def overhead(folder: Path) -> None:
    """Print a batch's processor time a turn and the growth of the process in its second half."""
    settings = Settings(models={"coder": InstantModel.spec})
    jobs = (Job(f"t/{n}", task_seed({"prompt": f"Print {n}."}, settings)) for n in range(BATCH))
    turns, marks = 0, {}
    started = time.process_time()
    async with open_store(str(folder / "runs.sqlite")) as store:
        graph = build_graph({"coder": InstantModel()}, InstantRunner(), checkpointer=store.saver)
        async with aclosing(batch(store, graph, jobs, Plan())) as ends:
            done = 0
            async for finished in ends:
                done += 1
                turns += len(finished.run.record.turns)
                if done in (HALF, BATCH):
                    marks[done] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    taken = 1000 * (time.process_time() - started) / turns
    print(
        f"batch: {BATCH} tasks, {turns} turns, {taken:.1f} ms of processor time a turn "
        f"(goal {GOAL_MS:.0f}); at most {marks[HALF]:.0f} MiB after {HALF} tasks, "
        f"{marks[BATCH]:.0f} MiB after {BATCH}",
        flush=True,
    )


async def main() -> None:
    """Measure both."""
    with tempfile.TemporaryDirectory() as folder:
        await overhead(Path(folder))
        await compare(Path(folder))


if __name__ == "__main__":
    asyncio.run(serve() if sys.argv[1:] == ["serve"] else main())
