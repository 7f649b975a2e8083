"""Rerun: run the graph of a record again with some nodes live, and compare the results.

A node that is not live answers from the record, and only requests that were recorded. If a request
or program differs, the rerun stops and says which node would have to be live to continue.
"""

from collections.abc import Collection, Mapping
from typing import Any, Literal, get_args

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.nodes.records import Record, Turn
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import by_key, by_number, read
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


def settings_of_rerun(trace: Trace) -> Settings:
    """Return the settings of a trace's rerun.

    Raises InputError if the run has several tasks or changes its settings.
    """
    record = trace.record
    made = [turn for turn in record.turns if len(turn.given) < len(_parts(turn))]
    if len(record.tasks) != 1 or len({turn.settings for turn in made}) != 1:
        raise InputError(
            f"run {trace.header.run[:8]} cannot be rerun: it has {len(record.tasks)} tasks and "
            f"{len({turn.settings for turn in made})} settings in the turns that its nodes made; "
            "one of each is needed"
        )
    return Settings.model_validate(record.settings[made[0].settings])


def live_specs(settings: Settings, live: Collection[LiveNode]) -> dict[Role, str]:
    """Return the specs of the models that these live nodes need."""
    asked = {role for role in get_args(Role) if role in live}
    if "critic" in asked and "critic" not in settings.models:
        asked.add("coder")
    return {role: spec for role, spec in settings.models.items() if role in asked}


async def rerun(
    trace: Trace,
    live: Collection[LiveNode],
    models: Mapping[Role, Model],
    runner: Runner,
) -> Rerun:
    """Run a trace's graph again with the nodes in `live` live, and compare.

    `models` are those of `live_specs`, opened. Raises InputError as `settings_of_rerun` does,
    ModelError and SandboxError.
    """
    settings = settings_of_rerun(trace)
    record = trace.record
    answering = _answering(live, models)
    seams = {role: _Model(spec, record, answering) for role, spec in settings.models.items()}
    runs = runner if "executor" in live else _RecordedPrograms(record)
    graph = build_graph(seams, runs, RecordedPerson(record))
    state, stopped = stem_of(record), ""
    seed: Any = {**state}
    try:
        async for part in graph.astream(seed, context=settings, stream_mode="updates"):
            for update in part.values():
                if update is None or "turns" not in update:
                    continue
                state["turns"] = by_number(state.get("turns"), [update["turns"]])
                for channel in ("texts", "settings"):
                    state[channel] = by_key(state.get(channel), [update.get(channel, {})])
    except Diverged as error:
        why = error.how.splitlines()[0].removesuffix(":")
        stopped = f"turn {len(state['turns'])}: {error.node} is not live, and {why}"
    except NotRecorded:
        stopped = f"turn {len(state['turns'])}: the record holds no answer for what comes next"
    again = read(state)
    return Rerun(
        live=tuple(node for node in get_args(LiveNode) if node in live),
        before=_decision(record),
        after=_decision(again),
        stopped=stopped,
        diff=diff(record, again),
    )


def _parts(turn: Turn) -> list[object]:
    held = (turn.drafts, turn.executions, turn.verdict, turn.feedback)
    return [part for part in held if part is not None]


def _decision(record: Record) -> str:
    return record.outcome.decision if record.outcome else "none"


def _answering(live: Collection[LiveNode], models: Mapping[Role, Model]) -> dict[Role, Model]:
    """Return the live models by the role whose calls they answer."""
    with_critic = {"critic": models["coder"], **models} if "coder" in models else models
    return {role: model for role, model in with_critic.items() if role in live}


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
