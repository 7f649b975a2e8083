"""A trace: the portable record of a run, one JSON object per line.

    {"line": "header", …}     format, version, run, parent, failure
    {"line": "settings", …}   one for each settings digest
    {"line": "task", …}
    {"line": "text", …}       each message to or from a model once, after the one that it answers
    {"line": "artifact", …}   the content of a file that a program wrote
    {"line": "turn", …}       the parts of a turn and the route that it took
    {"line": "end", …}        digests of the lines above, which reveal any change

Version 1 named a text `message`. A trace is a pure function of the run's final state: nothing is
recorded beside the checkpoints.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from opencodeinterpreter.graph.consistency import check_turn
from opencodeinterpreter.graph.runs import Failure, Run
from opencodeinterpreter.nodes.records import Part, Record, StoredMessage, Task, Turn
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.canonical import canonical, digest
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.strict_json import loads_finite
from opencodeinterpreter.tools.validation import Problem, first_problem

VERSION = 2
"""The version that is written; it and older ones can be read.

Raise it if an older release would misread what is new, or if what exists changes its form. A new
field or a new value of a field, such as another kind of critic, needs no new version: an older
release refuses the line and says that a newer release may have written it.
"""
_NEWER_KINDS = ("literal_error", "extra_forbidden")
"""Pydantic's error types for a value and a field that this release does not know."""
_PERHAPS_NEWER = "perhaps a newer release wrote it"

_TOO_LARGE = "it holds a whole number of more than 64 bits"

Route = tuple[str, ...]

_UUID = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"

_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?([+-]\d\d:\d\d|Z)?$"
MAX_DEPTH = 240
"""How deep a line may be nested: a store holds 255 levels, and some are its own."""

NODE_OF: dict[Part, str] = {
    "drafts": "coder",
    "executions": "executor",
    "verdict": "judge",
    "feedback": "critic",
}
"""The node that makes each part of a turn."""


class Header(Frozen):
    """Identity and origin of a trace."""

    line: Literal["header"] = "header"
    format: Literal["opencodeinterpreter trace"] = "opencodeinterpreter trace"
    version: int = Field(default=VERSION, ge=1, strict=True)
    run: str = Field(pattern=_UUID)
    parent: str | None = Field(default=None, pattern=_UUID)
    parent_turn: int | None = Field(default=None, ge=0)
    created: str = Field(pattern=_TIME)
    """UTC, ISO 8601."""
    failure: Failure | None = None
    """Node, owner and message of the outside failure that stopped the run."""
    growing: bool = Field(default=False, exclude_if=lambda growing: not growing)
    """Whether the file was written while the run went on. A turn's line then stands in it once for
    each node that added to the turn, of which the last counts, and its end may be missing.
    """


class _SettingsLine(Frozen):
    line: Literal["settings"] = "settings"
    digest: str
    settings: dict[str, object]


class _TaskLine(Task):
    line: Literal["task"] = "task"


class _TextLine(StoredMessage):
    line: Literal["text", "message"] = "text"
    id: str


class _ArtifactLine(Frozen):
    line: Literal["artifact"] = "artifact"
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    content: str
    """Base64."""


class _TurnLine(Turn):
    line: Literal["turn"] = "turn"
    route: Route


class Seal(Frozen):
    """Digests of a trace's lines. They reveal changes that a replay cannot, such as a reason."""

    line: Literal["end"] = "end"
    turns: tuple[str, ...]
    """One per turn."""
    rest: str
    """Of all other lines except the header."""


_Line = Annotated[
    Header | _SettingsLine | _TaskLine | _TextLine | _ArtifactLine | _TurnLine | Seal,
    Field(discriminator="line"),
]


def line_schema() -> dict[str, Any]:
    """Return the JSON Schema of a trace's line."""
    found = TypeAdapter[Any](_Line).json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


class Trace(Frozen):
    """A whole trace."""

    header: Header
    record: Record
    routes: tuple[Route, ...]
    """The nodes that ran in each turn, in order."""
    changed: int | None = None
    """For a trace read from a file: the first turn whose line does not match the end line, 0 for
    another line; `None` if nothing was changed.
    """
    cut: str = ""
    """For a file that was still growing: what its end lacks."""

    def lines(self) -> Iterator[str]:
        """Yield the trace's lines, without line ends."""
        yield line_of(self.header)
        rest, turns = list(record_lines(self.record)), list(turn_lines(self.record, self.routes))
        yield from rest
        yield from turns
        yield line_of(seal([json.loads(line) for line in (*rest, *turns)]))


