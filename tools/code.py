"""Extracts the program from a model's response.

A response may contain other code: quoted old code, usage examples, tests, shell commands. The
program consists of the blocks that define what was asked for, and the blocks that these need.
"""

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from opencodeinterpreter.tools.fences import Block, fenced_blocks, with_called_code
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.python_syntax import (
    bound_and_free,
    defined_names,
    does_something,
    is_open,
    parsed,
)
from opencodeinterpreter.tools.thinking import split_thinking

_MAIN = frozenset({"solution.py", "main.py"})
_TOKEN = r"(?:<[|\uff5c][\w\u2581 .-]{1,40}[|\uff5c]>|</?s>|\[/?INST\])"
_TOKENS = re.compile(rf"[ \t]*(?:{_TOKEN}[ \t]*)+$|^<\|python_(?:tag|start)\|>", re.MULTILINE)
_PROMPT = re.compile(r"(?:>>>|\.\.\.)(?: |$)")
_NOTEBOOK = re.compile(r"[ \t]*[!%]{1,2}[\w./~]")
_SHELL = re.compile(
    r"[ \t]*(?:\$ .*|(?:python3?|pip3?|uv|pytest|conda|cd|ls|mkdir|chmod|bash|sh|git|apt(?:-get)?)"
    r"[ \t]+[\w./-].*)"
)
_OLD = re.compile(
    r"\b(?:old|original(?:ly)?|previous(?:ly)?|earlier|before|incorrect|wrong|buggy|broken|faulty"
    r"|common mistakes?|pitfalls?"
    r"|instead of|do not|don't|your (?:code|version|attempt|draft|function|solution))\b",
    re.IGNORECASE,
)
_NEW = re.compile(r"\b(?:fix(?:ed)?|corrected|correct|new|improved|updated|revised)\b", re.I)
_USAGE = re.compile(
    r"\b(?:usage|examples?|like this|tests?|testing|try it|try (?:them|this)|demo(?:nstrat\w*)?"
    r"|run it|(?:can|to) (?:use|call|run|verify|check)|how to|sample|output|prints?|verify)\b",
    re.IGNORECASE,
)
_TESTING = re.compile(
    r"^\s*(?:from solution import|import (?:unittest|pytest|solution)\b)", re.MULTILINE
)
_CODE_START = re.compile(r"(?:def|class|import|from|async def|@\w)\b|@\w", re.ASCII)
_ENDS_TRIED = 200
_NO_BREAK = "\u00a0"
"""The space that text copied from a page has instead of indentation; Python does not read it."""


class Extracted(Frozen):
    """The code of a response."""

    code: str | None
    """The program; `None` if the response contains none."""
    files: dict[str, str] = {}
    """Other files, by relative path."""


@dataclass(frozen=True)
class _Piece:
    """A block that may be part of the program."""

    block: Block
    code: str

    @cached_property
    def defines(self) -> frozenset[str]:
        tree = parsed(self.code)
        return defined_names(tree) if tree else frozenset(_headers(self.code))

    @cached_property
    def _names(self) -> tuple[frozenset[str], frozenset[str]]:
        return bound_and_free(self.code)

    @property
    def binds(self) -> frozenset[str]:
        return self._names[0]

    @property
    def needs(self) -> frozenset[str]:
        return self._names[1]

    @property
    def open(self) -> bool:
        """Whether all functions that it defines have no body."""
        tree = parsed(self.code)
        structures = [each for each in tree.body if _is_structure(each)] if tree else []
        return bool(structures) and all(map(is_open, structures))

    @property
    def main(self) -> bool:
        return self.block.name is None or self.block.name in _MAIN

    @property
    def old(self) -> bool:
        """Whether its heading calls it old or wrong code."""
        heading = self.block.heading
        return bool(_OLD.search(heading)) and not _NEW.search(heading)

    @property
    def usage(self) -> bool:
        """Whether it is a usage example or a test."""
        if re.search(
            r"^\s*(?:from solution import|import (?:unittest|pytest|solution)\b)", self.code, re.M
        ):
            return True
        return not _structures(self.code) and bool(_USAGE.search(self.block.heading))


def extract_code(response: str, entry_point: str | None = None) -> Extracted:
    """Return the program in `response` and the files beside it; never raises.

    The program is the last block that defines `entry_point`, joined with the blocks that it needs.
    Without an entry point, or if no block defines it, it is the last block that is not a usage
    example. Blocks tagged as Python take precedence over untagged ones, and complete blocks over
    an unclosed one. A response without fences is used whole, or from its first to its last line
    of Python. Reasoning, shell commands and prompts of an interactive session are removed.
    """
    text = response.replace("\r\n", "\n").replace("\r", "\n")
    text = with_called_code(_TOKENS.sub("", split_thinking(text).answer))
    blocks = fenced_blocks(text)
    for pieces in _choices(blocks):
        parts = _program(pieces, entry_point)
        if parts and _lacks(parts, entry_point):
            parts = _program(_closed(blocks), entry_point) or parts
        if parts:
            return Extracted(code=_joined(parts), files=_files(blocks, parts))
    return Extracted(code=None if blocks else _bare(text))


def _choices(blocks: Sequence[Block]) -> Iterator[list[_Piece]]:
    """Yield groups of blocks that may be code, the most certain kind first."""
    for closed in (True, False):
        for tagged in (True, False):
            found = [
                piece
                for block in blocks
                if block.closed is closed and block.is_python is tagged
                for piece in _pieces(block)
            ]
            if found:
                yield found
    sessions = [block for block in blocks if _is_session(block.body)]
    yield [_Piece(block, code) for block in sessions if (code := _from_session(block.body))]


