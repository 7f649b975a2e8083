"""`doctor`: what works here, and how to fix what does not."""

import json
from pathlib import Path

import pytest

from tests.command import Command, installed, warm
from tests.sandbox_host import DEBIAN, needs_reduced, serves
from tests.test_sandbox_cgroups import WHY_NOT

WATCHED = "accounting: the host checks each process at intervals"


def test_it_tells_of_sandbox_model_and_store(tmp_path: Path) -> None:
    command = Command(tmp_path, installed)
    done = command("doctor")
    assert (done.status, done.stderr) == (0, "")
    assert "sandbox: full" in done.stdout
    assert "local model: " in done.stdout
    assert f"store: {command.store}, 0 runs" in done.stdout


def test_it_tells_who_counts_what_a_run_uses(tmp_path: Path) -> None:
    told = Command(tmp_path, warm)("doctor").stdout
    if WHY_NOT:
        assert f"{WATCHED}; no cgroups: {WHY_NOT}\n" in told
    else:
        assert "accounting: cgroup v2 counts all processes of a run in the profile proc" in told


@needs_reduced
@pytest.mark.skipif(not serves(DEBIAN), reason="needs a system Python of 3.11 or newer")
def test_in_the_reduced_tier_the_host_counts(tmp_path: Path) -> None:
    command = Command(tmp_path, warm).with_environment(OPENCODEINTERPRETER_PYTHON=str(DEBIAN))
    assert f"{WATCHED}\n" in command("doctor", "--sandbox", "reduced").stdout


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
