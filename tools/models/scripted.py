"""`scripted:FILE`: replies from a TOML file, for demonstrations and tests.

    [[coder]]
    reply = '''...'''            # or replies = ['''...''', '''...'''], one per draft
    delay = 0.5                  # optional, seconds
    [[coder]]
    when = "Execution result"    # optional: text that the last message must contain
    reply = '''...'''
    [[critic]]
    reply = "..."

The model keeps no state between calls, so a resumed run gets the same replies as an uninterrupted
one. The conversation determines the coder's next reply: entry j + 1 follows entry j if the last
message contains its `when` text; otherwise entry j is repeated. The last entry is repeated from
then on. If the last assistant message is not in the file (a person edited it), or a later turn is
asked for without one (`retry.form`), the number of the turn decides. Critic and judge reply by the
number of the turn. If an entry has several `replies`, the n-th call of a turn (the n-th draft, or a
repeated question) gets the n-th, and later calls get the last.
"""

import asyncio
import time
import tomllib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from opencodeinterpreter.tools.errors import InputError, ModelError
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Message, Request, Response, Role
from opencodeinterpreter.tools.models.spec import Spec
from opencodeinterpreter.tools.validation import first_problem

_ROLES: tuple[Role, ...] = ("coder", "critic", "judge")


class _Entry(Frozen):
    reply: str | None = None
    replies: tuple[str, ...] = ()
    delay: float = Field(default=0.0, ge=0)
    when: str | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.reply is None) == (not self.replies):
            raise ValueError("give either reply or replies")
        return self

    @property
    def texts(self) -> tuple[str, ...]:
        return self.replies if self.reply is None else (self.reply,)

    def said(self, text: str) -> bool:
        return any(text.strip() == own.strip() for own in self.texts)


class ScriptFileModel:
    """Answers each role from its entries; see the module's docstring for the rules."""

    def __init__(self, name: str, spec: str, entries: Mapping[Role, tuple[_Entry, ...]]) -> None:
        self._name = name
        self._spec = spec
        self._entries = entries

    @property
    def spec(self) -> str:
        """The spec string, `scripted:FILE`."""
        return self._spec

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles that have entries in the file."""
        return tuple(role for role, entries in self._entries.items() if entries)

    async def complete(self, request: Request) -> Response:
        """Answer `request`; raises ModelError if the file has no entries for its role."""
        started = time.monotonic()
        entries = self._entries[request.at.role]
        if not entries:
            raise ModelError(
                f"model {self._spec}: the file has no [[{request.at.role}]] entries; "
                f"add one, or use another model for the {request.at.role}"
            )
        if request.at.role == "coder":
            entry = entries[_coder_index(entries, request)]
        else:
            entry = entries[min(request.at.turn, len(entries)) - 1]
        await asyncio.sleep(entry.delay)
        return Response(
            text=entry.texts[min(request.at.number, len(entry.texts)) - 1],
            model=f"scripted:{self._name}",
            seconds=time.monotonic() - started,
        )


@asynccontextmanager
async def open_scripted(spec: Spec, options: ModelOptions) -> AsyncIterator[ScriptFileModel]:
    """Yield the model of a `scripted:` spec; raises InputError as `load_scripted` does."""
    yield await asyncio.to_thread(load_scripted, Path(spec.name), spec.text)


def load_scripted(path: Path, spec: str) -> ScriptFileModel:
    """Read the file at `path`; raises InputError with the file and the wrong entry."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{spec}: there is no file {path}") from None
    except OSError as error:
        raise InputError(f"{spec}: {path} cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid TOML: {error}") from None
    entries = {role: _entries(path, role, content.get(role, [])) for role in _ROLES}
    if not any(entries.values()):
        raise InputError(f"{path} has no replies: add a [[coder]] entry with a reply")
    return ScriptFileModel(path.stem, spec, entries)


def _entries(path: Path, role: Role, raw: Any) -> tuple[_Entry, ...]:
    if not isinstance(raw, list):
        raise InputError(f"{path}: {role} must be a list of entries: write [[{role}]]")
    found: list[_Entry] = []
    for number, item in enumerate(raw, start=1):
        try:
            entry = _Entry.model_validate(item)
        except ValidationError as error:
            raise InputError(f"{path}: {role} entry {number}: {_complaint(error)}") from None
        if role != "coder" and entry.when is not None:
            raise InputError(f"{path}: {role} entry {number}: `when` is for [[coder]] only")
        found.append(entry)
    return tuple(found)


def _complaint(error: ValidationError) -> str:
    problem = first_problem(error)
    if problem.kind == "extra_forbidden":
        return f"unknown key {problem.place!r}; known are {', '.join(_Entry.model_fields)}"
    return str(problem)


def _coder_index(entries: tuple[_Entry, ...], request: Request) -> int:
    """Return the index of the entry for a coder's request."""
    said = _last_assistant(request.messages)
    before = request.at.turn - 2
    if said is None and before < 0:
        return 0
    spoken = [index for index, entry in enumerate(entries) if said and entry.said(said)]
    # If the same reply occurs more than once, the turn decides.
    current = min(spoken, key=lambda index: abs(index - before)) if spoken else before
    current = min(max(current, 0), len(entries) - 1)
    following = min(current + 1, len(entries) - 1)
    when = entries[following].when
    return following if when is None or when in request.messages[-1].content else current


def _last_assistant(messages: tuple[Message, ...]) -> str | None:
    said = (message.content for message in reversed(messages) if message.role == "assistant")
    return next(said, None)
