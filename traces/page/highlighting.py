"""Code as lines of coloured pieces, and which lines of two programs belong together."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from pygments.lexers.python import PythonLexer
from pygments.token import Token, _TokenType

Line = tuple[str, ...]
"""Class, text, class, text, …; the class is one letter, or empty for plain text."""
Rows = list[tuple[int, int]]
"""Line numbers from 1 in the old and the new program; 0 where one of them lacks the line."""

_MOST_CHARACTERS = 200_000
"""Longer code is shown plain: colouring a megabyte takes seconds."""
_MOST_LINES = 3_000
"""More changed lines are shown as removed and added as a whole: comparing them is quadratic."""

_CLASSES: Mapping[_TokenType, str] = {
    Token.Comment: "c",
    Token.Keyword: "k",
    Token.Operator.Word: "k",
    Token.Literal.String: "s",
    Token.Literal.Number: "n",
    Token.Name.Function: "f",
    Token.Name.Class: "f",
    Token.Name.Decorator: "f",
    Token.Name.Builtin: "b",
    Token.Error: "e",
}
_LEXER = PythonLexer(ensurenl=False, stripnl=False)


@lru_cache(maxsize=256)  # Turns and branches repeat programs.
def coloured(code: str) -> tuple[Line, ...]:
    """Return a program's lines in coloured pieces."""
    if len(code) > _MOST_CHARACTERS:
        return tuple(("", line) for line in code.split("\n"))
    lines: list[Line] = []
    pieces: list[str] = []
    for kind, text in _pieces(code):
        first, *rest = text.split("\n")
        _add(pieces, kind, first)
        for part in rest:
            lines.append(tuple(pieces))
            pieces = []
            _add(pieces, kind, part)
    return (*lines, tuple(pieces))


def _pieces(code: str) -> Iterator[tuple[str, str]]:
    for token, text in _LEXER.get_tokens(code.replace("\r\n", "\n")):
        found: _TokenType | None = token
        while found is not None and found not in _CLASSES:
            found = found.parent
        yield _CLASSES[found] if found is not None else "", text


def _add(pieces: list[str], kind: str, text: str) -> None:
    if not text:
        return
    if pieces and pieces[-2] == kind:
        pieces[-1] += text
    else:
        pieces += (kind, text)


def aligned(before: str, after: str) -> Rows:
    """Return which lines of two programs are the same, in the order of a diff."""
    old, new = before.split("\n"), after.split("\n")
    start = _same(old, new)
    end = _same(old[start:][::-1], new[start:][::-1])
    rows = [(at, at) for at in range(1, start + 1)]
    rows += _changed(old[start : len(old) - end], new[start : len(new) - end], start)
    tail = range(end, 0, -1)
    return rows + [(len(old) - at + 1, len(new) - at + 1) for at in tail]


def _same(old: Sequence[str], new: Sequence[str]) -> int:
    pairs = enumerate(zip(old, new, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(old), len(new)))


def _changed(old: Sequence[str], new: Sequence[str], start: int) -> Rows:
    if max(len(old), len(new)) > _MOST_LINES:
        blocks: Sequence[tuple[str, int, int, int, int]] = [("replace", 0, len(old), 0, len(new))]
    else:
        blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    rows: Rows = []
    for tag, i1, i2, j1, j2 in blocks:
        olds, news = range(start + i1 + 1, start + i2 + 1), range(start + j1 + 1, start + j2 + 1)
        if tag == "equal":
            rows += zip(olds, news, strict=True)
        else:
            rows += [(at, 0) for at in olds] + [(0, at) for at in news]
    return rows
