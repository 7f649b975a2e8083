"""Converts vLLM's output to langchain's types: usage, log probabilities, tool calls."""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.messages import InvalidToolCall, ToolCall
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata

if TYPE_CHECKING:
    from vllm.outputs import CompletionOutput, RequestOutput

ANY = frozenset({"any", "required", "True"})
"""Values of `tool_choice` that mean: call one of the tools."""


def usage_of(output: "RequestOutput", written: int) -> UsageMetadata:
    """Return the usage of a request with `written` output tokens; n answers share one prompt."""
    read = len(output.prompt_token_ids or ())
    return UsageMetadata(
        input_tokens=read,
        output_tokens=written,
        total_tokens=read + written,
        input_token_details=InputTokenDetails(cache_read=output.num_cached_tokens or 0),
    )


def metadata_of(model: str, made: "CompletionOutput") -> dict[str, Any]:
    """Return the finish reason, and the log probabilities if they were requested."""
    metadata: dict[str, Any] = {
        "model_name": model,
        "model_provider": "vllm",
        "finish_reason": made.finish_reason,
    }
    if made.stop_reason is not None:
        metadata["stop_reason"] = made.stop_reason
    if made.logprobs is not None:
        metadata["logprobs"] = {"content": logprobs_of(made)}
    return metadata


def logprobs_of(made: "CompletionOutput") -> list[dict[str, Any]]:
    """Return each token of an answer with its log probability and the likeliest alternatives."""
    content = []
    for token, likely in zip(made.token_ids, made.logprobs or (), strict=False):
        entries = {
            at: {"token": found.decoded_token, "logprob": found.logprob}
            for at, found in likely.items()
        }
        content.append({**entries[token], "top_logprobs": list(entries.values())})
    return content


def forced(tools: Sequence[Mapping[str, Any]], choice: str) -> Sequence[Mapping[str, Any]]:
    """Return the tools that `choice` allows; raises ValueError for an unknown name."""
    if choice in ANY:
        return tools
    named = [tool for tool in tools if tool["function"]["name"] == choice]
    if not named:
        names = ", ".join(tool["function"]["name"] for tool in tools)
        raise ValueError(f"tool_choice {choice!r} is not a tool; choose one of {names}, or any")
    return named


def call_schema(tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the schema of a call of one of `tools`; for a single tool, of its arguments alone."""
    parameters = [_parameters(tool) for tool in tools]
    if len(tools) == 1:
        return parameters[0]
    return {
        "anyOf": [
            {
                "type": "object",
                "properties": {"name": {"const": tool["function"]["name"]}, "arguments": wanted},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
            for tool, wanted in zip(tools, parameters, strict=True)
        ]
    }


def forced_call(
    tools: Sequence[Mapping[str, Any]], text: str
) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """Return the call in an answer under `call_schema`, as a valid or an invalid one."""
    name = tools[0]["function"]["name"] if len(tools) == 1 else None
    identity = f"call_{uuid.uuid4().hex[:24]}"
    try:
        found = json.loads(text, strict=False)
        if name is None:
            name, found = found["name"], found["arguments"]
    except ValueError as error:
        wrong = InvalidToolCall(
            type="invalid_tool_call", name=name, args=text, id=identity, error=str(error)
        )
        return [], [wrong]
    return [ToolCall(type="tool_call", name=name, args=found, id=identity)], []


def own_calls(
    parser: str, tokenizer: Any, tools: Sequence[Mapping[str, Any]], text: str
) -> tuple[str, list[ToolCall]]:
    """Return an answer's text and the calls that vLLM's parser named `parser` finds in it."""
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
    from vllm.tool_parsers import ToolParserManager

    fields: Any = {"messages": [], "tools": [dict(tool) for tool in tools]}
    request = ChatCompletionRequest(**fields)
    reader: Any = ToolParserManager.get_tool_parser(parser)(tokenizer, request.tools)
    found = reader.extract_tool_calls(text, request)
    calls = [
        ToolCall(
            type="tool_call",
            name=call.function.name,
            args=json.loads(call.function.arguments),
            id=call.id,
        )
        for call in found.tool_calls
    ]
    return found.content or "", calls


def _parameters(tool: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(tool["function"].get("parameters") or {})
    return {"type": "object", "properties": {}, "additionalProperties": False, **given}
