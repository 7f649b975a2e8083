"""Replay: the same graph over a record's own answers; nothing live, nothing needed.

Given parts stand as they are, and the graph starts at the first part that a node made. Equal means
every field but the run's id and clock times, which a trace's header alone holds.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.nodes.prompts import installed_prompts
from opencodeinterpreter.nodes.records import PARTS, Part, Record, Turn
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import by_key, by_number
from opencodeinterpreter.tools.canonical import canonical, digest
from opencodeinterpreter.traces.recorded import (
    Diverged,
    NotRecorded,
    RecordedPerson,
    RecordedRunner,
    recorded_models,
)
from opencodeinterpreter.traces.trace import Trace

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
    walk = _Walk(trace)
    found: Divergence | None = None
    try:
        await walk.run(today)
    except Diverged as error:
        found = Divergence(turn=error.turn, node=error.node, how=error.how)
    turns = len(trace.record.turns)
    return Replay(run=trace.header.run, turns=turns, replayed=walk.replayed, divergence=found)
