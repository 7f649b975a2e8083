"""The OpenAI client against the scripted server: answers, faults, streaming."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypedDict

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.graph import END, START, StateGraph
from pydantic import SecretStr

from opencodeinterpreter.testing.openai_server import (
    GARBAGE,
    NO_CHOICES,
    OVERFLOW,
    Hangup,
    OpenAIServer,
    Raw,
    Refusal,
    Reply,
    Silence,
    Step,
)
from opencodeinterpreter.tools.errors import ModelError
from opencodeinterpreter.tools.models.endpoint import OPENAI_URL, Endpoint, OpenAIModel
from opencodeinterpreter.tools.models.langchain_model import LangChainModel
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import (
    Message,
    Model,
    Position,
    Request,
    Response,
    Sampling,
    Usage,
)

PATIENT = ModelOptions(timeout_seconds=60, attempt_seconds=30, retries=2)


def request(text: str = "hello", **more: Any) -> Request:
    messages = (Message(role="system", content="be brief"), Message(role="user", content=text))
    return Request(messages=messages, at=Position(turn=1, role="coder", number=1), **more)


@asynccontextmanager
async def served(
    script: Sequence[Step], options: ModelOptions = PATIENT
) -> AsyncIterator[tuple[Model, OpenAIServer]]:
    async with OpenAIServer(script) as server:
        specs: Mapping[Any, str] = {"coder": f"openai:tiny@{server.url}"}
        async with open_models(specs, options) as models:
            yield models["coder"], server


async def ask(*script: Step, options: ModelOptions = PATIENT) -> Response:
    async with served(script, options) as (model, _):
        return await model.complete(request())


async def failure(*script: Step, options: ModelOptions = PATIENT) -> tuple[str, int]:
    """Return the error's text and how many requests reached the server."""
    async with served(script, options) as (model, server):
        with pytest.raises(ModelError) as caught:
            await model.complete(request())
        return str(caught.value), len(server.requests)


@pytest.fixture(autouse=True, scope="module")
def imported() -> None:
    """Import the client once, so that tests can measure time."""
    import langchain_openai  # noqa: F401


async def test_an_answer_has_model_usage_and_finish_reason() -> None:
    response = await ask(Reply("two words", cached_tokens=3))
    assert response.text == "two words"
    assert (response.model, response.finish, response.attempts) == ("tiny", "stop", 1)
    assert response.usage == Usage(input_tokens=7, output_tokens=2, cached_tokens=3)
    assert response.seconds > 0


async def test_unknown_usage_is_none_and_a_cut_answer_has_finish_length() -> None:
    response = await ask(Reply("", finish="length", usage=False))
    assert (response.text, response.finish, response.usage) == ("", "length", None)


async def test_the_request_carries_sampling_and_schema() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    sampling = Sampling(temperature=0.5, top_p=0.9, max_tokens=33, seed=4)
    async with served(["{}"]) as (model, server):
        await model.complete(request(sampling=sampling, json_schema=schema))
        await model.complete(request(sampling=Sampling(temperature=None)))
    first, second = (received.body for received in server.requests)
    assert first["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hello"},
    ]
    wanted = {"model": "tiny", "temperature": 0.5, "top_p": 0.9, "max_tokens": 33, "seed": 4}
    assert wanted.items() <= first.items()
    assert first["response_format"]["json_schema"]["schema"] == schema
    assert first["response_format"]["json_schema"]["strict"] is True
    assert not {"temperature", "top_p", "seed", "max_completion_tokens", "n"} & second.keys()


@pytest.mark.parametrize(
    "fault",
    [
        Refusal(429, retry_after=0.01),
        Refusal(500),
        Refusal(503),
        Hangup(),
        Reply("", finish=None),
    ],
)
async def test_a_transient_fault_is_retried(fault: Step) -> None:
    response = await ask(fault, "well")
    assert (response.text, response.attempts) == ("well", 2)


async def test_silence_is_retried() -> None:
    options = ModelOptions(timeout_seconds=60, attempt_seconds=1, retries=2)
    response = await ask(Silence(), "well", options=options)
    assert (response.text, response.attempts) == ("well", 2)


async def test_retry_after_is_honoured() -> None:
    assert (await ask(Refusal(429, retry_after=1.2), "well")).seconds >= 1.2


async def test_a_wait_beyond_the_deadline_ends_the_call_at_once() -> None:
    text, requests = await failure(Refusal(429, "slow down", retry_after=3600))
    assert requests == 1
    assert "429" in text and "slow down" in text and "3600 s" in text


async def test_the_error_after_all_retries_names_model_status_and_remedy() -> None:
    text, requests = await failure(Refusal(500, "engine died"))
    assert requests == 3
    assert "openai:tiny@http://127.0.0.1" in text
    assert "HTTP 500: engine died after 3 attempts" in text and "resume" in text


async def test_the_deadline_holds_for_a_silent_server() -> None:
    options = ModelOptions(timeout_seconds=1, attempt_seconds=30, retries=5)
    text, _ = await failure(Silence(), options=options)
    assert "no answer within 1 s" in text


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (OVERFLOW, "longer than the model's context"),
        (Refusal(400, "bad temperature"), "bad temperature.*sampling"),
        (Refusal(401, "who are you"), "API key"),
        (Refusal(404, "no such model"), "model's name and the URL"),
        (Refusal(307, "elsewhere"), "redirect"),
        (Refusal(429, "pay first", code="insufficient_quota"), "pay first"),
        (GARBAGE, "invalid answer"),
        (NO_CHOICES, "invalid answer"),
        (Raw("<html>hello</html>", "text/html"), "invalid answer"),
        (Raw('{"error": {"message": "inner trouble"}}'), "inner trouble"),
        (Raw('{"choices": [{"index": 0, "finish_reason": "stop"}]}'), "invalid answer"),
    ],
)
async def test_a_permanent_fault_is_reported_at_once(refusal: Step, words: str) -> None:
    text, requests = await failure(refusal)
    assert requests == 1
    assert re.search(words, text), text


