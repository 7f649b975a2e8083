"""The overhead of the graph and the chat model over bare clients, as ratios.

python bench/models.py                 all that needs no vLLM
python bench/models.py vllm FOLDER     also with vLLM and the model in that folder
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.execution import Execution, ExecutionError
from opencodeinterpreter.tools.models.endpoint import Endpoint, OpenAIModel, open_chat
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import (
    Message,
    Model,
    Position,
    Request,
    Sampling,
)
from opencodeinterpreter.tools.program import Program

RUNS, TURNS, DELAY = 32, 3, 4.0
ENGINE: dict[str, Any] = {
    "dtype": "bfloat16",
    "enforce_eager": True,
    "kv_cache_memory_bytes": 512 * 2**20,
    "max_model_len": 2048,
}

Timed = Callable[[], Awaitable[float]]


class InstantRunner:
    """Every program fails at once with a different error; the sandbox is measured elsewhere."""

    def __init__(self) -> None:
        self.ran = 0

    async def run(self, program: Program) -> Execution:
        """Return a new error."""
        self.ran += 1
        error = ExecutionError(name="ValueError", value=str(self.ran), traceback="")
        return Execution(status="error", exit_code=1, error=error)


async def serve(delay: float) -> None:
    """Answer every chat request after `delay` seconds, over connections that stay open."""
    answer = {"role": "assistant", "content": "```python\nprint(1)\n```"}
    choice = {"index": 0, "finish_reason": "stop", "message": answer}
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    body = json.dumps({"id": "x", "model": "m", "choices": [choice], "usage": usage}).encode()
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )

    async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
                length = next(int(x[15:]) for x in lines if x.startswith("content-length:"))
                await reader.readexactly(length)
                await asyncio.sleep(delay)
                writer.write(head.encode() + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer_all, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def request(text: str, tokens: int = 64) -> Request:
    """Return a request of one message."""
    return Request(
        messages=(Message(role="user", content=text),),
        sampling=Sampling(temperature=0.8, seed=1, max_tokens=tokens),
        at=Position(turn=1, role="coder", number=1),
    )


async def compare(repetitions: int, bare: Timed, ours: Timed) -> str:
    """Measure both alternately; return the median ratio of ours to bare, and its range."""
    await bare()
    await ours()
    ratios = []
    for number in range(repetitions):
        first, second = (bare, ours) if number % 2 == 0 else (ours, bare)
        times = {first: await first(), second: await second()}
        ratios.append(times[ours] / times[bare])
    middle, least, most = statistics.median(ratios), min(ratios), max(ratios)
    return f"{middle:.3f} ({least:.3f} to {most:.3f}, {repetitions} repetitions)"


async def orchestration(url: str) -> str:
    """Compare 32 runs of 3 turns with a client that only sends the same number of requests."""
    spec = f"openai:m@{url}"
    settings = Settings.model_validate({"models": {"coder": spec}, "limits": {"turns": TURNS}})
    async with open_models({"coder": spec}) as models, httpx.AsyncClient(timeout=60) as client:
        graph = build_graph(models, InstantRunner())

        async def run(number: int) -> None:
            seed: Any = task_seed({"prompt": f"Print {number}."}, settings)
            done = await graph.ainvoke(seed)
            assert len(done["turns"]) == TURNS

        async def asked(number: int) -> None:
            for turn in range(TURNS):
                said = [{"role": "user", "content": f"Print {number}. {turn}"}]
                await client.post(f"{url}/chat/completions", json={"messages": said})

        return await compare(3, lambda: together(asked), lambda: together(run))


async def together(one: Callable[[int], Awaitable[None]]) -> float:
    """Return the seconds that 32 concurrent calls take."""
    started = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(RUNS)))
    return time.perf_counter() - started


async def chat_model(url: str, requests: int = 256) -> str:
    """Compare the CPU time per request of our model and of httpx, 32 at once."""
    async with open_models({"coder": f"openai:m@{url}"}) as models, httpx.AsyncClient() as client:

        async def ours(number: int) -> None:
            await models["coder"].complete(request(f"Print {number}."))

        async def bare(number: int) -> None:
            said = [{"role": "user", "content": f"Print {number}."}]
            wanted = {"model": "m", "messages": said, "temperature": 0.8, "max_tokens": 64}
            (await client.post(f"{url}/chat/completions", json=wanted)).json()

        async def used(one: Callable[[int], Awaitable[None]]) -> float:
            started = time.process_time()
            for start in range(0, requests, RUNS):
                await asyncio.gather(*(one(n) for n in range(start, start + RUNS)))
            return time.process_time() - started

        return await compare(7, lambda: used(bare), lambda: used(ours))


async def served(folder: str) -> str:
    """Compare tokens per second of 32 runs and of a bare client, on a vLLM server."""
    from pydantic import SecretStr

    from opencodeinterpreter.tools.models.vllm.options import vllm_options
    from opencodeinterpreter.tools.models.vllm.served import Server

    server = Server("vllm-serve:m", vllm_options(folder, ENGINE))
    endpoint = Endpoint("vllm-serve:m", server.name, server.url, SecretStr(server.key), False)
    options = ModelOptions(attempt_seconds=600)
    headers = {"Authorization": f"Bearer {server.key}"}
    async with (
        server.running(),
        open_chat(endpoint, options) as chat,
        httpx.AsyncClient(timeout=600, headers=headers) as client,
    ):
        model = OpenAIModel(chat, endpoint, options)

        async def bare(text: str) -> int:
            said = {"model": server.name, "messages": [{"role": "user", "content": text}]}
            wanted = {**said, "temperature": 0.8, "seed": 1, "max_tokens": 64}
            reply = await client.post(f"{server.url}/chat/completions", json=wanted)
            tokens: int = reply.json()["usage"]["completion_tokens"]
            return tokens

        return await compare(5, lambda: per_token(bare), lambda: per_token(tokens_of(model)))


async def in_process(folder: str) -> str:
    """Compare our model with the engine driven directly, at 32 requests at once."""
    from opencodeinterpreter.tools.models.vllm.chat import ChatVLLM
    from opencodeinterpreter.tools.models.vllm.engine import open_engine
    from opencodeinterpreter.tools.models.vllm.model import VLLMModel
    from opencodeinterpreter.tools.models.vllm.options import vllm_options

    async with open_engine("vllm:m", vllm_options(folder, ENGINE)) as engine:
        model = VLLMModel(ChatVLLM(engine=engine, model="m"), spec="vllm:m")

        async def direct() -> float:
            # The same engine, called directly from its own event loop.
            there = asyncio.run_coroutine_threadsafe(driven(engine._llm), engine._loop)
            return await asyncio.wrap_future(there)

        return await compare(5, direct, lambda: per_token(tokens_of(model)))


async def driven(llm: Any) -> float:
    """Return the seconds per token if vLLM's engine is called directly."""
    from vllm.sampling_params import RequestOutputKind, SamplingParams  # pyright: ignore[reportMissingImports]

    tokenizer = llm.get_tokenizer()

    async def ask(text: str) -> int:
        said = [{"role": "user", "content": text}]
        ids = tokenizer.apply_chat_template(said, add_generation_prompt=True, return_dict=False)
        sampling = SamplingParams(
            temperature=0.8, seed=1, max_tokens=64, output_kind=RequestOutputKind.FINAL_ONLY
        )
        made = llm.generate({"prompt_token_ids": ids}, sampling, uuid.uuid4().hex)
        return sum([len(output.outputs[0].token_ids) async for output in made])

    return await per_token(ask)


