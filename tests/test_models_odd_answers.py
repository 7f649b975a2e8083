"""What servers send that only resemble OpenAI's: each odd answer, whole and as a stream."""

import errno
import json
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.nodes.prompts import installed_prompts
from opencodeinterpreter.nodes.records import CriticKind
from opencodeinterpreter.nodes.settings import Limits, Settings
from opencodeinterpreter.nodes.state import read
from opencodeinterpreter.testing import ScriptedRunner, ran
from opencodeinterpreter.testing.openai_server import (
    ErrorAnswer,
    OpenAIServer,
    Raw,
    Refusal,
    Reply,
    Step,
    Template,
)
from opencodeinterpreter.tools.code import extract_code
from opencodeinterpreter.tools.errors import ModelError
from opencodeinterpreter.tools.models.faults import fault_of
from opencodeinterpreter.tools.models.network import connection_failure
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import (
    Message,
    Model,
    Position,
    Request,
    Response,
    Usage,
)

QUICK = ModelOptions(timeout_seconds=60, attempt_seconds=30, retries=1)
CODE = "def double(x):\n    return 2 * x"
HELLO = (Message(role="user", content="hello"),)
WAYS = pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])


class _State(TypedDict, total=False):
    response: Response


@asynccontextmanager
async def served(
    script: Sequence[Step], template: Template | None = None
) -> AsyncIterator[tuple[Model, OpenAIServer]]:
    async with OpenAIServer(script, template=template or Template()) as server:
        specs: Mapping[Any, str] = {"coder": f"openai:tiny@{server.url}"}
        async with open_models(specs, QUICK) as models:
            yield models["coder"], server


async def complete(
    model: Model, messages: Sequence[Message] = HELLO, *, streams: bool = False
) -> Response:
    """Ask; a graph whose messages are streamed makes the client ask for a stream."""
    request = Request(messages=tuple(messages), at=Position(turn=1, role="coder", number=1))

    async def node(state: _State) -> _State:
        return {"response": await model.complete(request)}

    graph = StateGraph(_State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    graph.add_edge("node", END)
    modes: Any = ["messages", "values"] if streams else ["values"]
    last: Any = None
    async for mode, part in graph.compile().astream({}, stream_mode=modes):
        last = part if mode == "values" else last
    response: Response = last["response"]
    return response


async def ask(*script: Step, streams: bool = False) -> Response:
    async with served(script) as (model, _):
        return await complete(model, streams=streams)


@WAYS
@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking"])
async def test_thinking_in_a_field_of_its_own_is_no_text(field: str, streams: bool) -> None:
    thinking = "First I try\n```python\nprint(1)\n```"
    reply = Reply(CODE, thinking=thinking, thinking_in=field)
    response = await ask(reply, streams=streams)
    assert (response.text, response.thinking) == (CODE, thinking)


@WAYS
async def test_an_answer_that_was_cut_while_thinking_has_no_text(streams: bool) -> None:
    reply = Reply("", finish="length", thinking="Let me think about it")
    response = await ask(reply, streams=streams)
    assert (response.text, response.thinking) == ("", "Let me think about it")


async def test_thinking_in_parts_of_the_content_is_no_text() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": CODE},
    ]
    message = {"role": "assistant", "content": parts}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    response = await ask(Raw(json.dumps({"model": "tiny", "choices": [choice]})))
    assert (response.text, response.thinking) == (CODE, "Hm.")


async def test_thinking_in_both_places_is_all_thinking() -> None:
    response = await ask(Reply(f"and so</think>\n{CODE}", thinking="It doubles,"))
    assert (response.text, response.thinking) == (CODE, "It doubles,\nand so")


