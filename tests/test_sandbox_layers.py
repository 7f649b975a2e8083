"""Each layer of the full tier contains some attack alone, as `docs/security.md` says."""

from pathlib import Path

import pytest

from opencodeinterpreter.tools.sandbox.inside import landlock
from opencodeinterpreter.tools.sandbox.inside.build import LAYERS
from tests.sandbox_host import DEBIAN, serves
from tests.sandbox_layers import COLUMNS, Contained, play_all, table

WHOLE_LANDLOCK = 6
"""The first version that blocks abstract sockets and signals; TCP is blocked from 4 on."""
DOCUMENT = Path(__file__).parent.parent / "docs" / "security.md"

pytestmark = pytest.mark.skipif(
    not serves(DEBIAN), reason="needs a system Python of 3.11 or newer, which all users can read"
)


async def test_an_attack_reaches_the_host_without_a_layer_and_not_with_it() -> None:
    contained = await play_all()
    assert not any(columns["none"] for columns in contained.values()), table(contained)
    assert all(columns["all"] for columns in contained.values()), table(contained)
    for layer in LAYERS:
        # The layer that it is tried with does not contain the attack alone.
        beside = "mount" if len(COLUMNS[layer]) > 1 else "none"
        assert any(c[layer] and not c[beside] for c in contained.values()), layer
    if not DOCUMENT.exists():
        return
    document = DOCUMENT.read_text()
    contained = without_own_users(contained)
    if landlock.version() >= WHOLE_LANDLOCK:
        assert table(contained) in document, table(contained)
    else:
        # An older Landlock contains less; the other layers do not depend on it.
        assert without_landlock(contained) == without_landlock(rows(document)), table(contained)


def rows(document: str) -> Contained:
    """Return the rows of the documentation's table, by attack."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in document.splitlines()]
    return {
        attack: {name: mark == "held" for name, mark in zip(COLUMNS, marks, strict=True)}
        for attack, *marks in filter(None, cells)
        if len(marks) == len(COLUMNS) and set(marks) <= {"held", "-"}
    }


def without_own_users(contained: Contained) -> Contained:
    """Return what holds for an ordinary user.

    If the host is root, a run has a user id of its own, which contains signals too.
    """
    return {
        attack: {**marks, "user": marks["user"] and not attack.startswith("signal:")}
        for attack, marks in contained.items()
    }


def without_landlock(contained: Contained) -> Contained:
    return {
        attack: {name: held for name, held in marks.items() if name != "landlock"}
        for attack, marks in contained.items()
    }
