"""The channels' reducers: the batching of writes does not matter; only plain JSON is stored."""

import itertools
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.nodes.state import by_key, by_number, read
from tests.scripts import World

PARTS = st.dictionaries(
    st.sampled_from(["drafts", "executions", "verdict", "task"]), st.integers(), max_size=3
)
MARKS = st.dictionaries(st.sampled_from(["drafts", "verdict"]), st.text(max_size=3), max_size=2)
ITEMS = st.builds(
    lambda number, parts, marks: {"number": number, **parts, **({"given": marks} if marks else {})},
    st.integers(1, 4),
    PARTS,
    MARKS,
)
LIST_WRITES = st.lists(st.lists(ITEMS | PARTS, max_size=3), max_size=6)
TABLE_WRITES = st.lists(st.dictionaries(st.sampled_from("abc"), st.integers()), max_size=6)
CUTS = st.lists(st.integers(0, 6), max_size=4)


def batches(writes: list[Any], cuts: list[int]) -> list[list[Any]]:
    """Split writes at these places."""
    places = [0, *sorted(cut for cut in cuts if cut <= len(writes)), len(writes)]
    return [writes[a:b] for a, b in itertools.pairwise(places)]


@given(LIST_WRITES, CUTS)
@settings(deadline=None)
def test_items_come_out_alike_however_their_writes_are_batched(
    writes: list[list[dict[str, Any]]], cuts: list[int]
) -> None:
    state: list[dict[str, Any]] = []
    for batch in batches(writes, cuts):
        state = by_number(state, batch)
    assert state == by_number(None, writes)


@given(TABLE_WRITES, CUTS)
@settings(deadline=None)
def test_tables_come_out_alike_however_their_writes_are_batched(
    writes: list[dict[str, int]], cuts: list[int]
) -> None:
    state: dict[str, int] = {}
    for batch in batches(writes, cuts):
        state = by_key(state, batch)
    assert state == by_key(None, writes)


@given(LIST_WRITES)
@settings(deadline=None)
def test_reducers_leave_their_input_alone(writes: list[list[dict[str, Any]]]) -> None:
    state = by_number(None, writes)
    before = json.dumps([state, writes])
    by_number(state, writes)
    assert json.dumps([state, writes]) == before


def test_parts_of_one_turn_are_merged_by_number_and_sorted() -> None:
    writes = [[{"number": 2, "a": 1}], [{"number": 1, "a": 0}, {"number": 2, "b": 2}]]
    assert by_number([], writes) == [{"number": 1, "a": 0}, {"number": 2, "a": 1, "b": 2}]


def test_an_item_without_a_number_comes_last() -> None:
    assert by_number([{"number": 1, "prompt": "a"}], [[{"prompt": "b"}]]) == [
        {"number": 1, "prompt": "a"},
        {"number": 2, "prompt": "b"},
    ]


def test_given_marks_add_up() -> None:
    writes = [[{"number": 1, "given": {"drafts": "x"}}], [{"number": 1, "given": {"verdict": "y"}}]]
    assert by_number([], writes) == [{"number": 1, "given": {"drafts": "x", "verdict": "y"}}]


async def test_a_record_is_read_from_its_json_and_dumped_to_the_same() -> None:
    record = await World().solve()
    dumped = record.model_dump(mode="json")
    assert read(json.loads(json.dumps(dumped))) == record
    assert Record.model_validate(dumped) == record


async def test_each_text_is_stored_once() -> None:
    record = await World().solve()
    contents = [message.content for message in record.texts.values()]
    assert len(contents) == len(set(contents)) == 6