@WAYS
@pytest.mark.parametrize(
    ("code", "retried"),
    [
        (429, True),
        ("429", True),
        (502, True),
        ("rate_limit_exceeded", True),
        ("server_error", True),
        ("overloaded_error", True),
        (400, False),
        (401, False),
        ("insufficient_quota", False),
        ("invalid_request_error", False),
        (None, False),
    ],
)
async def test_an_error_inside_an_answer_is_retried_like_its_status(
    code: int | str | None, retried: bool, streams: bool
) -> None:
    async with served([ErrorAnswer(code, "no luck"), "well"]) as (model, server):
        if retried:
            assert (await complete(model, streams=streams)).text == "well"
        else:
            with pytest.raises(ModelError, match="no luck"):
                await complete(model, streams=streams)
    assert len(server.requests) == 1 + retried


@WAYS
async def test_an_error_inside_a_choice_is_no_answer(streams: bool) -> None:
    fault = ErrorAnswer(502, in_choice=True)
    assert (await ask(fault, "well", streams=streams)).text == "well"


@pytest.mark.parametrize(
    "body",
    [
        {"object": "error", "message": "busy", "type": "RateLimitError", "code": 429},
        {"error": {"message": "busy", "type": "rate_limit_error"}},
        {"error": "busy", "code": 503},
    ],
)
async def test_an_error_in_any_form_is_retried_like_its_status(body: dict[str, Any]) -> None:
    assert (await ask(Raw(json.dumps(body)), "well")).attempts == 2


@WAYS
@pytest.mark.parametrize("finish", [None, ""])
async def test_a_whole_answer_needs_no_finish_reason(finish: str | None, streams: bool) -> None:
    response = await ask(Reply(CODE, finish=finish), "again", streams=streams)
    assert (response.text, response.attempts) == (CODE, 1)


async def test_a_whole_stream_needs_no_end_marker() -> None:
    response = await ask(Reply(CODE, done=False), "again", streams=True)
    assert (response.text, response.attempts) == (CODE, 1)


@WAYS
async def test_usage_and_finish_reason_in_each_piece_count_once(streams: bool) -> None:
    reply = Reply("one two three", finish="length", repeat=True, cached_tokens=1)
    response = await ask(reply, streams=streams)
    assert response.usage == Usage(input_tokens=7, output_tokens=3, cached_tokens=1)
    assert (response.text, response.model) == ("one two three", "tiny")
    assert response.finish == "context"


@WAYS
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (json.dumps({"code": CODE}), CODE),
        (json.dumps({"language": "python", "source": CODE}), CODE),
        (json.dumps({"path": "solution.py", "content": CODE}), CODE),
        (json.dumps(CODE), CODE),
        (CODE, CODE),
        (json.dumps({"code": "def double(x:"}), "def double(x:"),
        (json.dumps({"code": f'"""\n```\n"""\n{CODE}'}), f'"""\n```\n"""\n{CODE}'),
    ],
    ids=["code", "source", "content", "a string", "no JSON", "invalid code", "a fence inside"],
)
async def test_code_in_a_tool_call_is_code(arguments: str, code: str, streams: bool) -> None:
    response = await ask(Reply("", call=arguments, finish="tool_calls"), streams=streams)
    assert (extract_code(response.text, "double").code or "").strip() == code


@pytest.mark.parametrize("arguments", [{"code": CODE}, {"code": CODE, "timeout": 5}])
async def test_arguments_that_are_an_object_are_read_like_their_text(
    arguments: dict[str, Any],
) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "run", "arguments": arguments}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
    response = await ask(Raw(json.dumps({"model": "tiny", "choices": [choice]})))
    assert (extract_code(response.text).code or "").strip() == CODE


async def test_a_tool_call_without_code_is_no_code() -> None:
    response = await ask(Reply("", call='{"city": "Paris"}', finish="tool_calls"))
    assert extract_code(response.text).code is None


SAID: tuple[Message, ...] = (*HELLO, Message(role="assistant", content=" \n"), *HELLO)


async def test_an_empty_answer_goes_back_as_a_placeholder() -> None:
    async with served(["well"], Template(empty=False)) as (model, server):
        assert (await complete(model, SAID)).text == "well"
    assert [sent["content"] for sent in server.requests[0].body["messages"]] == [
        "hello",
        "(no answer)",
        "hello",
    ]


