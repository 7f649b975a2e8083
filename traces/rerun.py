"""Rerun: run the graph of a record again with some nodes live, and compare the results.

A node that is not live answers from the record, and only requests that were recorded. If a request
or program differs, the rerun stops and says which node would have to be live to continue.
"""

from collections.abc import Callable, Collection, Mapping
from itertools import groupby
from operator import attrgetter
from typing import Any, Literal, cast, get_args

from opencodeinterpreter.graph.build import Seams, build_loop
from opencodeinterpreter.nodes.records import Record, Turn
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import Input, by_key, by_number, read
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.models.protocol import Model, Request, Response, Role
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import Runner
from opencodeinterpreter.traces.diff import Diff, diff
from opencodeinterpreter.traces.recorded import (
    Diverged,
    NotRecorded,
    RecordedModel,
    RecordedPerson,
)
from opencodeinterpreter.traces.replay import stem_of
from opencodeinterpreter.traces.trace import Trace

LiveNode = Literal["coder", "executor", "judge", "critic"]


class Rerun(Frozen):
    """The result of a rerun."""

    live: tuple[LiveNode, ...]
    before: str
    """The recorded decision on the last turn: `solved`, `revise`, `stopped`, or `none`."""
    after: str
    """The decision of the rerun."""
    stopped: str
    """Where and why it could not continue; empty if it ended normally."""
    diff: Diff
    """The comparison of the record with the rerun."""


def settings_of_rerun(trace: Trace) -> dict[str, Settings]:
    """Return the settings under which the nodes of a trace made its turns, by digest.

    Raises InputError if no node made a turn.
    """
    record = trace.record
    settings = [
        Settings.model_validate(record.settings[turns[0].settings])
        for turns in _made(record).values()
    ]
    if not settings:
        raise InputError(
            f"run {trace.header.run[:8]} cannot be rerun: no node made a turn of it yet"
        )
    return {each.digest: each for each in settings}


def live_specs(settings: Settings, live: Collection[LiveNode]) -> dict[Role, str]:
    """Return the specs of the models that these live nodes need."""
    asked = {role for role in get_args(Role) if role in live}
    if "critic" in asked and "critic" not in settings.models:
        asked.add("coder")
    return {role: spec for role, spec in settings.models.items() if role in asked}


async def rerun(
    trace: Trace,
    live: Collection[LiveNode],
    models: Callable[[Settings], Mapping[Role, Model]],
    runner: Runner,
) -> Rerun:
    """Run a trace's graph again with the nodes in `live` live, and compare.

    Tasks of a chat follow each other as they did, whatever came out for those before them.
    `models` returns the opened models of `live_specs` for each of `settings_of_rerun`. Raises
    InputError as that does, ModelError and SandboxError.
    """
    settings_of_rerun(trace)
    record = _with_todays_fields(trace.record)
    runs = runner if "executor" in live else _RecordedPrograms(record)
    seams = Seams(_Answering(record, live, models), runs, RecordedPerson(record))
    graph, state, stopped = build_loop(seams), stem_of(record), ""
    try:
        for task, turns in _made(record).items():
            state["tasks"] = [each.model_dump(mode="json") for each in record.tasks[:task]]
            settings = Settings.model_validate(record.settings[turns[0].settings])
            async for part in graph.astream(
                cast(Input, {**state}), context=settings, stream_mode="updates"
            ):
                for update in part.values():
                    _add(state, update or {})
    except Diverged as error:
        why = error.how.splitlines()[0].removesuffix(":")
        stopped = f"turn {len(state['turns'])}: {error.node} is not live, and {why}"
    except NotRecorded:
        stopped = f"turn {len(state['turns'])}: the record holds no answer for what comes next"
    again = read(state).model_copy(update={"tasks": record.tasks})
    return Rerun(
        live=tuple(node for node in get_args(LiveNode) if node in live),
        before=_decision(record),
        after=_decision(again),
        stopped=stopped,
        diff=diff(record, again),
    )


def _made(record: Record) -> dict[int, list[Turn]]:
    """Return the turns of which nodes made a part, by the number of their task."""
    made = (turn for turn in record.turns if len(turn.given) < len(_parts(turn)))
    return {task: list(turns) for task, turns in groupby(made, attrgetter("task"))}


def _with_todays_fields(record: Record) -> Record:
    """Return the record with the settings as nodes use them: older ones lack fields and prompts."""
    settings = {
        name: Settings.model_validate(values).model_dump(mode="json")
        for name, values in record.settings.items()
    }
    return record.model_copy(update={"settings": settings})


def _add(state: dict[str, Any], update: Mapping[str, Any]) -> None:
    """Add a node's write to the state, as the graph's channels do."""
    state["turns"] = by_number(state.get("turns"), [update.get("turns", [])])
    for channel in ("texts", "settings", "artifacts"):
        state[channel] = by_key(state.get(channel), [update.get(channel, {})])


def _parts(turn: Turn) -> list[object]:
    held = (turn.drafts, turn.executions, turn.verdict, turn.feedback)
    return [part for part in held if part is not None]


def _decision(record: Record) -> str:
    return record.outcome.decision if record.outcome else "none"


class _Answering:
    """Gives each role a model that is live if its node is, and recorded otherwise."""

    def __init__(
        self,
        record: Record,
        live: Collection[LiveNode],
        opened: Callable[[Settings], Mapping[Role, Model]],
    ) -> None:
        self._record = record
        self._live = live
        self._opened = opened
        self._models: dict[str, dict[Role, Model]] = {}

    def settled(self, settings: Settings) -> Settings:
        return settings

    def of(self, settings: Settings) -> Mapping[Role, Model]:
        if (name := settings.digest) not in self._models:
            opened = self._opened(settings)
            if "coder" in opened:
                opened = {"critic": opened["coder"], **opened}
            live = {role: model for role, model in opened.items() if role in self._live}
            specs = settings.models.items()
            self._models[name] = {role: _Model(spec, self._record, live) for role, spec in specs}
        return self._models[name]


class _Model:
    """A model that is live for some of the roles that it answers, and recorded for the others."""

    def __init__(self, spec: str, record: Record, live: Mapping[Role, Model]) -> None:
        self.spec = spec
        self._live = live
        self._recorded = RecordedModel(spec, record, record.turns)

    async def complete(self, request: Request) -> Response:
        return await self._live.get(request.at.role, self._recorded).complete(request)


class _RecordedPrograms:
    """Answers with the recorded execution of the same program."""

    def __init__(self, record: Record) -> None:
        self._known = {
            program: execution
            for turn in record.turns
            for program, execution in zip(turn.programs or (), turn.executions or (), strict=True)
            if program is not None and execution is not None
        }

    async def run(self, program: Program) -> Execution:
        execution = self._known.get(program.digest)
        if execution is None:
            raise Diverged(0, "executor", "the program differs from the recorded ones")
        return execution
