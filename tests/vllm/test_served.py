"""SmolLM2 on a supervised vLLM server, over its OpenAI API."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.graph.runs import advance, create_run, open_run
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.tools.errors import ContextOverflow, ModelError
from opencodeinterpreter.tools.models.endpoint import Endpoint, OpenAIModel, open_chat
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.structured import Way, object_in
from opencodeinterpreter.tools.models.vllm.options import vllm_options
from opencodeinterpreter.tools.models.vllm.served import ServedModel, Server
from opencodeinterpreter.tools.runner import SandboxRunner
from opencodeinterpreter.tools.sandbox.local.sandbox import open_local_sandbox
from tests.vllm.asking import (
    IS_EVEN,
    VERDICT,
    WORDS,
    FailingRunner,
    cached,
    children,
    drive,
    request,
    settings,
    texts,
)
from tests.vllm.conftest import SMOLLM2

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENT = ModelOptions(timeout_seconds=900, attempt_seconds=600, retries=4)


def endpoint(server: Server) -> Endpoint:
    return Endpoint("openai:smollm2", server.name, server.url, SecretStr(server.key), False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(smollm2_folder: Path) -> AsyncIterator[Server]:
    # In bfloat16, rounding depends on which part of a prompt was cached, and greedy text on it.
    options = vllm_options(str(smollm2_folder), {**SMOLLM2, "dtype": "float32"})
    server = Server("vllm-serve:smollm2", options)
    async with server.running():
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model(server: Server) -> AsyncIterator[ServedModel]:
    async with open_chat(endpoint(server), PATIENT) as chat:
        yield ServedModel(chat, endpoint(server), PATIENT, server)


async def test_the_graph_solves_a_task(model: ServedModel) -> None:
    async with open_local_sandbox() as sandbox:
        graph = build_graph({"coder": model}, SandboxRunner(sandbox))
        record = await drive(graph, settings(model.spec, turns=2, tokens=256), IS_EVEN)
    assert record.solved, record.turns[-1].verdict


@pytest.mark.parametrize("way", ["schema", "tool", "words"])
async def test_a_bound_answer_can_be_had_in_each_way(way: Way, server: Server) -> None:
    asked = 'Is 2 even? Answer with a JSON object like {"solved": true, "kind": "none"}.'
    async with open_chat(endpoint(server), PATIENT) as chat:
        one = type("InOneWay", (OpenAIModel,), {"ways": (way,)})(chat, endpoint(server), PATIENT)
        said = await one.complete(request(asked, tokens=80, json_schema=VERDICT))
    found = object_in(said.text)
    assert found is not None and "solved" in found
    if way == "schema":
        assert set(json.loads(said.text)) == {"solved", "kind"}


async def test_an_overlong_prompt_is_an_overflow_and_a_short_context_a_cut(
    model: ServedModel,
) -> None:
    with pytest.raises(ContextOverflow, match="maximum context length"):
        await model.complete(request("word " * 4200))
    cut = await model.complete(request("word " * 3900, tokens=2000))
    assert cut.finish in ("context", "stop")


async def test_each_turn_finds_more_of_its_prompt_in_the_cache(model: ServedModel) -> None:
    graph = build_graph({"coder": model}, FailingRunner())
    record = await drive(graph, settings(model.spec, turns=3, tokens=96), WORDS)
    hits = cached(record)[1:]
    assert hits == sorted(hits) and hits[-1] > hits[0] >= 0


async def test_cancelling_a_call_aborts_it_in_the_server(
    model: ServedModel, server: Server
) -> None:
    calls = [
        asyncio.create_task(model.complete(request("Count to a thousand.", 1500, temperature=1)))
        for _ in range(4)
    ]
    await until(server, lambda running: running > 0, 120)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    # Left alone, an answer of 1,500 tokens takes longer than this.
    await until(server, lambda running: running == 0, 15)


async def until(server: Server, reached: Callable[[int], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not reached(await running_requests(server)):  # noqa: ASYNC110 - the server counts
            await asyncio.sleep(0.2)


async def running_requests(server: Server) -> int:
    host, _, port = server.url.removeprefix("http://").removesuffix("/v1").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    lines = (await reader.read()).decode().splitlines()
    writer.close()
    (found,) = [line for line in lines if line.startswith("vllm:num_requests_running")]
    return int(float(found.split()[-1]))


async def test_a_server_killed_in_mid_run_is_started_again_and_the_run_ends_as_undisturbed(
    model: ServedModel, server: Server, tmp_path: Path
) -> None:
    """With the supervisor the run continues; without it, the run fails and resumes."""
    chosen = settings(model.spec, turns=3, tokens=200)
    async with (
        open_store(str(tmp_path / "runs.sqlite")) as store,
        open_chat(endpoint(server), ModelOptions(retries=0)) as chat,
    ):
        watched = build_graph({"coder": model}, FailingRunner(), checkpointer=store.saver)
        alone = OpenAIModel(chat, endpoint(server), ModelOptions(retries=0))
        plain = build_graph({"coder": alone}, FailingRunner(), checkpointer=store.saver)
        rows = [await create_run(store, task_seed(WORDS, chosen)) for _ in range(3)]
        undisturbed = await advance(store, watched, rows[0])
        going = [
            asyncio.create_task(advance(store, graph, row))
            for graph, row in ((watched, rows[1]), (plain, rows[2]))
        ]
        while not (await open_run(store, rows[2].id)).record.turns:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        for process in children(os.getpid(), "VLLM::EngineCore"):
            if os.getpgid(process) == server.pid:
                os.kill(process, signal.SIGKILL)
        carried, failed = await asyncio.gather(*going, return_exceptions=True)
        assert isinstance(failed, ModelError) and "openai:smollm2" in str(failed)
        assert not isinstance(carried, BaseException)
        resumed = await advance(store, plain, rows[2])
    assert server.starts == 2
    assert texts(carried.record) == texts(resumed.record) == texts(undisturbed.record)
