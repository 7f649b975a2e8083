"""`solve` with a real small model, embedded or served: several drafts improve its results."""

from pathlib import Path

import pytest

from tests.command import Command, installed, warm
from tests.doubling import run_id, shown, write
from tests.local_model import llama_cpp_server, require_local_model

STUB = 'def is_even(n: int) -> bool:\n    """Return True if n is even, False otherwise."""\n'
TESTS = "from solution import is_even\n\nassert is_even(4)\nassert not is_even(7)\n"
SEEDED = ("temperature=0.8", "top_p=0.95", "max_tokens=200", "seed=1")


def check_solving(home: Path, model: str) -> None:
    """Solve the stub with five drafts of `model`, and replay the run."""
    done = Command(home, installed)(
        *("solve", STUB, "--tests", write(home / "tests.py", TESTS)),
        *("--model", model, "--drafts", "5", "--turns", "2", "--json"),
        *(f"--set=sampling.coder.{setting}" for setting in SEEDED),
        timeout=240,
    )
    assert done.status == 0, done.stderr
    quick = Command(home, warm)
    first = shown(quick, run_id(done))["turns"][0]
    assert len(first["drafts"]) == 5
    calls = [draft["call"] for draft in first["drafts"]]
    assert all("SmolLM2-135M" in call["model"] for call in calls)
    assert all(call["usage"]["output_tokens"] > 0 for call in calls)
    assert quick("replay", run_id(done)).status == 0


@pytest.mark.slow
def test_the_embedded_model_solves_an_easy_stub_with_five_drafts(tmp_path: Path) -> None:
    require_local_model()
    check_solving(tmp_path, "local:smollm2")


@pytest.mark.slow
def test_a_llama_cpp_server_that_somebody_else_started_does_too(tmp_path: Path) -> None:
    path = require_local_model()
    with llama_cpp_server(path) as url:
        check_solving(tmp_path, f"openai:SmolLM2-135M@{url}")
