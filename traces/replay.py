"""Replay: the same graph over a record's own answers; nothing live, nothing needed.

Given parts stand as they are, and the graph starts at the first part that a node made. Equal means
every field but the run's id and clock times, which a trace's header alone holds.
"""

from collections.abc import Iterable
from itertools import groupby, takewhile
from typing import Any

from pydantic import BaseModel, ConfigDict

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.nodes.prompts import installed_prompts
from opencodeinterpreter.nodes.records import PARTS, Part, Record, Turn
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import by_key, by_number
from opencodeinterpreter.tools.canonical import canonical, digest
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.traces.recorded import (
    Diverged,
    NotRecorded,
    RecordedPerson,
    RecordedRunner,
    recorded_models,
)
from opencodeinterpreter.traces.trace import NODE_OF, Trace

_SHOWN = 200


class Divergence(BaseModel):
    """Where a replay first left its record, and how."""

    model_config = ConfigDict(frozen=True)

    turn: int
    node: str
    how: str


class Replay(BaseModel):
    """What a replay found."""

    model_config = ConfigDict(frozen=True)

    run: str
    turns: int
    """Turns in the record."""
    replayed: int
    """Parts of turns that were made again."""
    divergence: Divergence | None = None

    @property
    def identical(self) -> bool:
        """Whether every part came out as recorded."""
        return self.divergence is None


async def replay(trace: Trace, *, today: bool = False) -> Replay:
    """Run the graph over the trace's own answers and compare each part with the recorded one.

    With `today` the prompts are those now installed instead of the trace's own.
    """
    walk = _Walk(trace, today)
    found: Divergence | None = None
    try:
        await walk.run()
        if trace.changed is not None:
            what = "the turn's line" if trace.changed else "a line of settings, task or messages"
            raise Diverged(trace.changed or 1, "trace", f"{what} was changed after it was written")
    except Diverged as error:
        found = Divergence(turn=error.turn, node=error.node, how=error.how)
    turns = len(trace.record.turns)
    return Replay(run=trace.header.run, turns=turns, replayed=walk.replayed, divergence=found)


