"""A trace: the portable record of a run, one JSON object a line.

    {"line": "header", …}     format, version, run, parent, failure
    {"line": "settings", …}   one for each settings digest
    {"line": "task", …}
    {"line": "message", …}    each text once, after the message that it answers
    {"line": "turn", …}       the parts of a turn and the route that it took
    {"line": "end", …}        digests of the lines above, so that no change goes unseen

It is a pure function of the run's final state: nothing is recorded beside the checkpoints.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from opencodeinterpreter.graph.runs import Failure, Run
from opencodeinterpreter.nodes.records import Part, Record, StoredMessage, Task, Turn
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.canonical import canonical, digest
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.validation import first_problem

VERSION = 1
"""Traces of this version and older ones can be read."""

Route = tuple[str, ...]

_UUID = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"

NODE_OF: dict[Part, str] = {
    "drafts": "coder",
    "executions": "executor",
    "verdict": "judge",
    "feedback": "critic",
}
"""The node that makes each part of a turn."""


class Header(Frozen):
    """What a trace says of itself and where it came from."""

    line: Literal["header"] = "header"
    format: Literal["opencodeinterpreter trace"] = "opencodeinterpreter trace"
    version: int = Field(default=VERSION, ge=1, strict=True)
    run: str = Field(pattern=_UUID)
    parent: str | None = Field(default=None, pattern=_UUID)
    parent_turn: int | None = None
    created: str
    """UTC, ISO 8601."""
    failure: dict[str, str] | None = None
    """Node, owner and message of the outside failure that the run stopped at."""


class _SettingsLine(Frozen):
    line: Literal["settings"] = "settings"
    digest: str
    settings: dict[str, object]


class _TaskLine(Task):
    line: Literal["task"] = "task"


class _MessageLine(StoredMessage):
    line: Literal["message"] = "message"
    id: str


class _TurnLine(Turn):
    line: Literal["turn"] = "turn"
    route: Route


class Seal(Frozen):
    """Digests of a trace's lines: a replay cannot tell a changed clock time or reason otherwise."""

    line: Literal["end"] = "end"
    turns: tuple[str, ...]
    """One a turn's line."""
    rest: str
    """Of all other lines but the header."""


class Trace(Frozen):
    """A whole trace."""

    header: Header
    record: Record
    routes: tuple[Route, ...]
    """The nodes that ran in each turn, in order."""
    changed: int | None = None
    """In a trace read from a file, the first turn whose line does not match the file's seal, 0 for
    a line of another kind; `None` where nothing was changed since it was written.
    """

    def lines(self) -> Iterator[str]:
        """Yield the trace's lines, without line ends."""
        yield _line(self.header)
        rest, turns = list(_record_lines(self.record)), list(_turn_lines(self.record, self.routes))
        yield from rest
        yield from turns
        yield _line(_seal([json.loads(line) for line in (*rest, *turns)]))


def _seal(values: Sequence[dict[str, Any]]) -> Seal:
    """Return the seal of a trace's parsed lines, header and end aside."""
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


def _record_lines(record: Record) -> Iterator[str]:
    for at, settings in record.settings.items():
        yield _line(_SettingsLine(digest=at, settings=settings))
    for task in record.tasks:
        yield _line(_TaskLine(**dict(task)))
    for at, message in record.messages.items():
        yield _line(_MessageLine(id=at, **dict(message)))


def _turn_lines(record: Record, routes: tuple[Route, ...]) -> Iterator[str]:
    for turn, route in zip(record.turns, routes, strict=True):
        yield _line(_TurnLine(route=route, **dict(turn)))


def trace_of(run: Run) -> Trace:
    """Return the trace of a run as it stands; an unfinished run has one too."""
    header = Header(
        run=run.row.id,
        parent=run.row.parent,
        parent_turn=run.row.parent_turn,
        created=run.row.created,
        failure=_failure(run.failure),
    )
    routes = tuple(route_of(turn) for turn in run.record.turns)
    return Trace(header=header, record=run.record, routes=routes)


def route_of(turn: Turn) -> Route:
    """Return the nodes that ran in a turn, in order."""
    return tuple(
        node
        for part, node in NODE_OF.items()
        if getattr(turn, part) is not None and part not in turn.given
    )


def read_trace(lines: Iterable[str], name: str) -> Trace:
    """Parse a trace; raises InputError naming `name` and the line that is wrong.

    Digests are not checked here: a replay finds where a changed record first diverges.
    """
    reader = _Reader(name)
    for number, line in enumerate(lines, 1):
        if line.strip():
            reader.take(number, line)
    return reader.trace()


