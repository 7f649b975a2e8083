"""Providers of langchain's, in a separate process with their variables set."""

import json
import os
import subprocess
import sys

import pytest

from opencodeinterpreter.testing.openai_server import Refusal, serve

pytest.importorskip("langchain", reason="the extra `providers` is not installed here")
pytest.importorskip("langchain_deepseek", reason="langchain-deepseek is not installed here")

ASK = """
import asyncio, sys
from opencodeinterpreter.tools.errors import OpenCodeInterpreterError
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Message, Position, Request, Sampling

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}

async def main(spec, variable, schema):
    options = ModelOptions(key_variable=variable or None, retries=0)
    at = Position(turn=1, role="judge", number=1)
    asked = Request(
        messages=(Message(role="user", content="x"),),
        sampling=Sampling(max_tokens=9, temperature=0.5),
        json_schema=SCHEMA if schema else None,
        at=at,
    )
    try:
        async with open_models({"coder": spec}, options) as models:
            print((await models["coder"].complete(asked)).model_dump_json())
    except OpenCodeInterpreterError as error:
        print(f"{type(error).__name__}: {error}")

asyncio.run(main(*sys.argv[1:]))
"""


def ask(spec: str, url: str, variable: str = "", schema: str = "") -> str:
    variables = {
        "DEEPSEEK_API_BASE": url,
        "DEEPSEEK_API_KEY": "usual-secret",
        "OWN_KEY": "own-secret",
    }
    done = subprocess.run(
        [sys.executable, "-c", ASK, spec, variable, schema],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_provider_gets_the_sampling_parameters_that_it_supports() -> None:
    with serve(["two words"]) as server:
        said = json.loads(ask("deepseek:deepseek-chat", server.url))
    (received,) = server.requests
    assert (said["text"], said["finish"], said["usage"]["output_tokens"]) == (
        "two words",
        "stop",
        2,
    )
    assert received.headers["authorization"] == "Bearer usual-secret"
    wanted = {"model": "deepseek-chat", "temperature": 0.5, "max_tokens": 9}
    assert wanted.items() <= received.body.items()


def test_an_answer_under_a_schema_is_a_tool_call() -> None:
    with serve(['{"a": 1}']) as server:
        ask("deepseek:deepseek-chat", server.url, schema="yes")
    (received,) = server.requests
    assert received.body["tools"][0]["function"]["name"] == "answer"
    assert received.body["tool_choice"]["function"]["name"] == "answer"


def test_a_named_key_is_used_and_stays_out_of_errors() -> None:
    with serve([Refusal(401, "wrong key own-secret")]) as server:
        said = ask("deepseek:deepseek-chat", server.url, "OWN_KEY")
    assert server.requests[0].headers["authorization"] == "Bearer own-secret"
    assert said.startswith("ModelError") and "wrong key [key]" in said


def test_the_providers_own_key_stays_out_of_errors() -> None:
    with serve([Refusal(401, "wrong key usual-secret")]) as server:
        said = ask("deepseek:deepseek-chat", server.url)
    assert said.startswith("ModelError") and "wrong key [key]" in said


@pytest.mark.parametrize(
    ("spec", "variable", "words"),
    [
        ("anthropic:claude", "", "langchain-anthropic"),
        ("nonsense:model", "", "nonsense"),
        ("deepseek:deepseek-chat", "UNSET_KEY", "set UNSET_KEY"),
    ],
)
def test_the_error_names_what_is_missing(spec: str, variable: str, words: str) -> None:
    said = ask(spec, "http://127.0.0.1:1", variable)
    assert said.startswith("InputError") and words in said