class _Walk:
    """One pass of the graph beside a record."""

    def __init__(self, trace: Trace, today: bool) -> None:
        self.record = trace.record
        self.today = today
        self.routes = trace.routes
        self.state: dict[str, Any] = _stem(trace.record)
        self.visited: dict[int, int] = {}
        self.replayed = 0

    async def run(self) -> None:
        """Replay the turns, as long as a task and its models last; raises Diverged."""
        if self.today:
            for settings in self.state["settings"].values():
                settings["prompts"] = installed_prompts()
        for (task, _), group in groupby(self.record.turns, self._setting):
            turns = tuple(group)
            if all(_kept(turn) == _held(turn) for turn in turns):
                continue
            self.state["tasks"] = [one.model_dump(mode="json") for one in self.record.tasks[:task]]
            await self._turns(turns)
        self._complete()

    def _setting(self, turn: Turn) -> tuple[int, object]:
        return turn.task, self.record.settings[turn.settings]["models"]

    async def _turns(self, turns: tuple[Turn, ...]) -> None:
        settings, *_ = [self._settings(turn) for turn in turns]
        if self.today:
            settings = settings.model_copy(update={"prompts": installed_prompts()})
        models = recorded_models(settings.models, self.record, turns)
        graph = build_graph(models, RecordedRunner(turns), RecordedPerson(self.record))
        seed: Any = {**self.state}
        try:
            async for part in graph.astream(seed, context=settings, stream_mode="updates"):
                for node, update in part.items():
                    self._take(node, update)
        except NotRecorded:
            if (missing := self._missing(turns)) is not None:
                raise Diverged(*missing, "the replay asks for what was not recorded") from None

    def _settings(self, turn: Turn) -> Settings:
        try:
            return Settings.model_validate(self.record.settings[turn.settings])
        except InputError as error:
            raise Diverged(turn.number, "coder", f"its settings cannot be used: {error}") from None

    def _take(self, node: str, update: dict[str, Any]) -> None:
        """Compare what a node made with the record, then go on from it."""
        number: int = update["turns"][0]["number"]
        if self._missing(self.record.turns) is None:
            raise NotRecorded  # The run was not finished.
        if number > len(self.record.turns):
            raise Diverged(number, node, "the record ends before this turn")
        self._route(number, node)
        self.state["turns"] = by_number(self.state.get("turns"), [update["turns"]])
        for channel in ("messages", "settings"):
            self.state[channel] = by_key(self.state.get(channel), [update.get(channel, {})])
        for made in update["turns"]:
            self._compare(node, made)
        self.replayed += 1

    def _route(self, number: int, node: str) -> None:
        step = self.visited.get(number, 0)
        recorded = self.routes[number - 1][step : step + 1]
        if recorded != (node,):
            went = recorded[0] if recorded else "end"
            raise Diverged(number, node, f"the record went to {went!r}, the replay to {node!r}")
        self.visited[number] = step + 1

    def _compare(self, node: str, made: dict[str, Any]) -> None:
        number: int = made["number"]
        if number > len(self.record.turns):
            raise Diverged(number, node, "the record ends before this turn")
        turn = self.record.turns[number - 1]
        recorded = turn.model_dump(mode="json")
        for field in _fields_made(made):
            if field == "settings" and self.today:
                continue  # They differ by their prompts; requests show whether that matters.
            if field == "settings":
                # An older version's have another digest once what they lack has its default.
                recorded[field] = self._settings(turn).digest
            if made[field] != recorded[field]:
                how = _first_difference(field, recorded[field], made[field])
                raise Diverged(number, node, how)

    def _missing(self, turns: Iterable[Turn]) -> tuple[int, str] | None:
        """Return the turn and node of the first part of these turns that was not made again."""
        again = {turn["number"]: turn for turn in self.state.get("turns", ())}
        for turn in turns:
            for part in _held(turn):
                if again.get(turn.number, {}).get(part) is None:
                    return turn.number, NODE_OF[part]
        return None

    def _complete(self) -> None:
        """Check that the whole record was met: its parts, routes, settings and messages."""
        if (missing := self._missing(self.record.turns)) is not None:
            raise Diverged(*missing, "the replay ends before this part of the record")
        for turn, route in zip(self.record.turns, self.routes, strict=True):
            if extra := route[self.visited.get(turn.number, 0) :]:
                raise Diverged(turn.number, extra[0], "the replay does not go there")
        for key, settings in self.record.settings.items():
            if digest(settings) != key:
                turns = [turn.number for turn in self.record.turns if turn.settings == key]
                raise Diverged((turns or [1])[0], "coder", "the settings do not match their digest")
        for turn in self.record.turns:
            for at, message in self.record.messages_of([turn]).items():
                if digest(message.model_dump(mode="json")) != at:
                    raise Diverged(turn.number, "coder", "a message does not match its digest")
        if extra_messages := self.record.messages.keys() - self.state["messages"].keys():
            first = min(extra_messages)[:12]
            raise Diverged(1, "coder", f"message {first} is recorded and nothing made it")


def _held(turn: Turn) -> tuple[Part, ...]:
    return tuple(part for part in PARTS if getattr(turn, part) is not None)


def _kept(turn: Turn) -> tuple[Part, ...]:
    """Return a turn's given parts up to the first that a node made."""
    return tuple(takewhile(lambda part: part in turn.given, _held(turn)))


def _stem(record: Record) -> dict[str, Any]:
    """Return the state before the first part that a node made."""
    turns: list[Turn] = []
    for turn in record.turns:
        kept = _kept(turn)
        if kept:
            made: dict[str, Any] = {part: None for part in PARTS if part not in kept}
            turns.append(turn.model_copy(update=made))
        if kept != _held(turn):
            break
    kept_record = Record(
        tasks=record.tasks[:1],
        settings=record.settings,
        messages=record.messages_of(turns),
        turns=tuple(turns),
    )
    return kept_record.model_dump(mode="json")


def _fields_made(made: dict[str, Any]) -> list[str]:
    """Return the fields of a write that its node decided on: a whole turn's unset ones are none."""
    return [field for field, value in made.items() if value is not None and field != "chosen"] + (
        ["chosen"] if made.get("executions") is not None else []
    )


def _first_difference(place: str, recorded: Any, made: Any) -> str:
    """Name the first place where two JSON values differ, and both values there."""
    if isinstance(recorded, dict) and isinstance(made, dict) and recorded.keys() == made.keys():
        for key, value in recorded.items():
            if value != made[key]:
                return _first_difference(f"{place}.{key}", value, made[key])
    if isinstance(recorded, list) and isinstance(made, list) and len(recorded) == len(made):
        for index, value in enumerate(recorded):
            if value != made[index]:
                return _first_difference(f"{place}.{index}", value, made[index])
    return f"{place}: recorded {_short(recorded)}, replayed {_short(made)}"


def _short(value: Any) -> str:
    text = canonical(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