class _Reader:
    """Takes a trace's lines in order and checks each against those before it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.header: Header | None = None
        self.settings: dict[str, dict[str, object]] = {}
        self.tasks: list[Task] = []
        self.messages: dict[str, StoredMessage] = {}
        self.turns: list[Turn] = []
        self.routes: list[Route] = []
        self.sealed: list[dict[str, Any]] = []
        self.seal: Seal | None = None

    def take(self, number: int, line: str) -> None:
        """Parse one line; raises InputError with its number."""
        try:
            value = json.loads(line, parse_constant=_no_constant, parse_float=_finite)
            canonical(value).encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{self.name} line {number}: half a character in its text") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self.name} line {number}: no JSON: {error}") from error
        if not isinstance(value, dict):
            raise InputError(f"{self.name} line {number}: a trace line is a JSON object")
        try:
            self._take(value)
        except ValidationError as error:
            raise InputError(f"{self.name} line {number}: {first_problem(error)}") from error
        except InputError as error:
            raise InputError(f"{self.name} line {number}: {error}") from error

    def _take(self, value: dict[str, Any]) -> None:
        kind = value.get("line")
        if self.seal is not None:
            raise InputError("nothing may follow the end line")
        if self.header is None:
            if kind != "header":
                raise InputError("a trace begins with its header")
            self.header = _header(value)
        elif kind == "settings":
            settings = _SettingsLine.model_validate(value)
            with suppress(InputError):  # A prompt that cannot be filled shows in a replay.
                Settings.model_validate(settings.settings)
            models = settings.settings.get("models")
            if not isinstance(models, dict) or "coder" not in models:
                raise InputError("settings name no model for the coder")
            if "critic" not in settings.settings:
                raise InputError("settings name no critic")
            self.settings[settings.digest] = settings.settings
        elif kind == "task":
            task = _TaskLine.model_validate(value)
            if task.number != len(self.tasks) + 1:
                raise InputError(f"task {len(self.tasks) + 1} is missing")
            self.tasks.append(Task(**_without(task, "line")))
        elif kind == "message":
            self._message(_MessageLine.model_validate(value))
        elif kind == "turn":
            self._turn(_TurnLine.model_validate(value))
        elif kind == "end":
            self.seal = Seal.model_validate(value)
        else:
            raise InputError(f"unknown kind of line {kind!r}")
        if kind not in ("header", "end"):
            self.sealed.append(value)

    def _message(self, message: _MessageLine) -> None:
        if message.id in self.messages:
            raise InputError(f"message {message.id[:12]} stands here twice")
        if message.parent is not None and message.parent not in self.messages:
            raise InputError(f"message {message.id[:12]} answers one that does not come before it")
        self.messages[message.id] = StoredMessage(**_without(message, "line", "id"))

    def _turn(self, line: _TurnLine) -> None:
        turn = Turn(**_without(line, "line", "route"))
        if turn.number != len(self.turns) + 1:
            raise InputError(f"turn {len(self.turns) + 1} is missing")
        if turn.settings not in self.settings:
            raise InputError(f"turn {turn.number} names settings that the trace does not hold")
        if not 1 <= turn.task <= len(self.tasks):
            raise InputError(f"turn {turn.number} names task {turn.task}, which is not there")
        if turn.drafts is None or not 0 <= turn.chosen < len(turn.drafts):
            raise InputError(f"turn {turn.number} has no draft number {turn.chosen + 1}")
        if turn.executions is not None and len(turn.executions) != len(turn.drafts):
            raise InputError(f"turn {turn.number} has not one execution for each draft")
        if missing := [name for name in turn.named_messages() if name not in self.messages]:
            raise InputError(f"turn {turn.number} names an unknown message, {missing[0][:12]}")
        self.turns.append(turn)
        self.routes.append(line.route)

    def trace(self) -> Trace:
        """Return what was read; raises InputError for a trace without a task."""
        if self.header is None or not self.tasks:
            raise InputError(f"{self.name} holds no {'header' if self.header is None else 'task'}")
        if self.seal is None:
            raise InputError(f"{self.name} has no end line: it was cut off; export the run again")
        record = Record(
            tasks=tuple(self.tasks),
            settings=self.settings,
            messages=self.messages,
            turns=tuple(self.turns),
        )
        routes = tuple(self.routes)
        changed = _first_change(self.seal, _seal(self.sealed))
        return Trace(header=self.header, record=record, routes=routes, changed=changed)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large a number")
    return number


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _header(value: dict[str, Any]) -> Header:
    version = value.get("version")
    if isinstance(version, int) and version > VERSION:
        raise InputError(
            f"the trace has version {version} and this release reads up to {VERSION}; "
            "install a newer opencodeinterpreter"
        )
    return Header.model_validate(value)


def _failure(failure: Failure | None) -> dict[str, str] | None:
    if failure is None:
        return None
    return {"node": failure.node, "owner": failure.owner, "message": failure.message}


def _without(model: BaseModel, *fields: str) -> dict[str, Any]:
    return {name: value for name, value in dict(model).items() if name not in fields}


def _line(model: BaseModel) -> str:
    return json.dumps(model.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"))