@pytest.mark.parametrize("template", [Template(system=False), Template(repeats=False)])
async def test_a_template_without_system_role_gets_its_text_in_the_users_message(
    template: Template,
) -> None:
    system = Message(role="system", content="be brief")
    async with served(["well"], template) as (model, server):
        for _ in range(2):
            assert (await complete(model, (system, *SAID))).text == "well"
    first, *others = (received.body["messages"] for received in server.requests)
    assert first[0]["role"] == "system"
    assert len(others) == 2, "the refusal is remembered"
    assert [(sent["role"], sent["content"]) for sent in others[1]] == [
        ("user", "be brief\n\nhello"),
        ("assistant", "(no answer)"),
        ("user", "hello"),
    ]


STRICT = Template(system=False, empty=False, repeats=False)


@pytest.mark.parametrize("critic", ["execution", "simulated", "oracle"])
async def test_all_prompts_reach_a_server_with_a_strict_template(critic: CriticKind) -> None:
    """Coder with a system prompt, critics, a judge that is asked twice, an empty draft."""
    script = ["", "```python\nprint(2)\n```", "Why not 3?", "yes", "no", "Why not 3?"]
    async with OpenAIServer(script, template=STRICT) as server:
        spec = f"openai:tiny@{server.url}"
        chosen = Settings(
            models={"coder": spec, "judge": spec},
            critic=critic,
            limits=Limits(turns=3),
            prompts={**installed_prompts(), "coder_system": "Be brief."},
        )
        async with open_models(chosen.models, QUICK) as models:
            graph = build_graph(models, ScriptedRunner(default=ran("2\n")))
            seed: Any = task_seed({"prompt": "Print 3.", "reference": "print(3)"}, chosen)
            record = read(await graph.ainvoke(seed))
    assert len(record.turns) == 3
    assert len(server.requests) == server.answered + 1, "one refusal, which is remembered"
    sent = [message["role"] for one in server.requests[1:] for message in one.body["messages"]]
    assert set(sent) == {"user", "assistant"}


async def test_a_server_that_refuses_for_another_reason_is_asked_once() -> None:
    system = Message(role="system", content="be brief")
    async with served([Refusal(400, "the temperature is too high")]) as (model, server):
        with pytest.raises(ModelError, match="too high"):
            await complete(model, (system, *HELLO))
    assert len(server.requests) == 1


def wrapped(cause: BaseException) -> Exception:
    """Return an error as clients raise it: the cause is some errors deeper."""

    class APIConnectionError(Exception):
        pass

    outer, middle = APIConnectionError("Connection error."), OSError("All attempts failed")
    outer.__cause__, middle.__cause__ = middle, cause
    return outer


class ProxyError(Exception):
    """Named as the HTTP client's."""


@pytest.mark.parametrize(
    ("cause", "says"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"), "refused"),
        (socket.gaierror(-2, "Name or service not known"), "DNS: "),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "TLS: "),
        (ssl.SSLCertVerificationError("self-signed certificate"), "TLS: "),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "Network is unreachable"),
        (ProxyError("407 Proxy Authentication Required"), "proxy: 407"),
        (ExceptionGroup("unhandled", [ConnectionRefusedError(111, "no")]), "refused"),
    ],
)
def test_a_connection_error_names_its_cause(cause: BaseException, says: str) -> None:
    assert says in str(connection_failure(wrapped(cause)))
    assert says in fault_of(wrapped(cause)).text


async def test_a_failed_name_lookup_and_a_proxy_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # whoever connects is refused
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused.getsockname()[1]}")
        assert "refused" in await told("http://models.invalid/v1")
        assert "(through the proxy that http_proxy names)" in await told("http://models.invalid/v1")
    monkeypatch.delenv("http_proxy")
    assert "DNS: " in await told("http://models.invalid/v1")


async def told(url: str) -> str:
    options = ModelOptions(timeout_seconds=60, retries=0)
    async with open_models({"coder": f"openai:m@{url}"}, options) as models:
        with pytest.raises(ModelError) as caught:
            await complete(models["coder"])
    return str(caught.value)
