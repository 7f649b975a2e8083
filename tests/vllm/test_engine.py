"""The engine in this process, with a tiny model of random weights: protocol, load, faults."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.graph.runs import advance, create_run, open_run
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.nodes.judge import Opinion
from opencodeinterpreter.tools.errors import ContextOverflow, InputError, ModelError
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.structured import object_in
from opencodeinterpreter.tools.models.vllm.chat import ChatVLLM
from opencodeinterpreter.tools.models.vllm.engine import Engine
from opencodeinterpreter.tools.models.vllm.model import VLLMModel
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import trace_of
from tests.vllm.asking import (
    VERDICT,
    WORDS,
    FailingRunner,
    children,
    drive,
    request,
    settings,
    texts,
)

PATIENT = ModelOptions(timeout_seconds=900, attempt_seconds=900, retries=0)


@pytest.fixture
def chat(tiny: Engine) -> ChatVLLM:
    return ChatVLLM(engine=tiny, model="tiny", temperature=0)


@pytest.fixture
def model(chat: ChatVLLM) -> VLLMModel:
    return VLLMModel(chat, spec="vllm:tiny", options=PATIENT)


async def test_an_answer_comes_with_usage_and_finish(model: VLLMModel) -> None:
    response = await model.complete(request(tokens=20))
    assert (response.model, response.finish) == ("tiny", "length")
    assert response.usage and response.usage.output_tokens == 20
    assert response.usage.input_tokens > 5 and response.usage.cost is None


async def test_the_same_request_gets_the_same_text_alone_and_beside_others(
    model: VLLMModel,
) -> None:
    asked = [request(), request(temperature=1, seed=1), request(temperature=1, seed=2)]
    alone = [(await model.complete(one)).text for one in asked]
    together = await asyncio.gather(*(model.complete(one) for one in asked * 3))
    assert [answer.text for answer in together] == alone * 3
    assert alone[1] != alone[2]


async def test_a_stream_says_the_same_piece_by_piece(chat: ChatVLLM) -> None:
    whole = await chat.ainvoke("hello", temperature=1, seed=3, max_tokens=40)
    chunks = [chunk async for chunk in chat.astream("hello", temperature=1, seed=3, max_tokens=40)]
    assert "".join(str(chunk.text) for chunk in chunks) == str(whole.text)
    assert len(chunks) > 10
    assert [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    assert sum(chunks[1:], start=chunks[0]).usage_metadata == {
        **(whole.usage_metadata or {}),
        "input_token_details": chunks[-1].usage_metadata["input_token_details"],  # type: ignore[index]
    }


async def test_four_answers_count_their_prompt_once(chat: ChatVLLM) -> None:
    asked = [[HumanMessage("hello")]]
    made = await chat.agenerate(asked, n=4, temperature=1.0, max_tokens=8)  # type: ignore[arg-type]
    assert len({generation.text for generation in made.generations[0]}) > 1
    first: Any = made.generations[0][0]
    alone = await chat.ainvoke("hello", max_tokens=8)
    usage = first.message.usage_metadata
    assert alone.usage_metadata and usage["input_tokens"] == alone.usage_metadata["input_tokens"]
    assert usage["output_tokens"] == 32


async def test_stop_and_logprobs_are_obeyed(chat: ChatVLLM) -> None:
    told = (await chat.ainvoke("hello", max_tokens=30)).text
    stopped = await chat.ainvoke("hello", max_tokens=30, stop=[told[5]])
    assert stopped.text == told[: told.index(told[5])]
    assert stopped.response_metadata["finish_reason"] == "stop"
    likely = await chat.ainvoke("hello", max_tokens=3, logprobs=True, top_logprobs=2)
    content = likely.response_metadata["logprobs"]["content"]
    assert len(content) == 3
    assert content[0]["logprob"] == max(one["logprob"] for one in content[0]["top_logprobs"])


async def test_bound_answers_always_validate(model: VLLMModel) -> None:
    asked = [request(tokens=60, temperature=1, seed=n, json_schema=VERDICT) for n in range(24)]
    answers = await asyncio.gather(*(model.complete(one) for one in asked))
    found = [json.loads(answer.text) for answer in answers]
    assert all(set(one) == {"solved", "kind"} for one in found)
    assert {type(one["solved"]) for one in found} == {bool}


async def test_free_strings_validate_after_our_checks_or_say_that_they_were_cut(
    model: VLLMModel,
) -> None:
    """Constrained decoding lets raw control characters through, and can reach the limit."""
    schema = Opinion.model_json_schema()
    asked = [request(tokens=120, temperature=1, seed=n, json_schema=schema) for n in range(24)]
    answers = await asyncio.gather(*(model.complete(one) for one in asked))
    whole = [answer for answer in answers if answer.finish == "stop"]
    assert all(Opinion.model_validate(object_in(answer.text)) for answer in whole)
    assert all(answer.finish == "length" for answer in answers if answer not in whole)


async def test_a_schema_that_cannot_be_decoded_is_refused(model: VLLMModel) -> None:
    with pytest.raises(ModelError, match="vLLM refused the request"):
        await model.complete(request(json_schema={"type": "nonsense"}))


async def test_wrong_sampling_is_refused_with_vllms_words(chat: ChatVLLM) -> None:
    with pytest.raises(Exception, match="n must be 1"):
        await chat.ainvoke("hello", n=2, temperature=0)


async def test_an_overlong_prompt_is_an_overflow_and_a_short_context_a_cut(
    model: VLLMModel,
) -> None:
    with pytest.raises(ContextOverflow, match="maximum context length"):
        await model.complete(request("word " * 2500))
    assert (await model.complete(request("word " * 300, tokens=2000))).finish == "context"


async def test_a_run_that_outgrows_the_context_goes_on_with_fewer_turns(
    model: VLLMModel, tmp_path: Path
) -> None:
    chosen = settings("vllm:tiny", turns=9, tokens=256, temperature=1.0, seed=1)
    graph_of = FailingRunner()
    async with open_store(str(tmp_path / "runs.sqlite")) as store:
        graph = build_graph({"coder": model}, graph_of, checkpointer=store.saver)
        run = await advance(store, graph, await create_run(store, task_seed(WORDS, chosen)))
    calls = [turn.draft.call for turn in run.record.turns if turn.draft and turn.draft.call]
    assert len(calls) == 9 and calls[0].dropped == 0 and calls[-1].dropped > 0
    assert (await replay(trace_of(run))).identical


async def test_cancelling_a_call_aborts_it_in_the_engine(model: VLLMModel, tiny: Engine) -> None:
    asked = [request(tokens=1900, temperature=1, seed=n) for n in range(4)]
    calls = [asyncio.create_task(model.complete(one)) for one in asked]
    await until(tiny, 4)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await until(tiny, 0)


async def test_leaving_a_stream_aborts_it_in_the_engine(chat: ChatVLLM, tiny: Engine) -> None:
    stream = chat.astream("hello", temperature=1, max_tokens=1900)
    await anext(stream)
    assert await tiny.unfinished() == 1
    await stream.aclose()  # type: ignore[attr-defined]
    await until(tiny, 0)


async def until(engine: Engine, unfinished: int) -> None:
    async with asyncio.timeout(60):
        while await engine.unfinished() != unfinished:  # noqa: ASYNC110 - another process counts
            await asyncio.sleep(0.05)


async def test_thirty_two_runs_share_one_engine(model: VLLMModel, tiny: Engine) -> None:
    graph = build_graph({"coder": model}, FailingRunner())
    chosen = settings("vllm:tiny", turns=2, tokens=300, temperature=1.0, seed=1)
    tasks = [{"prompt": f"Print the number {n}."} for n in range(32)]
    runs = [asyncio.create_task(drive(graph, chosen, task)) for task in tasks]
    most = 0
    while not all(run.done() for run in runs):
        most = max(most, await tiny.unfinished())
        await asyncio.sleep(0.02)
    records = [run.result() for run in runs]
    assert {len(record.turns) for record in records} == {2}
    assert most > 16


async def test_a_tool_that_must_be_called_is(chat: ChatVLLM) -> None:
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    def negate(flag: bool) -> bool:
        """Turn a truth value round."""
        return not flag

    called = await chat.bind_tools([negate], tool_choice="negate").ainvoke("Not true?")
    (call,) = called.tool_calls
    assert call["name"] == "negate" and type(call["args"]["flag"]) is bool
    either = await chat.bind_tools([add, negate], tool_choice="any").ainvoke("Not?", max_tokens=99)
    assert len(either.tool_calls) + len(either.invalid_tool_calls) == 1
    with pytest.raises(ValueError, match="'sub' is not a tool; choose one of add"):
        chat.bind_tools([add], tool_choice="sub")


async def test_an_engine_killed_in_mid_run_is_one_clear_error_and_the_run_resumes_as_undisturbed(
    model: VLLMModel, tmp_path: Path
) -> None:
    chosen = settings("vllm:tiny", turns=3, tokens=400)
    async with open_store(str(tmp_path / "runs.sqlite")) as store:
        graph = build_graph({"coder": model}, FailingRunner(), checkpointer=store.saver)
        undisturbed = await advance(store, graph, await create_run(store, task_seed(WORDS, chosen)))
        row = await create_run(store, task_seed(WORDS, chosen))
        going = asyncio.create_task(advance(store, graph, row))
        while not (await open_run(store, row.id)).record.turns:  # noqa: ASYNC110 - the store knows
            await asyncio.sleep(0.1)
        for process in children(os.getpid(), "VLLM::EngineCore"):
            os.kill(process, signal.SIGKILL)
        with pytest.raises(ModelError, match=r"^model vllm:tiny: vLLM's engine died; .*resume"):
            await going
        failed = await open_run(store, row.id)
        assert failed.failure and (failed.failure.node, failed.failure.owner) == ("coder", "model")
        resumed = await advance(store, graph, row)
    assert texts(resumed.record) == texts(undisturbed.record)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"max_model_length": 100},
            "no engine option 'max_model_length'; did you mean max_model_l",
        ),
        ({"dtype": "nonsense"}, "rejects the model or an option: .*dtype"),
        ({"chat_template": "/none.jinja"}, "chat template /none.jinja cannot be read"),
    ],
)
async def test_a_wrong_option_is_refused(
    options: dict[str, object], words: str, tiny_folder: Path
) -> None:
    with pytest.raises(InputError, match=words):
        async with open_models({"coder": f"vllm:{tiny_folder}"}, ModelOptions(engine=options)):
            pass


async def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="vLLM rejects the model"):
        async with open_models({"coder": f"vllm:{tmp_path}"}):
            pass