async def test_no_server_is_a_clear_error() -> None:
    async with OpenAIServer() as server:
        url = server.url
    options = ModelOptions(timeout_seconds=30, retries=1)
    async with open_models({"coder": f"openai:m@{url}"}, options) as models:
        with pytest.raises(ModelError, match="after 2 attempts; check that the server runs"):
            await models["coder"].complete(request())


async def test_a_null_content_is_an_empty_answer_and_a_refusal_is_its_text() -> None:
    def body(message: dict[str, Any]) -> Raw:
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
        return Raw(json.dumps({"model": "tiny", "choices": [choice]}))

    assert (await ask(body({"content": None}))).text == ""
    refused = await ask(body({"content": None, "refusal": "I won't."}))
    assert (refused.text, refused.finish) == ("I won't.", "refusal")


def odd(finish: object = "stop", model: object = "tiny", **usage: object) -> Raw:
    """Return an answer with fields that no server should send."""
    message = {"role": "assistant", "content": "well"}
    choice = {"index": 0, "finish_reason": finish, "message": message}
    counts = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, **usage}
    return Raw(json.dumps({"model": model, "choices": [choice], "usage": counts}))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (odd(model=5), "model is 5"),
        (odd(finish=5), "finish is 5"),
        (odd(finish=["stop"]), "finish"),
    ],
)
async def test_an_answer_with_an_invalid_field_is_a_model_error(answer: Raw, words: str) -> None:
    said, requests = await failure(answer)
    assert "invalid answer" in said and words in said
    assert requests == 1


@pytest.mark.parametrize("count", ["many", 1.5, 10**30, -(10**6), [], {}, 2**63])
async def test_an_answer_with_an_impossible_token_count_has_unknown_usage(
    count: object,
) -> None:
    response = await ask(odd(prompt_tokens=count))
    assert (response.text, response.usage) == ("well", None)


async def test_cancelling_a_call_ends_its_connection() -> None:
    async with served([Silence()]) as (model, server):
        task = asyncio.create_task(model.complete(request()))
        await server.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(20):
            await server.abandoned.wait()


async def test_roles_of_one_spec_share_a_model() -> None:
    async with OpenAIServer() as server:
        one, two = f"openai:a@{server.url}", f"openai:b@{server.url}"
        specs: Mapping[Any, str] = {"coder": one, "critic": one, "judge": two}
        async with open_models(specs) as models:
            assert models["coder"] is models["critic"]
            assert [models[role].spec for role in ("coder", "judge")] == [one, two]


async def test_nothing_blocks_the_event_loop(blockbuster: BlockBuster) -> None:
    assert (await ask(Refusal(500), "well")).text == "well"


@pytest.fixture
def blockbuster() -> Iterator[BlockBuster]:
    with blockbuster_ctx() as active:
        yield active


class _State(TypedDict, total=False):
    text: str


async def streamed(model: Model) -> tuple[str, str]:
    """Return what a node got and what `stream_mode="messages"` streamed."""

    async def node(state: _State) -> _State:
        return {"text": (await model.complete(request())).text}

    graph = StateGraph(_State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    graph.add_edge("node", END)
    shown: list[str] = []
    got: list[str] = []
    part: Any
    async for mode, part in graph.compile().astream({}, stream_mode=["messages", "values"]):
        if mode == "messages":
            shown.append(part[0].text)
        else:
            got.append(part.get("text", ""))
    return got[-1], "".join(shown)


async def test_tokens_reach_a_graphs_message_stream() -> None:
    async with served([Reply("one two three", cached_tokens=1)]) as (model, server):
        assert await streamed(model) == ("one two three", "one two three")
    assert server.requests[0].body["stream"] is True
    assert server.requests[0].body["stream_options"] == {"include_usage": True}


async def test_an_answer_that_breaks_off_in_mid_stream_is_retried() -> None:
    async with served([Hangup(after=2), "well again"]) as (model, server):
        got, shown = await streamed(model)
    assert got == "well again" and shown.endswith("well again")
    assert len(server.requests) == 2


async def test_a_stream_without_finish_reason_and_end_marker_is_retried() -> None:
    async with served([Reply("half", finish=None, done=False), "whole"]) as (model, _):
        assert (await streamed(model))[0] == "whole"


async def test_any_langchain_model_can_be_used() -> None:
    chat = GenericFakeChatModel(messages=iter([AIMessage("hi")]))
    response = await LangChainModel(chat, spec="fake").complete(request())
    assert (response.text, response.model, response.finish) == ("hi", "fake", "unknown")
    assert response.usage is None


async def test_a_langchain_model_that_raises_is_a_model_error() -> None:
    chat = GenericFakeChatModel(messages=iter([]))
    with pytest.raises(ModelError, match="model fake: "):
        await LangChainModel(chat, spec="fake").complete(request())


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (OPENAI_URL, "max_completion_tokens"),
        ("http://api.openai.com/v1", "max_tokens"),
        ("https://api.openai.com.example.org/v1", "max_tokens"),
    ],
)
def test_only_openai_gets_its_newer_name_for_the_token_limit(url: str, name: str) -> None:
    chat = GenericFakeChatModel(messages=iter([]))
    model = OpenAIModel(chat, Endpoint("openai:m", "m", url, SecretStr("none")), PATIENT)
    assert model.arguments(request(sampling=Sampling(max_tokens=9)))["extra_body"] == {name: 9}
