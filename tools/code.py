"""Code taken out of a model's response, as models really write it."""

import ast
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from opencodeinterpreter.tools.frozen import Frozen

_PYTHON = frozenset({"python", "python2", "python3", "py", "py2", "py3", "ipython", "ipython3"})
_MAIN = frozenset({"solution.py", "main.py"})
_FENCE = re.compile(r"(?P<indent>[ \t]*)(?P<mark>`{3,}|~{3,})(?P<info>.*)")
_LANGUAGE = re.compile(r"\{?[ ]*\.?(?P<language>[\w+#-]*)")
_NAME = r"(?P<name>[\w./\\~-]*\w\.\w+)"
_INFO_NAME = re.compile(rf"(?:^|[\s=:\"'{{]){_NAME}(?=$|[\s\"'}},])")
_COMMENT_NAME = re.compile(rf"\s*#\s*(?:file(?:name)?\s*:\s*)?{_NAME}\s*", re.IGNORECASE)
_HEADING_NAME = re.compile(
    rf"[\s#>*_`\"'\d.)-]*?(?:file(?:name)?\b[\s:*_`\"']*)?{_NAME}[\s*_`\"':]*", re.IGNORECASE
)
_EFFECTS = (ast.Call, ast.Await, ast.NamedExpr)
_LONGEST_NAMING_LINE = 200
_FENCES_TRIED = 16
"""How many fences may stand inside a program's own strings."""


class Extracted(Frozen):
    """What a response holds to be run."""

    code: str | None
    """The program, or `None` where the response has none."""
    files: dict[str, str] = {}
    """Further files, by relative path."""


@dataclass(frozen=True)
class _Block:
    language: str
    name: str | None
    body: str
    closed: bool

    @property
    def tagged(self) -> bool:
        return self.language in _PYTHON

    @property
    def is_code(self) -> bool:
        if self.language and not self.tagged:
            return False
        tree = parsed(self.body)
        return self.tagged if tree is None else _does_something(tree)

    @property
    def is_program(self) -> bool:
        return self.name is None or self.name in _MAIN


def extract_code(response: str) -> Extracted:
    """Take the program, and the files beside it, out of `response`; never raises.

    The program is the last complete fenced Python block that has no file name, or one such as
    `solution.py`. Blocks that are tagged as Python come before untagged ones, an unclosed block
    counts where there is no complete one, and a response without fences counts whole. None of
    them is a program where it does nothing, as a comment; all but tagged blocks must parse.
    """
    text = response.replace("\r\n", "\n").replace("\r", "\n")
    blocks = [block for block in _blocks(text.split("\n")) if block.body.strip()]
    main = _main(blocks)
    if main is None:
        bare = text.strip("\n")
        tree = None if blocks else parsed(bare)
        return Extracted(code=bare if tree is not None and _does_something(tree) else None)
    files = {
        block.name: block.body
        for block in blocks
        if block.closed and block.name and block.name not in _MAIN and block is not main
    }
    return Extracted(code=main.body, files=files)


def _main(blocks: Sequence[_Block]) -> _Block | None:
    for closed in (True, False):
        for tagged in (True, False):
            found = [
                block
                for block in blocks
                if block.closed is closed and block.tagged is tagged and block.is_code
            ]
            if found:
                return next((block for block in reversed(found) if block.is_program), found[-1])
    return None


def _blocks(lines: Sequence[str]) -> Iterator[_Block]:
    at = 0
    while at < len(lines):
        fence = _opening(lines[at])
        if fence is None:
            at += 1
            continue
        end, closed = _end(lines, at, fence)
        yield _block(lines, at, end, fence, closed)
        at = end + 1 if closed else end


def _block(lines: Sequence[str], at: int, end: int, fence: re.Match[str], closed: bool) -> _Block:
    info = fence["info"].strip()
    found = _LANGUAGE.match(info)
    language = found["language"].lower() if found else ""
    name = _name(_INFO_NAME.search, info)
    if name and info.startswith(name):
        language = "python" if name.endswith(".py") else "file"
    body = _body(lines[at + 1 : end], fence)
    if name is None and (language in _PYTHON or not language):
        name = _name(_COMMENT_NAME.fullmatch, body.lstrip("\n").split("\n", 1)[0])
    if name is None:
        before = next((line for line in reversed(lines[max(at - 2, 0) : at]) if line.strip()), "")
        name = _name(_HEADING_NAME.fullmatch, before)
    return _Block(language, name, body, closed)


def _name(matching: Callable[[str], re.Match[str] | None], line: str) -> str | None:
    """Return the file that `line` names where it is a relative path that stays in its folder."""
    found = matching(line) if len(line) <= _LONGEST_NAMING_LINE else None
    if found is None:
        return None
    name = found["name"]
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or name.startswith("~"):
        return None
    return str(path)


def _opening(line: str) -> re.Match[str] | None:
    found = _FENCE.fullmatch(line)
    # A backtick after the mark makes the line a piece of inline code.
    return None if found is None or "`" in found["info"] else found


def _end(lines: Sequence[str], at: int, fence: re.Match[str]) -> tuple[int, bool]:
    """Return the line at which the block that opens at `at` ends, and whether it is closed."""
    closings: list[int] = []
    reopened: list[int] = []
    for number in range(at + 1, len(lines)):
        inner = _opening(lines[number])
        if inner is None or not _same_kind(inner, fence):
            continue
        (reopened if inner["info"].strip() else closings).append(number)
        if len(closings) + len(reopened) == _FENCES_TRIED:
            break
    for number in closings:
        # A docstring may hold fences of its own: the program goes on for as long as it must.
        if parsed(_body(lines[at + 1 : number], fence)) is not None:
            return number, True
    if closings and (not reopened or closings[0] < reopened[0]):
        return closings[0], True
    return (reopened[0] if reopened else len(lines)), False


def _same_kind(inner: re.Match[str], outer: re.Match[str]) -> bool:
    mark, own = inner["mark"], outer["mark"]
    close_by = len(inner["indent"]) <= len(outer["indent"]) + 3
    return mark[0] == own[0] and len(mark) >= len(own) and close_by


def _body(lines: Sequence[str], fence: re.Match[str]) -> str:
    body = "\n".join(lines)
    return textwrap.dedent(body) if fence["indent"] else body


def parsed(code: str) -> ast.Module | None:
    """Return the syntax tree of `code`, `None` where it has none; never warns.

    The warnings would speak of a model's code on the terminal of whoever runs the loop.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _does_something(tree: ast.Module) -> bool:
    """Return whether any statement has an effect, which a comment, word or number has not."""
    return any(_has_effect(statement) for statement in tree.body)


def _has_effect(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=value):
            return any(isinstance(node, _EFFECTS) for node in ast.walk(value))
        case ast.Pass():
            return False
        case ast.AnnAssign(value=value):
            return value is not None
        case _:
            return True