def tokens_of(model: Model) -> Callable[[str], Awaitable[int]]:
    """Return a function that asks `model` and returns the number of output tokens."""

    async def ask(text: str) -> int:
        usage = (await model.complete(request(text))).usage
        return usage.output_tokens if usage else 0

    return ask


async def per_token(ask: Callable[[str], Awaitable[int]]) -> float:
    """Return the seconds per token, 32 requests at once."""
    started = time.perf_counter()
    asked = (ask(f"Print the number {number}.") for number in range(RUNS))
    tokens = sum(await asyncio.gather(*asked))
    return (time.perf_counter() - started) / tokens


def measured(delay: float, measure: Callable[[str], Awaitable[str]]) -> str:
    """Run `measure` against a server in another process."""
    command = [sys.executable, __file__, "serve", str(delay)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
            return asyncio.run(_awaited(measure(url)))
        finally:
            server.kill()


async def _awaited(found: Awaitable[str]) -> str:
    return await found


def main() -> None:
    """Print one ratio per line, with its limit."""
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(float(sys.argv[2])))
        return
    print(f"32 runs of 3 turns, answers after 4 s, wall: {measured(DELAY, orchestration)} of 1.05")
    print(f"a request of the chat model, processor: {measured(0.0, chat_model)} of 2.2")
    if sys.argv[1:2] == ["vllm"]:
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        print(f"seconds a token, served by vLLM: {asyncio.run(served(sys.argv[2]))}")
        print(f"seconds a token, vLLM in process: {asyncio.run(in_process(sys.argv[2]))} of 1.11")
    else:
        print("vLLM: not measured; name a model's folder: bench/models.py vllm FOLDER")


if __name__ == "__main__":
    main()
