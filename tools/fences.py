"""Find the fenced code blocks of a Markdown answer, including malformed ones that models write."""

import json
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from opencodeinterpreter.tools.python_syntax import parsed

_PYTHON = re.compile(r"(?:i?python|py|sage|tool_code)(?:[ ]?\d(?:\.\d+)*)?", re.IGNORECASE)
_LIST_ITEM = r"(?:[-*+]|\d{1,3}[.)])[ \t]+"
_FENCE = re.compile(rf"(?P<indent>[ \t>]*(?:{_LIST_ITEM})?)(?P<mark>`{{3,}}|~{{3,}})(?P<info>.*)")
_GLUED_OPENING = re.compile(r"`{3,}[\w.+-]+[ \t]*")
_ONE_LINE = re.compile(r"(?P<mark>`{3,})(?P<info>[\w.]+)[ \t]+(?P<code>[^`]+?)[ \t]*`{3,}[ \t]*")
_LANGUAGE = re.compile(r"\{?[ ]*\.?(?P<language>(?:i?python|py)[ ]?\d(?:\.\d+)*|[\w+#-]*)", re.I)
_NAME = r"(?P<name>[\w./\\~-]*\w\.\w+)"
_INFO_NAME = re.compile(rf"(?:^|[\s=:\"'{{]){_NAME}(?=$|[\s\"'}},])")
_COMMENT_NAME = re.compile(rf"\s*#\s*(?:file(?:name)?\s*:\s*)?{_NAME}\s*", re.IGNORECASE)
_HEADING_NAME = re.compile(
    rf"[\s#>*_`\"'\d.)-]*?(?:file(?:name)?\b[\s:*_`\"']*)?{_NAME}[\s*_`\"':]*", re.IGNORECASE
)
_LONGEST_NAMING_LINE = 200
_FENCES_TRIED = 16
"""How many fences a program's own strings may contain."""
_TOOL_CALL = re.compile(r"<tool_call>\s*(?P<call>\{.*?\})\s*(?:</tool_call>|\Z)", re.DOTALL)
_CODE_ARGUMENTS = ("code", "source", "python", "program", "content")
"""The arguments of a tool in which models write a program."""
_WRAPPERS = {"[PYTHON]": "[/PYTHON]", "<code>": "</code>", "<python>": "</python>"}
"""Lines that some models write in place of fences, with their closing lines."""


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    language: str
    """In lower case; empty for an untagged block."""
    name: str | None
    """The file name that the block gives itself."""
    body: str
    closed: bool
    """Whether its closing fence was found."""
    heading: str = ""
    """The last line of text before it."""

    @property
    def is_python(self) -> bool:
        """Whether it is tagged as Python."""
        return _PYTHON.fullmatch(self.language) is not None


def fenced_blocks(text: str) -> list[Block]:
    """Return the blocks of `text` that are not empty, in order; never raises."""
    lines = _unwrapped(text.split("\n"))
    return [block for block in _blocks(lines) if block.body.strip()]


def with_called_code(text: str) -> str:
    """Return a text in which calls of tools, written as text, are blocks of the code in them."""
    return _TOOL_CALL.sub(_block_of_call, text)


def _block_of_call(call: re.Match[str]) -> str:
    try:
        told = json.loads(call["call"], strict=False)
        arguments = told["arguments"]
        if isinstance(arguments, str):
            arguments = json.loads(arguments, strict=False)
        code = next(arguments[name] for name in _CODE_ARGUMENTS if name in arguments)
    except (ValueError, TypeError, LookupError, StopIteration, RecursionError):
        return call[0]
    return f"\n~~~~~~python\n{code}\n~~~~~~\n" if isinstance(code, str) else call[0]


def _unwrapped(lines: Sequence[str]) -> list[str]:
    """Return the lines with all marks around code rewritten as fences on separate lines."""
    found: list[str] = []
    closing = ""
    fenced = False
    for line in lines:
        fence = _opening(line)
        word = line.strip()
        if fence:
            fenced = not fenced
            found.append(line)
        elif closing and word.lower() == closing.lower():
            found.append("```")
            closing = ""
        elif not fenced and not closing and word in _WRAPPERS:
            found.append("```python")
            closing = _WRAPPERS[word]
        elif not fenced and (one := _ONE_LINE.fullmatch(word)) and _PYTHON.fullmatch(one["info"]):
            found += [f"{one['mark']}{one['info']}", one["code"], one["mark"]]
        elif not fenced and (at := line.find("```")) > 0 and _GLUED_OPENING.fullmatch(line, at):
            found += [line[:at], line[at:]]
            fenced = True
        else:
            found.append(line)
    return found


