"""`doctor`: what works here, and what to do about what does not."""

import json
from pathlib import Path

from tests.command import Command, installed, warm


def test_it_tells_of_sandbox_model_and_store(tmp_path: Path) -> None:
    command = Command(tmp_path, installed)
    done = command("doctor")
    assert (done.status, done.stderr) == (0, "")
    assert "sandbox: full" in done.stdout
    assert "local model: " in done.stdout
    assert f"store: {command.store}, 0 runs" in done.stdout


def test_json_is_one_object(tmp_path: Path) -> None:
    done = Command(tmp_path, warm)("doctor", "--json")
    found = json.loads(done.stdout)
    assert found["sandbox"]["tier"] == "full"
    assert not found["sandbox"]["refusal"]
    assert {"local model", "store"} <= found.keys()


def test_a_broken_store_is_told_of_and_the_rest_still_tried(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    command.store.parent.mkdir(parents=True)
    command.store.write_bytes(b"no database at all, whatever it looks like\n" * 100)
    done = command("doctor")
    assert done.status == 0
    assert "sandbox: full" in done.stdout
    assert f"store: cannot use store {command.store}: it is corrupt" in done.stdout
