"""SmolLM2 with vLLM in this process: text, a solved task, cache hits in later turns."""

import json

import pytest

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.vllm.chat import ChatVLLM
from opencodeinterpreter.tools.models.vllm.engine import Engine
from opencodeinterpreter.tools.models.vllm.model import VLLMModel
from opencodeinterpreter.tools.runner import SandboxRunner
from opencodeinterpreter.tools.sandbox.local.sandbox import open_local_sandbox
from tests.vllm.asking import (
    IS_EVEN,
    VERDICT,
    WORDS,
    FailingRunner,
    cached,
    drive,
    request,
    settings,
)

PATIENT = ModelOptions(timeout_seconds=900, attempt_seconds=900, retries=0)


@pytest.fixture
def model(smollm2: Engine) -> VLLMModel:
    chat = ChatVLLM(engine=smollm2, model="smollm2")
    return VLLMModel(chat, spec="vllm:smollm2", options=PATIENT)


async def test_it_answers_in_words(model: VLLMModel) -> None:
    """Which words a model this small chooses depends on how a processor rounds."""
    said = await model.complete(request("What is the capital of France?", tokens=24))
    assert len(said.text.split()) > 3 and said.finish in ("stop", "length")
    assert said.usage and 0 < said.usage.output_tokens <= 24


async def test_a_bound_answer_obeys_its_schema(model: VLLMModel) -> None:
    asked = "Is `def two(): return 2` right? Answer with a JSON object."
    said = await model.complete(request(asked, tokens=60, json_schema=VERDICT))
    assert set(json.loads(said.text)) == {"solved", "kind"}


async def test_the_graph_solves_a_task(model: VLLMModel) -> None:
    async with open_local_sandbox() as sandbox:
        graph = build_graph({"coder": model}, SandboxRunner(sandbox))
        record = await drive(graph, settings("vllm:smollm2", turns=2, tokens=256), IS_EVEN)
    assert record.solved, record.turns[-1].verdict


async def test_each_turn_finds_more_of_its_prompt_in_the_cache(model: VLLMModel) -> None:
    graph = build_graph({"coder": model}, FailingRunner())
    record = await drive(graph, settings("vllm:smollm2", turns=4, tokens=160), WORDS)
    hits = cached(record)[1:]
    assert hits == sorted(hits) and hits[-1] > hits[0]  # in blocks of 128 tokens on a CPU