def _blocks(lines: Sequence[str]) -> Iterator[Block]:
    at = 0
    while at < len(lines):
        fence = _opening(lines[at])
        if fence is None:
            at += 1
            continue
        end, closed, last = _end(lines, at, fence)
        yield _block(lines, at, [*lines[at + 1 : end], *last], fence, closed)
        at = end + 1 if closed else end


def _block(
    lines: Sequence[str], at: int, inner: Sequence[str], fence: re.Match[str], closed: bool
) -> Block:
    info = fence["info"].strip()
    found = _LANGUAGE.match(info)
    language = found["language"].lower() if found else ""
    after = info[found.end() :] if found and _PYTHON.fullmatch(language) else info
    name = _name(_INFO_NAME.search, after)
    if name and info.startswith(name):
        language = "python" if name.endswith(".py") else "file"
    body = _body(inner, fence)
    if name is None and (_PYTHON.fullmatch(language) or not language):
        name = _name(_COMMENT_NAME.fullmatch, body.lstrip("\n").split("\n", 1)[0])
    heading = next((line for line in reversed(lines[max(at - 2, 0) : at]) if line.strip()), "")
    if name is None:
        name = _name(_HEADING_NAME.fullmatch, heading)
    return Block(language, name, body, closed, heading)


def _name(matching: Callable[[str], re.Match[str] | None], line: str) -> str | None:
    """Return the file that `line` names if it is a relative path that stays in its folder."""
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
    # A backtick after the mark means inline code.
    return None if found is None or "`" in found["info"] else found


def _end(lines: Sequence[str], at: int, fence: re.Match[str]) -> tuple[int, bool, tuple[str, ...]]:
    """Return the line at which the block opened at `at` ends, and whether it is closed.

    The third value is the code before the closing fence on that line.
    """
    closings: list[int] = []
    reopened: list[int] = []
    for number in range(at + 1, len(lines)):
        inner = _opening(lines[number])
        if inner is None or not _same_kind(inner, fence):
            continue
        (reopened if inner["info"].strip() else closings).append(number)
        if len(closings) + len(reopened) == _FENCES_TRIED:
            break
    first = min([*closings[:1], *reopened[:1]], default=len(lines))
    if glued := _glued_closing(lines, at, first, fence):
        return glued
    for number in closings:
        # A docstring may contain fences: the block continues until the program is complete.
        if parsed(_body(lines[at + 1 : number], fence)) is not None:
            return number, True, ()
    if closings and (not reopened or closings[0] < reopened[0]):
        return closings[0], True, ()
    return (reopened[0] if reopened else len(lines)), False, ()


def _glued_closing(
    lines: Sequence[str], at: int, before: int, fence: re.Match[str]
) -> tuple[int, bool, tuple[str, ...]] | None:
    """Return the end of a block whose closing fence follows its last line of code directly."""
    mark = fence["mark"]
    tried = 0
    for number in range(at + 1, before):
        code = lines[number].rstrip()
        if not code.endswith(mark) or code.strip(" \t>").startswith(mark):
            continue
        last = code[: -len(mark)]
        if parsed(_body([*lines[at + 1 : number], last], fence)) is not None:
            return number, True, (last,)
        tried += 1
        if tried == _FENCES_TRIED:
            break
    return None


def _same_kind(inner: re.Match[str], outer: re.Match[str]) -> bool:
    mark, own = inner["mark"], outer["mark"]
    close_by = len(inner["indent"]) <= len(outer["indent"]) + 3
    return mark[0] == own[0] and len(mark) >= len(own) and close_by


def _body(lines: Sequence[str], fence: re.Match[str]) -> str:
    if ">" in fence["indent"]:
        lines = [re.sub(r"^[ \t]*>[ ]?", "", line) for line in lines]
    body = "\n".join(lines)
    return textwrap.dedent(body) if fence["indent"] else body
