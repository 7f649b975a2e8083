"""Structured output: ways to ask for JSON under a schema, and tolerant parsing of the answer."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from opencodeinterpreter.tools.python_syntax import parsed

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

Way = Literal["schema", "tool", "words"]
"""How to ask for an answer under a schema, best first.

`schema`: constrained decoding at the server. `tool`: the call of a tool with that schema.
`words`: the prompt alone.
"""

TOOL = "answer"
"""The name of the tool, and of the schema."""

_DECODER = json.JSONDecoder(strict=False)  # constrained decoding lets control characters through
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BRACES_TRIED = 64
"""Each costs a parse of the rest, which blocks the event loop."""
_QUOTED = re.compile(r"^[ \t]*>.*$|(?<!`)`[^`\n]+`(?!`)", re.MULTILINE)
_FENCED = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_TRAILING_COMMA = re.compile(r",\s*([}\]])")


def is_strict(schema: Mapping[str, Any]) -> bool:
    """Return whether `schema` allows `strict`.

    OpenAI refuses it for schemas with optional or additional properties.
    """
    closed = schema.get("additionalProperties") is False
    return closed and set(schema.get("required", ())) == set(schema.get("properties", ()))


def tool_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tool whose arguments are an answer under `schema`.

    Without `strict`, vLLM does not constrain the arguments.
    """
    function = {
        "name": TOOL,
        "description": "Give the answer.",
        "parameters": dict(schema),
        **({"strict": True} if is_strict(schema) else {}),
    }
    return {"type": "function", "function": function}


def tool_text(message: "AIMessage") -> str | None:
    """Return the arguments of a message's first tool call as JSON; `None` if there is no call."""
    if message.tool_calls:
        return json.dumps(message.tool_calls[0]["args"], ensure_ascii=False)
    if message.invalid_tool_calls:
        return message.invalid_tool_calls[0]["args"]
    return None


def object_in(text: str) -> dict[str, Any] | None:
    """Return the last JSON object that an answer states; see `objects_in`."""
    return next(reversed(objects_in(text)), None)


def objects_in(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects that an answer states, in order, mended where that is safe.

    Models wrap JSON in words or a fence, put raw control characters into strings (they become
    blanks), leave a comma after the last item, or write the object as a Python literal. What
    stands in a quotation (a line that begins with `>`, inline code) is not stated; what stands in
    a fence is, if nothing outside of one is. Only the first and the last braces are tried.
    """
    unquoted = _QUOTED.sub("", _CONTROL.sub(" ", text))
    outside = _FENCED.sub("", unquoted)
    return list(_objects(outside)) or list(_objects(unquoted))


def _objects(text: str) -> Iterator[dict[str, Any]]:
    found = [brace.start() for brace in re.finditer(r"\{", text)]
    half = _BRACES_TRIED // 2
    braces = found if len(found) <= _BRACES_TRIED else found[:half] + found[-half:]
    over = 0
    for start in braces:
        if start < over:
            continue  # a part of the last object
        for tail in (text[start:], _TRAILING_COMMA.sub(r"\1", text[start:])):
            try:
                value, length = _DECODER.raw_decode(tail)
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                over = start + length
                yield value
                break
        else:
            end = text.rfind("}") + 1
            if (literal := _literal(text[start:end])) is not None:
                over = end
                yield literal


def _literal(text: str) -> dict[str, Any] | None:
    match parsed(text):
        case ast.Module(body=[ast.Expr(value=ast.Dict() as written)]):
            pass
        case _:
            return None
    try:
        value = ast.literal_eval(written)
    except (ValueError, TypeError, RecursionError):
        return None
    return value if isinstance(value, dict) and all(isinstance(key, str) for key in value) else None
