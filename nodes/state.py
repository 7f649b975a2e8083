"""The graph's channels: plain JSON values that grow by small writes."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Annotated, Any, Required, cast

from langchain_core.messages import AnyMessage, convert_to_messages
from langgraph.channels import DeltaChannel
from langgraph.graph.message import add_messages
from pydantic import Field
from typing_extensions import TypedDict

from opencodeinterpreter.nodes.records import PARTS, Part, Record, StoredMessage, Turn
from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.growing import Growing

SNAPSHOT_EVERY = 1000
"""Writes between two full snapshots of a channel: 250 turns. `docs/runs.md` has measurements."""

Item = dict[str, Any]
Table = dict[str, Any]


def by_number(state: Sequence[Item] | None, writes: Sequence[Any]) -> list[Item]:
    """Merge items into a list by their `number`; an item without a number is appended.

    The parts of one item may come from several writes; `given` marks are merged. A text stands for
    the task with this prompt.
    """
    items = list(state or ())
    for new in _items(writes):
        number = new.get("number", len(items) + 1)
        place = _place(items, number)
        (old,) = items[place] or [{}]
        items[place] = [_merged(old, {**new, "number": number})]
    return items


def by_turn(state: Sequence[Item] | None, writes: Sequence[Any]) -> list[Item]:
    """Merge turns as `by_number` does, and mark as given what no node made.

    Nodes never replace a part, so this is an edit, as by `update_state`. What came after the
    edited part is dropped: it was made for the old one. What came before it is given too, as the
    stem of a branch is.
    """
    turns = list(state or ())
    for new in _items(writes):
        number = new.get("number", len(turns) + 1)
        place = _place(turns, number)
        (old,) = turns[place] or [{}]
        by_hand: dict[Part, str] = {}
        replaced = next((part for part in PARTS if _replaced(part, old, new)), None)
        if replaced is not None:
            del turns[place.stop :]
            old, new = _without_later(replaced, old), _as_edit(replaced, new)
        elif by_hand := _by_hand(old, new):
            new["given"] = {**by_hand, **new.get("given", {})}
        if edited := replaced or next(iter(by_hand), None):
            turns[: place.start] = [_as_stem(turn, PARTS) for turn in turns[: place.start]]
            old = _as_stem(old, PARTS[: PARTS.index(edited)])
        turns[place] = [_merged(old, {**new, "number": number})]
    return turns


def _place(items: Sequence[Item], number: int) -> slice:
    """Return where an item with this number is, or where it would be, in their order."""
    at = bisect_left(items, number, key=itemgetter("number"))
    return slice(at, at + (at < len(items) and items[at]["number"] == number))


def _items(writes: Sequence[Any]) -> Iterator[Item]:
    for write in writes:
        for item in [write] if isinstance(write, str | Mapping) else write:
            if not isinstance(item, str | Mapping):
                raise InputError(
                    f"{item!r:.60} is not a task; pass {{'prompt': 'Write double(x).'}}"
                )
            yield {"prompt": item} if isinstance(item, str) else dict(item)


def _merged(old: Item, new: Item) -> Item:
    given = {**old.get("given", {}), **new.get("given", {})}
    return {**old, **new} | ({"given": given} if given else {})


def _replaced(part: Part, old: Item, new: Item) -> bool:
    before, after = old.get(part), new.get(part)
    if before is None or after is None or before == after:
        return False
    # The executor completes edited drafts, whose code is in no message yet.
    return part != "drafts" or all(draft.get("message") for draft in before)


def _by_hand(old: Item, new: Item) -> dict[Part, str]:
    """Return the marks of parts that a turn gets first, and from no node.

    The executor writes its programs too, and the judge never decides as a person.
    """
    parts: tuple[Part, ...] = ("executions", "verdict")
    signs = {
        "executions": new.get("programs") is None,
        "verdict": (new.get("verdict") or {}).get("decided_by") == "human",
    }
    added = [part for part in parts if old and new.get(part) is not None and not old.get(part)]
    marked = new.get("given", {})
    return {part: "an edit" for part in added if signs[part] and part not in marked}


def _as_stem(turn: Item, parts: Sequence[Part]) -> Item:
    """Return a turn with these parts, as far as it has them, marked as given."""
    held = {part: "before an edit" for part in parts if turn.get(part) is not None}
    given = {**held, **turn.get("given", {})}
    return {**turn, "given": given} if given else turn


def _without_later(part: Part, turn: Item) -> Item:
    """Return a turn without the parts after one that is edited."""
    later = PARTS[PARTS.index(part) + 1 :]
    given = {name: mark for name, mark in turn.get("given", {}).items() if name not in later}
    blank: Item = {"programs": None, "chosen": 0} if part == "drafts" else {}
    return {**turn, **blank, **dict.fromkeys(later), "given": given}


def _as_edit(part: Part, new: Item) -> Item:
    """Return a write as an edit of `part`: later parts are taken only if they are marked as given.

    The code of an edited draft is in no message yet; the executor writes one.
    """
    marks = {part: "an edit", **new.get("given", {})}
    kept = {name: value for name, value in new.items() if name not in PARTS or name in marks}
    if part == "drafts":
        kept["drafts"] = [{**draft, "message": "", "call": None} for draft in new["drafts"]]
        kept.pop("programs", None)
    return {**kept, "given": marks}


def by_key(state: Table | None, writes: Sequence[Table]) -> Table:
    """Merge tables; a later entry of the same key replaces an earlier one."""
    merged = dict(state or {})
    for write in writes:
        merged.update(write)
    return merged


def by_message(state: Sequence[AnyMessage] | None, writes: Sequence[Any]) -> list[AnyMessage]:
    """Merge chat messages as LangGraph's `add_messages` does, but with ids that do not change.

    A channel is computed anew from its writes whenever a thread is read, so a message without an
    id gets one from its place and content.
    """
    merged: list[Any] = list(state or ())
    for write in writes:
        for message in convert_to_messages(write if isinstance(write, list) else [write]):
            if message.id is None:
                said = [len(merged), message.type, message.content]
                message = message.model_copy(update={"id": digest(said)[:32]})
            merged = cast(list[Any], add_messages(merged, cast(Any, [message])))
    return merged


class TaskInput(TypedDict, total=False):
    """A task as a caller passes it; see `records.Task`."""

    prompt: Required[
        Annotated[
            str,
            Field(title="Task", min_length=1, description="A sentence or a function stub."),
        ]
    ]
    entry_point: Annotated[
        str | None, Field(title="Entry point", description="The function that tests call.")
    ]
    tests: Annotated[
        str | list[Item] | Item | None,
        Field(
            title="Tests",
            description="A pytest file that imports the program as `solution`; or a list of cases, "
            'each {"args": […], "expected": …} or {"stdin": "…", "stdout": "…"}.',
        ),
    ]
    reference: Annotated[
        str | None,
        Field(title="Reference", description="A right solution; only the oracle critic sees it."),
    ]
    files: Annotated[
        Item,
        Field(
            title="Files",
            description='Files beside the program: names to text, or to {"base64": "…"}.',
        ),
    ]
    session: Annotated[
        bool,
        Field(
            title="Session",
            description="Programs find the variables and files of the thread's earlier tasks.",
        ),
    ]


Tasks = Annotated[
    list[TaskInput], Field(title="Tasks", description="Usually one; more are a conversation.")
]


class Input(TypedDict, total=False):
    """The input of a run: a task and, for a branch, the given parts."""

    tasks: Required[Tasks]
    settings: Annotated[Table, Field(title="Settings by digest", description="Of a branch.")]
    texts: Annotated[Table, Field(title="Texts by id", description="Of a branch.")]
    turns: Annotated[list[Item], Field(title="Turns", description="Of a branch.")]
    artifacts: Annotated[Table, Field(title="Files by sha256", description="Of a branch.")]


class Output(Input, total=False):
    """The output of a run: its whole record; see `read`."""


Messages = Annotated[list[AnyMessage], DeltaChannel(by_message, snapshot_frequency=SNAPSHOT_EVERY)]
"""What a person and the loop said to each other, as LangChain's messages."""