def seal(values: Sequence[dict[str, Any]]) -> Seal:
    """Return the seal of a trace's parsed lines; `values` excludes the header and the end line."""
    turns = [value for value in values if value.get("line") == "turn"]
    rest = [value for value in values if value.get("line") != "turn"]
    return Seal(turns=tuple(digest(turn) for turn in turns), rest=digest(rest))


def _first_change(held: Seal, found: Seal) -> int | None:
    if held == found:
        return None
    if held.rest != found.rest:
        return 0
    pairs = enumerate(zip(held.turns, found.turns, strict=False), 1)
    differing = (number for number, (old, new) in pairs if old != new)
    return next(differing, min(len(held.turns), len(found.turns)) + 1)


def record_lines(record: Record) -> Iterator[str]:
    """Yield the lines of all but the turns."""
    for at, settings in record.settings.items():
        yield line_of(_SettingsLine(digest=at, settings=settings))
    for task in record.tasks:
        yield line_of(_TaskLine(**dict(task)))
    for at, text in record.texts.items():
        yield line_of(_TextLine(id=at, **dict(text)))
    for sha256, content in record.artifacts.items():
        yield line_of(_ArtifactLine(sha256=sha256, content=content))


def turn_lines(record: Record, routes: tuple[Route, ...]) -> Iterator[str]:
    """Yield a line for each turn."""
    for turn, route in zip(record.turns, routes, strict=True):
        yield line_of(_TurnLine(route=route, **dict(turn)))


def trace_of(run: Run) -> Trace:
    """Return the trace of a run, also of an unfinished one."""
    header = Header(
        run=run.row.id,
        parent=run.row.parent,
        parent_turn=run.row.parent_turn,
        created=run.row.created,
        failure=run.failure,
    )
    routes = tuple(route_of(turn) for turn in run.record.turns)
    # An edit by `update_state` leaves the texts of what it replaced.
    record = run.record.model_copy(update={"texts": run.record.texts_of(run.record.turns)})
    return Trace(header=header, record=record, routes=routes)


def route_of(turn: Turn) -> Route:
    """Return the nodes that ran in a turn, in order."""
    return tuple(
        node
        for part, node in NODE_OF.items()
        if getattr(turn, part) is not None and part not in turn.given
    )


def read_trace(lines: Iterable[str], name: str) -> Trace:
    """Parse a trace; raises InputError that names `name` and the invalid line.

    Digests are not checked here: a replay finds where a changed record first diverges.
    """
    reader = _Reader(name)
    held = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    for number, line in held:
        try:
            reader.take(number, line)
        except InputError:
            if number != held[-1][0] or not reader.growing:
                raise
            return reader.trace(torn=number)
    return reader.trace()


