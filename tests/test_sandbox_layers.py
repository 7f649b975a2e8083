"""Each layer of the full tier holds something by itself, and the documentation says what."""

from pathlib import Path

import pytest

from opencodeinterpreter.tools.sandbox.build import LAYERS
from tests.sandbox_host import DEBIAN, serves
from tests.sandbox_layers import COLUMNS, play_all, table

DOCUMENT = Path(__file__).parent.parent / "docs" / "security.md"

pytestmark = pytest.mark.skipif(
    not serves(DEBIAN), reason="needs a system Python of 3.11 or newer, which all users can read"
)


async def test_an_attack_reaches_the_host_without_a_layer_and_not_with_it() -> None:
    contained = await play_all()
    assert not any(columns["none"] for columns in contained.values()), table(contained)
    assert all(columns["all"] for columns in contained.values()), table(contained)
    for layer in LAYERS:
        # What stands beside a layer does not hold by itself what the layer holds.
        beside = "mount" if len(COLUMNS[layer]) > 1 else "none"
        assert any(c[layer] and not c[beside] for c in contained.values()), layer
    if DOCUMENT.exists():
        assert table(contained) in DOCUMENT.read_text(), table(contained)
