"""Structured output: ways to ask for JSON under a schema, and tolerant parsing of the answer."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from opencodeinterpreter.tools.python_syntax import does_something, parsed

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

Way = Literal["schema", "tool", "words"]
"""How to ask for an answer under a schema, best first.

`schema`: constrained decoding at the server. `tool`: the call of a tool with that schema.
`words`: the prompt alone.
"""

TOOL = "answer"
"""The name of the tool, and of the schema."""

_CODE_ARGUMENTS = frozenset(
    {"code", "python", "source", "source_code", "script", "program", "input"}
)
"""What tools that run code call their argument."""
_DECODER = json.JSONDecoder(strict=False)  # constrained decoding lets control characters through
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BRACES_TRIED = 64
"""Each costs a parse of the rest, which blocks the event loop."""
_QUOTED = re.compile(r"^[ \t]*>.*$|(?<!`)`[^`\n]+`(?!`)", re.MULTILINE)
_FENCED = re.compile(
    r"^[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<json>json)?.*?"
    r"(?:^[ \t]*(?P=fence)[ \t]*$|(?P<unclosed>\Z))",
    re.MULTILINE | re.DOTALL | re.IGNORECASE,
)
_OPENING_ALONE = re.compile(r"[ \t]*(?:`{3,}|~{3,})[ \t]*+\w*+\s*+")
_QUOTED_SO_FAR = re.compile(
    r"^(?: {4}|[ \t]*(?:>|#|//)|\t|.*\b(?:for example|e\.g\.|such as)[ \t:,]*$).*\Z",
    re.MULTILINE | re.IGNORECASE,
)
"""The last line is a quotation, a comment, indented code, or announces an example."""
_AFTER_THE_END = re.compile(
    r"[\s.!;*]*+(?P<fence>`{3,}|~{3,})?+"
    r"(?:[\s.!;*]|</(?:s|answer|json|verdict)>|<(?:eos|end_of_turn)>|<([|｜])[^<>|｜]+\2>)*+"
)
"""Punctuation, a closing fence, and the tokens by which models end; no quotation mark."""
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


def tool_code(message: "AIMessage") -> str | None:
    """Return the programs that a message hands to tools, each in a fence; `None` if there is none.

    Some models answer with the call of a code interpreter that nobody offered them.
    """
    calls: list[object] = [call["args"] for call in message.tool_calls]
    calls += [call["args"] for call in message.invalid_tool_calls]
    if isinstance(function := message.additional_kwargs.get("function_call"), Mapping):
        calls.append(function.get("arguments"))
    programs = [code for arguments in calls if (code := _program_in(arguments))]
    return "\n\n".join(map(_fenced, programs)) or None


def _program_in(arguments: object) -> str | None:
    """Return the argument that is code, or arguments that are code themselves instead of JSON."""
    if isinstance(arguments, str):
        try:
            arguments = _DECODER.decode(arguments)
        except ValueError:
            return str(arguments)
    values = arguments if isinstance(arguments, Mapping) else {"code": arguments}
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    trees = {name: parsed(text) for name, text in texts.items()}
    programs = [texts[name] for name, tree in trees.items() if tree and does_something(tree)]
    named = [text for name, text in texts.items() if name in _CODE_ARGUMENTS]
    return max(programs or named, key=len, default=None)


def _fenced(code: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}python\n{code.rstrip()}\n{fence}"


class Closing(NamedTuple):
    """The JSON object that ends an answer."""

    value: dict[str, Any]
    before: str
    """What the answer says before it, without quotations."""


def closing_object(text: str) -> Closing | None:
    """Return the JSON object that ends an answer, mended as by `object_in`.

    After it may come a closing fence, punctuation and special tokens, since words could take it
    back. `None` if there is none, if it has a key twice, or if it is a quotation (in a line that
    begins with `>`, inline code, indented code, or a fence beside other text that is not marked as
    JSON) or a part of another object.
    """
    text = _CONTROL.sub(" ", text).strip()
    end = text.rfind("}") + 1
    after = _AFTER_THE_END.fullmatch(text, end)
    if after is None:
        return None
    for start in _braces(text[:end]):
        value = _whole_object(text[start:end])
        if value is not None:
            before = _stated_before(text[:start], is_fenced=after["fence"] is not None)
            return None if before is None else Closing(value, before)
    return None


def _stated_before(text: str, *, is_fenced: bool) -> str | None:
    """Return the text without quotations; `None` if what follows is one, or a part of an object."""
    if _QUOTED_SO_FAR.search(text):
        return None
    stated = _QUOTED.sub("", text)
    fences = list(_FENCED.finditer(stated))
    if fences and fences[-1]["unclosed"] is not None:  # Its text is the object.
        opening = fences[-1]
        stated = stated[: opening.start()]
        beside_text = bool(stated.strip()) and not opening["json"]
        if beside_text or not _OPENING_ALONE.fullmatch(opening[0]):
            return None
    elif is_fenced:
        return None
    else:
        stated = _FENCED.sub(lambda fence: fence[0] if fence["json"] else "", stated)
    return None if _opens_a_brace(stated) else stated


def _opens_a_brace(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"[{}]", text):
        depth = depth + 1 if brace == "{" else max(depth - 1, 0)
    return depth > 0


def _whole_object(text: str) -> dict[str, Any] | None:
    """Return the object that a text which begins with a brace is as a whole, mended."""
    for each in (text, _TRAILING_COMMA.sub(r"\1", text)):
        try:
            return dict(_STRICT_DECODER.decode(each))
        except (ValueError, RecursionError):
            continue
    return _literal(text)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key stands twice")
    return value


_STRICT_DECODER = json.JSONDecoder(strict=False, object_pairs_hook=_without_repetition)


def object_in(text: str) -> dict[str, Any] | None:
    """Return the last JSON object that an answer states, mended where that is safe.

    Models wrap JSON in words or a fence, put raw control characters into strings (they become
    blanks), leave a comma after the last item, or write the object as a Python literal. What
    stands in a quotation (a line that begins with `>`, inline code) is not stated; what stands in
    a fence is, if nothing outside of one is. Only the first and the last braces are tried.
    """
    unquoted = _QUOTED.sub("", _CONTROL.sub(" ", text))
    outside = _FENCED.sub("", unquoted)
    found = list(_objects(outside)) or list(_objects(unquoted))
    return found[-1] if found else None


def _braces(text: str) -> list[int]:
    found = [brace.start() for brace in re.finditer(r"\{", text)]
    half = _BRACES_TRIED // 2
    return found if len(found) <= _BRACES_TRIED else found[:half] + found[-half:]


def _objects(text: str) -> Iterator[dict[str, Any]]:
    over = 0
    for start in _braces(text):
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
        for each in ast.walk(written):
            if isinstance(each, ast.Dict):
                keys = [ast.literal_eval(key) for key in each.keys if key is not None]
                _without_repetition([(key, None) for key in keys])
        value = ast.literal_eval(written)
    except (ValueError, TypeError, RecursionError):
        return None
    return value if isinstance(value, dict) and all(isinstance(key, str) for key in value) else None
