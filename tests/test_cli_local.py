"""`solve` with the embedded model, for real: a small engine that gains from several drafts."""

from pathlib import Path

from tests.command import Command, installed, warm
from tests.doubling import run_id, shown, write
from tests.local_model import require_local_model

STUB = 'def is_even(n: int) -> bool:\n    """Return True if n is even, False otherwise."""\n'
TESTS = "from solution import is_even\n\nassert is_even(4)\nassert not is_even(7)\n"
SEEDED = ("temperature=0.8", "top_p=0.95", "max_tokens=200", "seed=1")


def test_the_embedded_model_solves_an_easy_stub_with_five_drafts(tmp_path: Path) -> None:
    require_local_model()
    command = Command(tmp_path, installed)
    done = command(
        *("solve", STUB, "--tests", write(tmp_path / "tests.py", TESTS)),
        *("--model", "local:smollm2", "--drafts", "5", "--turns", "2", "--json"),
        *(f"--set=sampling.coder.{setting}" for setting in SEEDED),
        timeout=240,
    )
    assert done.status == 0, done.stderr
    quick = Command(tmp_path, warm)
    found = shown(quick, run_id(done))
    first = found["turns"][0]
    assert len(first["drafts"]) == 5
    calls = [draft["call"] for draft in first["drafts"]]
    assert all(call["model"].startswith("SmolLM2-135M") for call in calls)
    assert all(call["usage"]["output_tokens"] > 0 for call in calls)
    assert quick("replay", run_id(done)).status == 0
