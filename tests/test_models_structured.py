"""Structured output: the ways to ask for it, and tolerant parsing of answers."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from opencodeinterpreter.testing.openai_server import OpenAIServer, Raw, Refusal, Step
from opencodeinterpreter.tools.errors import ModelError
from opencodeinterpreter.tools.models.langchain_model import LangChainModel
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Message, Position, Request
from opencodeinterpreter.tools.models.structured import object_in

SCHEMA = {
    "type": "object",
    "properties": {"solved": {"type": "boolean"}},
    "required": ["solved"],
    "additionalProperties": False,
}
ASKED = Request(
    messages=(Message(role="user", content="Is it solved?"),),
    json_schema=SCHEMA,
    at=Position(turn=1, role="judge", number=1),
)
NO_SCHEMA = Refusal(400, "response_format.type json_schema is not supported by this model")
NO_TOOLS = Refusal(400, "tool_choice needs --tool-call-parser to be set")


def called(arguments: str) -> Raw:
    """Return an answer that calls the tool."""
    function = {"name": "answer", "arguments": arguments}
    call = {"id": "c", "type": "function", "function": function}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
    return Raw(json.dumps({"model": "tiny", "choices": [choice]}))


async def answers(count: int, *script: Step) -> tuple[list[str], list[str]]:
    """Ask several times; return the texts, and the way of each request."""
    async with OpenAIServer(script) as server:
        specs: Mapping[Any, str] = {"coder": f"openai:tiny@{server.url}"}
        async with open_models(specs, ModelOptions(retries=0)) as models:
            texts = [(await models["coder"].complete(ASKED)).text for _ in range(count)]
    return texts, [way(received.body) for received in server.requests]


def way(body: Mapping[str, Any]) -> str:
    if "response_format" in body:
        return "schema"
    return "tool" if "tools" in body else "words"


async def test_constrained_decoding_comes_first() -> None:
    assert await answers(1, '{"solved": true}') == (['{"solved": true}'], ["schema"])


async def test_a_tool_call_comes_second_and_is_remembered() -> None:
    texts, ways = await answers(2, NO_SCHEMA, called('{"solved": true}'))
    assert [json.loads(text) for text in texts] == [{"solved": True}] * 2
    assert ways == ["schema", "tool", "tool"]


async def test_a_tool_call_with_invalid_json_is_returned_unchanged() -> None:
    texts, _ = await answers(1, NO_SCHEMA, called('{"solved": tr'))
    assert texts == ['{"solved": tr']


async def test_the_prompt_alone_comes_last() -> None:
    texts, ways = await answers(2, NO_SCHEMA, NO_TOOLS, 'Well: {"solved": true}')
    assert texts == ['Well: {"solved": true}'] * 2
    assert ways == ["schema", "tool", "words", "words"]


async def test_a_request_refused_in_every_way_reports_the_first_reason() -> None:
    with pytest.raises(ModelError, match="json_schema is not supported"):
        await answers(1, NO_SCHEMA, NO_TOOLS, Refusal(400, "bad temperature"))


async def test_a_server_error_does_not_change_the_way() -> None:
    async with OpenAIServer([Refusal(500)]) as server:
        specs: Mapping[Any, str] = {"coder": f"openai:tiny@{server.url}"}
        async with open_models(specs, ModelOptions(retries=0)) as models:
            with pytest.raises(ModelError, match="HTTP 500"):
                await models["coder"].complete(ASKED)
    assert len(server.requests) == 1


async def test_a_langchain_model_without_tools_is_asked_by_prompt() -> None:
    chat = GenericFakeChatModel(messages=iter([AIMessage('{"solved": false}')]))
    assert (await LangChainModel(chat, spec="fake").complete(ASKED)).text == '{"solved": false}'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', {"a": 1}),
        ('Sure!\n```json\n{"a": {"b": [1, 2]}}\n```\nDone {really}.', {"a": {"b": [1, 2]}}),
        ('{"a": "one\x15two\x00"}', {"a": "one two "}),
        ('{"a": "one\ntwo"}', {"a": "one\ntwo"}),
        ('{"a": [1, 2,], }', {"a": [1, 2]}),
        ("{'a': True, 'b': None}", {"a": True, "b": None}),
        ('{not this} {"a": 1}', {"a": 1}),
        ('{"a": 1', None),
        ("{1: 2}", None),
        ("I think {[]: 1} is fine", None),
        ('{"{": {[]: 1}} or {"a": 1}', {"a": 1}),
        ("{'a': '\\d'}", {"a": "\\d"}),
        ("{'a': '" + "{" * 500 + "'}", {"a": "{" * 500}),
        ("[1, 2]", None),
        ("{" * 500, None),
        ('{"a":{' * 50_000 + '{"a": 1}', {"a": 1}),
        ("", None),
    ],
)
def test_the_object_in_an_answer_is_found_and_repaired(
    text: str, found: dict[str, Any] | None
) -> None:
    assert object_in(text) == found
