"""The graph's channels: plain JSON values, each stored once and grown by small writes."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

from langgraph.channels import DeltaChannel
from pydantic import Field
from typing_extensions import TypedDict

from opencodeinterpreter.nodes.records import Record

SNAPSHOT_EVERY = 1000
"""Writes between two full snapshots of a channel: 250 turns. `docs/runs.md` has the measure."""

Item = dict[str, Any]
Table = dict[str, Any]


def by_number(state: Sequence[Item] | None, writes: Sequence[Sequence[Item]]) -> list[Item]:
    """Merge items into a list by their `number`; one without a number comes last.

    The parts of one item may come from several writes; `given` marks add up.
    """
    items: dict[int, Item] = {item["number"]: item for item in state or ()}
    for write in writes:
        for new in write:
            number = new.get("number", len(items) + 1)
            old = items.get(number, {})
            given = {**old.get("given", {}), **new.get("given", {})}
            items[number] = {**old, **new, "number": number} | ({"given": given} if given else {})
    return [items[number] for number in sorted(items)]


def by_key(state: Table | None, writes: Sequence[Table]) -> Table:
    """Merge tables; a later entry of the same key replaces an earlier one."""
    merged = dict(state or {})
    for write in writes:
        merged.update(write)
    return merged


class TaskInput(TypedDict, total=False):
    """A task as a caller gives it; see `records.Task`."""

    prompt: Annotated[str, Field(title="Task", description="A sentence or a function stub.")]
    entry_point: str | None
    tests: Item | None
    reference: str | None


Tasks = Annotated[
    list[TaskInput], Field(title="Tasks", description="Usually one; more are a conversation.")
]


class Input(TypedDict, total=False):
    """What a run starts from: a task; and, for a branch, the parts that are given."""

    tasks: Tasks
    settings: Table
    messages: Table
    turns: list[Item]


class State(TypedDict, total=False):
    """The whole story of a thread."""

    tasks: Annotated[list[Item], DeltaChannel(by_number, snapshot_frequency=SNAPSHOT_EVERY)]
    settings: Annotated[Table, DeltaChannel(by_key, snapshot_frequency=SNAPSHOT_EVERY)]
    messages: Annotated[Table, DeltaChannel(by_key, snapshot_frequency=SNAPSHOT_EVERY)]
    turns: Annotated[list[Item], DeltaChannel(by_number, snapshot_frequency=SNAPSHOT_EVERY)]


def read(state: Mapping[str, Any]) -> Record:
    """Validate a state's channels as a record; raises pydantic's ValidationError."""
    known = {key: state[key] for key in Record.model_fields if key in state}
    return Record.model_validate(cast(Any, known))
