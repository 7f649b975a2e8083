"""Replay: run the same graph with a record's own answers, and compare; nothing runs live.

Given parts are kept, and the graph starts at the first part that a node made. All fields are
compared; the run's id and clock times are in the trace's header, which is not.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby, takewhile
from typing import Any

from pydantic import BaseModel, ConfigDict

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.graph.tracing import no_tracing
from opencodeinterpreter.nodes.records import PARTS, Part, Record, Turn
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import by_key, by_number
from opencodeinterpreter.tools.canonical import canonical, digest
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.protocol import Message
from opencodeinterpreter.traces.recorded import (
    Diverged,
    NotRecorded,
    RecordedPerson,
    RecordedRunner,
    difference,
    recorded_models,
)
from opencodeinterpreter.traces.trace import NODE_OF, Trace

_SHOWN = 200


Watch = Callable[[int], None]
"""Called after each part that was replayed, with the number of parts so far."""


class Divergence(BaseModel):
    """Where a replay first differs from its record, and how."""

    model_config = ConfigDict(frozen=True)

    turn: int
    node: str
    how: str


class Replay(BaseModel):
    """The result of a replay."""

    model_config = ConfigDict(frozen=True)

    run: str
    turns: int
    """Turns in the record."""
    replayed: int
    """How many parts of turns were replayed."""
    divergence: Divergence | None = None

    @property
    def identical(self) -> bool:
        """Whether every part is as recorded."""
        return self.divergence is None


def _unwatched(replayed: int) -> None:
    """Watch nothing."""


async def replay(
    trace: Trace, *, prompts: Mapping[str, str] | None = None, watch: Watch = _unwatched
) -> Replay:
    """Run the graph with the trace's own answers and compare each part with the recorded one.

    `prompts` replace those of the trace.
    """
    walk = _Walk(trace, prompts, watch)
    found: Divergence | None = None
    try:
        with no_tracing():
            await walk.run()
        if trace.changed is not None:
            what = "the turn's line" if trace.changed else "a line of settings, task or texts"
            raise Diverged(trace.changed or 1, "trace", f"{what} was changed after it was written")
    except Diverged as error:
        found = Divergence(turn=error.turn, node=error.node, how=error.how)
    turns = len(trace.record.turns)
    return Replay(run=trace.header.run, turns=turns, replayed=walk.replayed, divergence=found)


class _Walk:
    """One pass of the graph along a record."""

    def __init__(self, trace: Trace, prompts: Mapping[str, str] | None, watch: Watch) -> None:
        self.record = trace.record
        self.prompts = prompts
        self.watch = watch
        self.routes = trace.routes
        self.state: dict[str, Any] = stem_of(trace.record)
        self.visited: dict[int, int] = {}
        self.left = _missing_parts(trace.record, self.state["turns"])
        self.replayed = 0

    async def run(self) -> None:
        """Replay the turns in groups of the same task and models; raises Diverged."""
        if self.prompts is not None:
            for settings in self.state["settings"].values():
                settings["prompts"] = dict(self.prompts)
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
        if self.prompts is not None:
            settings = settings.model_copy(update={"prompts": dict(self.prompts)})
        models = recorded_models(settings.models, self.record, turns)
        graph = build_graph(models, RecordedRunner(turns), RecordedPerson(self.record))
        seed: Any = {**self.state}
        try:
            async for part in graph.astream(seed, context=settings, stream_mode="updates"):
                for node, update in part.items():
                    if update is not None and "turns" in update:
                        self._take(node, update)
        except NotRecorded:
            numbers = {turn.number for turn in turns}
            left = ((number, NODE_OF[part]) for number, part in self.left if number in numbers)
            if (missing := next(left, None)) is not None:
                raise Diverged(*missing, "the replay asks for what was not recorded") from None

    def _settings(self, turn: Turn) -> Settings:
        try:
            return Settings.model_validate(self.record.settings[turn.settings])
        except InputError as error:
            raise Diverged(turn.number, "coder", f"its settings cannot be used: {error}") from None

    def _take(self, node: str, update: dict[str, Any]) -> None:
        """Compare a node's write with the record, then add it to the state."""
        number: int = update["turns"][0]["number"]
        if not self.left:
            raise NotRecorded  # The run was not finished.
        if number > len(self.record.turns):
            raise Diverged(number, node, "the record ends before this turn")
        self._route(number, node)
        self.state["turns"] = by_number(self.state.get("turns"), [update["turns"]])
        for channel in ("texts", "settings"):
            self.state[channel] = by_key(self.state.get(channel), [update.get(channel, {})])
        for made in update["turns"]:
            self._compare(node, made)
            for part in PARTS:
                if made.get(part) is not None:
                    self.left.pop((made["number"], part), None)
        self.replayed += 1
        self.watch(self.replayed)

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
            if field == "settings" and self.prompts is not None:
                continue  # They differ in their prompts; the requests show whether that matters.
            if field == "settings":
                # Settings of an older version lack fields: their digest changes with the defaults.
                recorded[field] = self._settings(turn).digest
            if made[field] != recorded[field]:
                how = self._other_words(field, recorded[field], made[field])
                how = how or _first_difference(field, recorded[field], made[field])
                raise Diverged(number, node, how)

    def _other_words(self, field: str, recorded: Any, made: Any) -> str:
        """Return how the words of a feedback differ; empty if they do not, or for other parts."""
        if field != "feedback" or not recorded:
            return ""
        old = self.record.texts.get(recorded["message"])
        new = self.state["texts"].get(made["message"])
        if old is None or new is None or old.content == new["content"]:
            return ""
        was, now = (Message(role="user", content=each) for each in (old.content, new["content"]))
        return f"feedback.message differs from the recorded one:\n{difference([was], [now])}"

    def _complete(self) -> None:
        """Check that the whole record was replayed: its parts, routes, settings and messages."""
        for number, part in self.left:
            raise Diverged(number, NODE_OF[part], "the replay ends before this part of the record")
        for turn, route in zip(self.record.turns, self.routes, strict=True):
            if extra := route[self.visited.get(turn.number, 0) :]:
                raise Diverged(turn.number, extra[0], "the replay does not go there")
        for key, settings in self.record.settings.items():
            if digest(settings) != key:
                turns = [turn.number for turn in self.record.turns if turn.settings == key]
                raise Diverged((turns or [1])[0], "coder", "the settings do not match their digest")
        for at, message in self.record.texts.items():
            if digest(message.model_dump(mode="json")) != at:
                how = "a message does not match its digest"
                raise Diverged(self._first_naming(at), "coder", how)
        if extra_texts := self.record.texts.keys() - self.state["texts"].keys():
            first = min(extra_texts)[:12]
            raise Diverged(1, "coder", f"message {first} is recorded and nothing made it")

    def _first_naming(self, message: str) -> int:
        """Return the first turn that names a message or one after it; 1 if none does."""
        naming = (t.number for t in self.record.turns if message in self.record.texts_of([t]))
        return next(naming, 1)


