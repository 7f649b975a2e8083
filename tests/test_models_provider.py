"""Providers of langchain's, with their variables set."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from opencodeinterpreter.testing.openai_server import OpenAIServer, Refusal, serve
from opencodeinterpreter.tools.errors import OpenCodeInterpreterError
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Message, Position, Request, Sampling

pytest.importorskip("langchain", reason="the extra `providers` is not installed here")
pytest.importorskip("langchain_deepseek", reason="langchain-deepseek is not installed here")

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", "usual-secret")
    monkeypatch.setenv("OWN_KEY", "own-secret")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    with serve(["two words"]) as serving:
        monkeypatch.setenv("DEEPSEEK_API_BASE", serving.url)
        yield serving


async def ask(spec: str, variable: str = "", schema: dict[str, Any] | None = None) -> str:
    """Return the response as JSON, or the error."""
    asked = Request(
        messages=(Message(role="user", content="x"),),
        sampling=Sampling(max_tokens=9, temperature=0.5),
        json_schema=schema,
        at=Position(turn=1, role="judge", number=1),
    )
    options = ModelOptions(key_variable=variable or None, retries=0)
    try:
        async with open_models({"coder": spec}, options) as models:
            return (await models["coder"].complete(asked)).model_dump_json()
    except OpenCodeInterpreterError as error:
        return f"{type(error).__name__}: {error}"


async def test_a_provider_gets_the_sampling_parameters_that_it_supports(
    server: OpenAIServer,
) -> None:
    said = json.loads(await ask("deepseek:deepseek-chat"))
    (received,) = server.requests
    assert (said["text"], said["finish"], said["usage"]["output_tokens"]) == (
        "two words",
        "stop",
        2,
    )
    assert received.headers["authorization"] == "Bearer usual-secret"
    wanted = {"model": "deepseek-chat", "temperature": 0.5, "max_tokens": 9}
    assert wanted.items() <= received.body.items()


async def test_an_answer_under_a_schema_is_a_tool_call(server: OpenAIServer) -> None:
    server.script = ['{"a": 1}']
    await ask("deepseek:deepseek-chat", schema=SCHEMA)
    (received,) = server.requests
    assert received.body["tools"][0]["function"]["name"] == "answer"
    assert received.body["tool_choice"]["function"]["name"] == "answer"


async def test_a_named_key_is_used_and_stays_out_of_errors(server: OpenAIServer) -> None:
    server.script = [Refusal(401, "wrong key own-secret")]
    said = await ask("deepseek:deepseek-chat", "OWN_KEY")
    assert server.requests[0].headers["authorization"] == "Bearer own-secret"
    assert said.startswith("ModelError") and "wrong key [key]" in said


async def test_the_providers_own_key_stays_out_of_errors(server: OpenAIServer) -> None:
    server.script = [Refusal(401, "wrong key usual-secret")]
    said = await ask("deepseek:deepseek-chat")
    assert said.startswith("ModelError") and "wrong key [key]" in said


@pytest.mark.parametrize(
    ("spec", "variable", "words"),
    [
        ("anthropic:claude", "", "langchain-anthropic"),
        ("nonsense:model", "", "nonsense"),
        ("deepseek:deepseek-chat", "UNSET_KEY", "set UNSET_KEY"),
    ],
)
async def test_the_error_names_what_is_missing(spec: str, variable: str, words: str) -> None:
    said = await ask(spec, variable)
    assert said.startswith("InputError") and words in said
