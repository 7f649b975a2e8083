"""The rules of a critic's reply: at most three sentences, no code, no leak of the reference."""

import ast
import contextlib
import io
import re
import textwrap
import tokenize

from opencodeinterpreter.tools.python_syntax import parsed

MAX_SENTENCES = 3
LEAK_TOKENS = 6
"""How many consecutive tokens of the reference count as a leak."""

_FENCE = re.compile(r"(```|~~~).*?(\1|\Z)", re.DOTALL)
_SENTENCE_END = re.compile(
    r"(?:(?<=[.!?])|(?<=[.!?][\"')\]])|(?<=[.!?][\"')\]]{2}))\s+(?=[A-Z\"'(`])"
)
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.ENCODING,
}


def problems(reply: str) -> tuple[str, ...]:
    """Return the rules that a reply breaks, in words."""
    found = []
    if not reply.strip():
        found.append("it is empty")
    if "```" in reply or "~~~" in reply:
        found.append("it holds a code block")
    if (count := len(sentences(reply))) > MAX_SENTENCES:
        found.append(f"it has {count} sentences")
    return tuple(found)


def sentences(text: str) -> list[str]:
    """Split text into sentences; a line break between paragraphs or list items ends one too."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [sentence for line in lines for sentence in _SENTENCE_END.split(line) if sentence]


def cut(reply: str) -> str:
    """Return the first three sentences of a reply without its code blocks."""
    # Removing a block may join its surroundings into a new fence.
    while (without := _FENCE.sub("", reply)) != reply:
        reply = without
    return " ".join(sentences(reply)[:MAX_SENTENCES])


def leak(reply: str, reference: str, known: tuple[str, ...]) -> str | None:
    """Return the piece of `reference` that a reply gives away, if any.

    A piece is six consecutive Python tokens, or all of a shorter body. A piece that is in a
    `known` text (the prompt, the draft) is not a leak.
    """
    tokens = _tokens(reference)
    starts = range(max(0, len(tokens) - LEAK_TOKENS + 1))
    pieces = [tokens[start : start + LEAK_TOKENS] for start in starts]
    body = _tokens(_body(reference))
    if 0 < len(body) < LEAK_TOKENS:
        pieces.append(body)
    for piece in pieces:
        pattern = _pattern(piece)
        if (found := pattern.search(reply)) and not any(pattern.search(text) for text in known):
            return found.group()
    return None


def _tokens(code: str) -> list[str]:
    found: list[str] = []
    lines = io.StringIO(textwrap.dedent(code)).readline
    # The tokens before the error still count.
    with contextlib.suppress(tokenize.TokenError, SyntaxError):
        found.extend(t.string for t in tokenize.generate_tokens(lines) if t.type not in _LAYOUT)
    return found


def _body(code: str) -> str:
    """Return a single function's body without its docstring, or else the whole code."""
    module = parsed(code)
    functions = [node for node in module.body if isinstance(node, _FUNCTION)] if module else []
    if len(functions) != 1:
        return code
    statements = functions[0].body
    if ast.get_docstring(functions[0]) is not None:
        statements = statements[1:]
    return "\n".join(ast.unparse(statement) for statement in statements)


def _pattern(tokens: list[str]) -> re.Pattern[str]:
    text = r"\s*".join(re.escape(token) for token in tokens)
    before = r"(?<!\w)" if tokens[0][0].isalnum() else ""
    after = r"(?!\w)" if tokens[-1][-1].isalnum() else ""
    return re.compile(before + text + after)