class State(TypedDict, total=False):
    """The whole state of a thread: the record, and the messages if it is a chat."""

    tasks: Annotated[list[Item], DeltaChannel(by_number, snapshot_frequency=SNAPSHOT_EVERY)]
    settings: Annotated[Table, DeltaChannel(by_key, snapshot_frequency=SNAPSHOT_EVERY)]
    texts: Annotated[Table, DeltaChannel(by_key, snapshot_frequency=SNAPSHOT_EVERY)]
    turns: Annotated[list[Item], DeltaChannel(by_turn, snapshot_frequency=SNAPSHOT_EVERY)]
    artifacts: Annotated[Table, DeltaChannel(by_key, snapshot_frequency=SNAPSHOT_EVERY)]
    messages: Messages


_CHANNELS = tuple(Record.model_fields)
_turns = Growing[Item, Turn](lambda _, turn: Turn.model_validate(turn))
_texts = Growing[Item, StoredMessage](lambda _, told: StoredMessage.model_validate(told))


def read(state: Mapping[str, Any]) -> Record:
    """Validate a state's channels as a record; raises pydantic's ValidationError.

    A channel keeps the items that a node does not change. Those are not validated again, so that
    a node's work does not grow with the thread.
    """
    known = {key: state[key] for key in _CHANNELS if key in state}
    if isinstance(turns := known.get("turns"), list):
        known["turns"] = tuple(_turns(turns))
    if isinstance(texts := known.get("texts"), dict):
        known["texts"] = dict(zip(texts, _texts([*texts.values()]), strict=True))
    return Record.model_validate(cast(Any, known))