class _Reader:
    """Takes a trace's lines in order and checks each against the earlier ones."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.header: Header | None = None
        self.settings: dict[str, dict[str, object]] = {}
        self.tasks: list[Task] = []
        self.texts: dict[str, StoredMessage] = {}
        self.artifacts: dict[str, str] = {}
        self.turns: list[Turn] = []
        self.routes: list[Route] = []
        self.sealed: list[dict[str, Any]] = []
        self.seal: Seal | None = None

    def take(self, number: int, line: str) -> None:
        """Parse one line; raises InputError with its number."""
        try:
            value = loads_finite(line)
            canonical(value).encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{self.name} line {number}: invalid Unicode (unpaired surrogate)"
            ) from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self.name} line {number}: {_broken(line, error)}") from error
        if not isinstance(value, dict):
            raise InputError(f"{self.name} line {number}: a trace line is a JSON object")
        try:
            _check_storable(value)
            self._take(value)
        except ValidationError as error:
            raise InputError(f"{self.name} line {number}: {_told(first_problem(error))}") from error
        except InputError as error:
            raise InputError(f"{self.name} line {number}: {error}") from error

    def _take(self, value: dict[str, Any]) -> None:
        kind = value.get("line")
        if self.seal is not None:
            raise InputError("there are lines after the end line")
        if self.header is None:
            if kind != "header":
                raise InputError("the first line must be the header that `export` writes")
            self.header = _header(value)
        elif kind == "settings":
            settings = _SettingsLine.model_validate(value)
            with suppress(InputError):  # A replay reports a prompt that cannot be filled.
                Settings.model_validate(settings.settings)
            models = settings.settings.get("models")
            if not isinstance(models, dict) or "coder" not in models:
                raise InputError("the settings have no model for the coder")
            if "critic" not in settings.settings:
                raise InputError("the settings have no critic")
            self.settings[settings.digest] = settings.settings
        elif kind == "task":
            task = _TaskLine.model_validate(value)
            if task.number != len(self.tasks) + 1:
                raise InputError(f"task {len(self.tasks) + 1} is missing")
            self.tasks.append(Task(**_without(task, "line")))
        elif kind == ("message" if self.header.version == 1 else "text"):
            self._text(_TextLine.model_validate(value))
        elif kind == "artifact":
            artifact = _ArtifactLine.model_validate(value)
            self.artifacts[artifact.sha256] = artifact.content
        elif kind == "turn":
            self._turn(_TurnLine.model_validate(value))
        elif kind == "end":
            self.seal = Seal.model_validate(value)
        else:
            raise InputError(f"unknown kind of line {kind!r}; {_PERHAPS_NEWER}")
        if kind not in ("header", "end"):
            self.sealed.append(value)

    def _text(self, text: _TextLine) -> None:
        if text.id in self.texts:
            raise InputError(f"text {text.id[:12]} occurs twice")
        if text.parent is not None and text.parent not in self.texts:
            raise InputError(f"text {text.id[:12]} refers to a text that is not before it")
        self.texts[text.id] = StoredMessage(**_without(text, "line", "id"))

    @property
    def growing(self) -> bool:
        """Whether the file was written while its run went on, and has no end yet."""
        return self.header is not None and self.header.growing and self.seal is None

    def _turn(self, line: _TurnLine) -> None:
        turn = Turn(**_without(line, "line", "route"))
        if self.growing and self.turns and turn.number == self.turns[-1].number:
            self._forget_turn()
        number, tasks = len(self.turns) + 1, len(self.tasks)
        check_turn(turn, number, tasks, self.settings, self.texts)
        self.turns.append(turn)
        self.routes.append(line.route)

    def _forget_turn(self) -> None:
        """Forget the last turn, of which a later line tells more."""
        self.turns.pop()
        self.routes.pop()
        at = max(at for at, value in enumerate(self.sealed) if value["line"] == "turn")
        del self.sealed[at]

    def trace(self, torn: int | None = None) -> Trace:
        """Return the trace; raises InputError if its header, task or end line is missing.

        `torn`: the last line, if it was left out.
        """
        if self.header is None or not self.tasks:
            raise InputError(f"{self.name} has no {'header' if self.header is None else 'task'}")
        if self.seal is None and not self.growing:
            raise InputError(f"{self.name} has no end line: it is incomplete; export the run again")
        record = Record(
            tasks=tuple(self.tasks),
            settings=self.settings,
            texts=self.texts,
            turns=tuple(self.turns),
            artifacts=self.artifacts,
        )
        routes = tuple(self.routes)
        if self.seal is None:
            why = "it has no end yet, so that a change would go unseen"
            cut = f"line {torn} is torn and was left out; {why}" if torn else why
            return Trace(header=self.header, record=record, routes=routes, cut=cut)
        changed = _first_change(self.seal, seal(self.sealed))
        return Trace(header=self.header, record=record, routes=routes, changed=changed)


def _broken(line: str, error: ValueError | RecursionError) -> str:
    """Return why a line cannot be read."""
    if isinstance(error, json.JSONDecodeError):
        if error.pos >= len(line.rstrip()) or error.msg.startswith("Unterminated"):
            return "not JSON: the line breaks off; copy or export the file again"
        return f"not JSON: {error.msg} at character {error.pos + 1}"
    if "integer string conversion" in str(error):  # Python's own limit, 4300 digits
        return _TOO_LARGE
    return f"not JSON: {error}"


def _told(problem: Problem) -> str:
    return f"{problem}; {_PERHAPS_NEWER}" if problem.kind in _NEWER_KINDS else f"{problem}"


def _check_storable(line: dict[str, Any]) -> None:
    """Raise InputError for what no store holds: whole numbers over 64 bits, and deep nesting."""
    level: list[Any] = [line]
    for _ in range(MAX_DEPTH):
        for value in level:
            if isinstance(value, int) and not -(2**63) <= value < 2**63:
                raise InputError(_TOO_LARGE)
        level = [inner for value in level for inner in _inner(value)]
    if level:
        raise InputError(f"it is nested more than {MAX_DEPTH} levels deep")


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _header(value: dict[str, Any]) -> Header:
    version = value.get("version")
    if isinstance(version, int) and version > VERSION:
        raise InputError(
            f"the trace has version {version} and this release reads up to {VERSION}; "
            "install a newer opencodeinterpreter"
        )
    return Header.model_validate(value)


def _without(model: BaseModel, *fields: str) -> dict[str, Any]:
    return {name: value for name, value in dict(model).items() if name not in fields}


def line_of(model: BaseModel) -> str:
    """Return a part of a trace as its line, without the line end."""
    return json.dumps(model.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"))