def _missing_parts(record: Record, kept: Iterable[dict[str, Any]]) -> dict[tuple[int, Part], None]:
    """Return turn and name of the parts that the nodes must make again, in order."""
    again = {turn["number"]: turn for turn in kept}
    return {
        (turn.number, part): None
        for turn in record.turns
        for part in _held(turn)
        if again.get(turn.number, {}).get(part) is None
    }


def _held(turn: Turn) -> tuple[Part, ...]:
    return tuple(part for part in PARTS if getattr(turn, part) is not None)


def _kept(turn: Turn) -> tuple[Part, ...]:
    """Return a turn's given parts up to the first that a node made."""
    return tuple[Part, ...](takewhile(lambda part: part in turn.given, _held(turn)))


def stem_of(record: Record) -> dict[str, Any]:
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
        texts=record.texts_of(turns),
        turns=tuple(turns),
    )
    return kept_record.model_dump(mode="json")


def _fields_made(made: dict[str, Any]) -> list[str]:
    """Return the fields that a node set; a new turn's unset fields do not count."""
    return [field for field, value in made.items() if value is not None and field != "chosen"] + (
        ["chosen"] if made.get("executions") is not None else []
    )


def _first_difference(place: str, recorded: Any, made: Any) -> str:
    """Describe the first place where two JSON values differ, with both values."""
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
