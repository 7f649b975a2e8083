"""A result per item of a sequence that grows, whatever sequences are asked about in between."""

import random

from opencodeinterpreter.tools.growing import Growing


class Item:
    """A value that equals all others: items are told apart by identity."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Item)

    __hash__ = None  # type: ignore[assignment]


def summed(items: list[Item]) -> list[int]:
    return [sum(item.value for item in items[: at + 1]) for at in range(len(items))]


def test_results_are_those_of_a_fresh_start() -> None:
    chance = random.Random(1)
    sums = Growing[Item, int](lambda before, item: (before or 0) + item.value)
    sequences = [[Item(chance.randrange(9))] for _ in range(5)]
    for _ in range(3000):
        items = chance.choice(sequences)
        match chance.randrange(4):
            case 0:
                items.append(Item(chance.randrange(9)))
            case 1:
                items[chance.randrange(len(items))] = Item(chance.randrange(9))
            case 2:
                del items[chance.randrange(1, len(items) + 1) :]
            case _:
                chance.choice(sequences)[:] = items[: chance.randrange(1, len(items) + 1)]
        assert sums(items) == summed(items)
        assert sums(items[:1]) == summed(items[:1])
    assert sums([]) == []


def test_what_is_added_alone_is_computed() -> None:
    asked: list[int] = []

    def step(_: int | None, item: int) -> int:
        asked.append(item)
        return item

    growing = Growing[int, int](step)
    items = list(range(1000, 1005))
    growing(items[:3])
    growing(items)
    growing(items[:2])
    growing([*items[:4], 7])
    assert asked == [1000, 1001, 1002, 1003, 1004, 7]


def test_long_ago_sequences_are_forgotten() -> None:
    growing = Growing[object, int](lambda before, _: (before or 0) + 1)
    for _ in range(50):
        growing([object() for _ in range(1000)])
    assert sum(len(items) for items, _ in growing._held.values()) <= 4096
