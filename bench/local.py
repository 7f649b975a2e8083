"""What `local:` costs beside bare llama.cpp on the same file: tokens a second, measured in turns.

python bench/local.py [NAME]           a catalogue model, by default qwen2.5-coder-0.5b

Bare llama.cpp is its Python binding called directly from threads, without HTTP and without a
client, with as many slots as there are answers at once, all cores and no spinning.
"""

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from opencodeinterpreter.tools.models.llama.catalogue import CATALOGUE
from opencodeinterpreter.tools.models.llama.fetching import fetch_model
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.models.protocol import Message, Position, Request, Sampling

AT_ONCE = (1, 4, 8)
ROUNDS = 5
TOKENS = 96
CONTEXT = 2048
GOAL = 0.95

Rate = Callable[[list[str]], Awaitable[float]]
"""Takes prompts that are asked at once; returns the tokens a second of all answers together."""


def prompts(number: int, at_once: int) -> list[str]:
    """Return prompts that no earlier round asked, so that the prompt cache helps nobody."""
    return [
        f"{number}.{place}: write a Python class for a bank account with deposit, withdraw, "
        "transfer and a history of transactions, with docstrings and examples."
        for place in range(at_once)
    ]


def serve_bare() -> None:
    """Answer lines of JSON prompts on stdin with tokens a second on stdout."""
    import xllamacpp

    params: Any = xllamacpp.CommonParams()  # pyright: ignore[reportAttributeAccessIssue]
    params.model.path = sys.argv[2]
    params.n_parallel = max(AT_ONCE)
    params.n_ctx = params.n_parallel * CONTEXT
    for cores in (params.cpuparams, params.cpuparams_batch):
        cores.n_threads = len(os.sched_getaffinity(0))
        cores.poll = 0
    params.verbosity = 1
    server: Any = xllamacpp.Server(params)  # pyright: ignore[reportAttributeAccessIssue]

    def tokens(prompt: str) -> int:
        said = [{"role": "user", "content": prompt}]
        wanted = {"messages": said, "max_tokens": TOKENS, "temperature": 0.0}
        usage: Any = server.handle_chat_completions(wanted)["usage"]
        return int(usage["completion_tokens"])

    print("ready", flush=True)
    with ThreadPoolExecutor(max(AT_ONCE)) as pool:
        for line in sys.stdin:
            started = time.perf_counter()
            total = sum(pool.map(tokens, json.loads(line)))
            print(total / (time.perf_counter() - started), flush=True)
    os._exit(0)


@asynccontextmanager
async def bare(path: str) -> AsyncIterator[Rate]:
    """Yield the rate of bare llama.cpp in a child process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "bare", path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
    )
    assert process.stdin and process.stdout
    told, heard = process.stdin, process.stdout
    await heard.readline()

    async def rate(asked: list[str]) -> float:
        told.write(json.dumps(asked).encode() + b"\n")
        return float(await heard.readline())

    try:
        yield rate
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def ours(name: str) -> AsyncIterator[Rate]:
    """Yield the rate of `local:name`."""
    async with open_models({"coder": f"local:{name}"}) as models:

        async def tokens(prompt: str) -> int:
            asked = Request(
                messages=(Message(role="user", content=prompt),),
                sampling=Sampling(max_tokens=TOKENS),
                at=Position(turn=1, role="coder", number=1),
            )
            usage = (await models["coder"].complete(asked)).usage
            assert usage
            return usage.output_tokens

        async def rate(asked: list[str]) -> float:
            started = time.perf_counter()
            total = sum(await asyncio.gather(*(tokens(prompt) for prompt in asked)))
            return total / (time.perf_counter() - started)

        yield rate


async def main(name: str) -> None:
    """Print the ratios at each number of answers at once."""
    path = await fetch_model(CATALOGUE[name])
    async with bare(str(path)) as one, ours(name) as other:
        await one(prompts(-1, 1))
        await other(prompts(-1, 1))
        for at_once in AT_ONCE:
            await compare(name, at_once, one, other)


async def compare(name: str, at_once: int, one: Rate, other: Rate) -> None:
    """Measure both in turns and print the median ratio, its range, and both medians."""
    rates: dict[Rate, list[float]] = {one: [], other: []}
    for number in range(ROUNDS):
        for side in (one, other) if number % 2 == 0 else (other, one):
            rates[side].append(await side(prompts(number, at_once)))
    ratios = [b / a for a, b in zip(rates[one], rates[other], strict=True)]
    load = os.getloadavg()[0]
    print(
        f"local:{name}, {at_once} at once: {statistics.median(ratios):.2f} of bare llama.cpp "
        f"({min(ratios):.2f} to {max(ratios):.2f}, {ROUNDS} rounds, goal {GOAL}); "
        f"{statistics.median(rates[other]):.1f} and {statistics.median(rates[one]):.1f} tokens/s, "
        f"load {load:.1f}",
        flush=True,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        serve_bare()
    else:
        asyncio.run(main(*sys.argv[1:] or ["qwen2.5-coder-0.5b"]))