def _closed(blocks: Sequence[Block]) -> list[_Piece]:
    """Return the complete blocks that may be code, tagged or not."""
    return [piece for block in blocks if block.closed for piece in _pieces(block)]


def _lacks(parts: Sequence[_Piece], entry_point: str | None) -> bool:
    """Return whether a program uses names that it does not bind, or lacks the entry point."""
    bound: set[str] = set().union(*(part.binds for part in parts))
    used: set[str] = set().union(*(part.needs for part in parts))
    return bool(used - bound) or (entry_point is not None and entry_point not in bound)


def _pieces(block: Block) -> list[_Piece]:
    if (block.language and not block.is_python) or _is_session(block.body):
        return []
    code = block.body
    tree = parsed(code)
    if tree is None:
        code = _without_commands(code).replace(_NO_BREAK, " ")
        tree = parsed(code)
    if tree is None:
        return [_Piece(block, block.body)] if block.is_python and not _is_shell(code) else []
    return [_Piece(block, code)] if does_something(tree) else []


def _program(pieces: Sequence[_Piece], entry_point: str | None) -> list[_Piece]:
    """Return the pieces that form the program, in order."""
    kept = [piece for piece in pieces if piece.main and not piece.old] or [
        piece for piece in pieces if piece.main
    ]
    kept = kept or list(pieces)
    # A signature is often repeated after the program.
    whole = {name for piece in kept if not piece.open for name in piece.defines}
    kept = [piece for piece in kept if not (piece.open and piece.defines <= whole)]
    last = next((each for each in reversed(kept) if entry_point in each.defines), None)
    if last is None:
        last = _last_useful([piece for piece in kept if not piece.usage] or kept)
    if last is None:
        return []
    parts = [last]
    missing = set(last.needs)
    before = list(pieces[: pieces.index(last)])
    after = list(pieces[pieces.index(last) + 1 :])
    for piece in [*reversed(before), *after]:
        if piece.main and missing & piece.binds and not _same_definitions(piece, parts):
            parts.append(piece)
            missing = (missing | piece.needs) - piece.binds
    return sorted(parts, key=pieces.index)


def _last_useful(pieces: Sequence[_Piece]) -> _Piece | None:
    """Return the last piece, or the last earlier piece that uses it."""
    if not pieces:
        return None
    last = pieces[-1]
    users = [piece for piece in pieces[:-1] if piece.needs & last.defines]
    return users[-1] if users else last


def _same_definitions(piece: _Piece, parts: Sequence[_Piece]) -> bool:
    """Whether a piece redefines something that the program already defines."""
    return any(piece.defines & part.defines for part in parts)


def _joined(parts: Sequence[_Piece]) -> str:
    return "\n\n\n".join(part.code.strip("\n") if len(parts) > 1 else part.code for part in parts)


def _files(blocks: Sequence[Block], parts: Sequence[_Piece]) -> dict[str, str]:
    used = [part.block for part in parts]
    return {
        block.name: block.body
        for block in blocks
        if block.closed and block.name and block.name not in _MAIN and block not in used
    }


def _headers(code: str) -> list[str]:
    """Return the names of functions and classes in code that may not parse."""
    return re.findall(r"^(?:async )?(?:def|class)[ \t]+(\w+)", code, re.MULTILINE)


def _structures(code: str) -> bool:
    """Whether code defines a function or class."""
    return bool(_headers(code))


def _is_structure(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def _is_session(code: str) -> bool:
    first = code.lstrip("\n").split("\n", 1)[0].strip()
    return _PROMPT.match(first) is not None and first.startswith(">>>")


def _from_session(code: str) -> str | None:
    """Return the input of an interactive session, if it is a program."""
    lines = [line[4:] for line in textwrap.dedent(code).split("\n") if _PROMPT.match(line)]
    typed = "\n".join(lines)
    tree = parsed(typed)
    return typed if tree is not None and does_something(tree) and _structures(typed) else None


def _without_commands(code: str) -> str:
    """Return code without notebook magics and shell lines."""
    lines = code.split("\n")
    return "\n".join(line for line in lines if not _NOTEBOOK.match(line))


def _is_shell(code: str) -> bool:
    lines = [
        line for line in code.split("\n") if line.strip() and not line.lstrip().startswith("#")
    ]
    return all(_SHELL.fullmatch(line) for line in lines)


def _bare(text: str) -> str | None:
    """Return the program of a text without fences: the whole text, or a run of code lines."""
    whole = text.strip("\n")
    if _NO_BREAK in whole and parsed(whole) is None:
        whole = whole.replace(_NO_BREAK, " ")
    for code in (whole, textwrap.dedent(whole)):
        tree = parsed(code)
        if tree is not None:
            return code if does_something(tree) else None
    return _longest_run(whole.split("\n"))


def _longest_run(lines: Sequence[str]) -> str | None:
    """Return the longest run of lines from the first possible start that parses as Python."""
    starts = [number for number, line in enumerate(lines) if _CODE_START.match(line)]
    for start in starts[:16]:
        for end in range(len(lines), max(start, len(lines) - _ENDS_TRIED), -1):
            code = "\n".join(lines[start:end]).rstrip()
            if not _ends_like_code(lines[end - 1]):
                continue
            tree = parsed(code)
            if tree is not None and defined_names(tree):
                return code
    return None


def _ends_like_code(line: str) -> bool:
    return (bool(line.strip()) and line[:1] in " \t)]}@") or "=" in line or "(" in line
