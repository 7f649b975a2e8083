"""The traces that come with the package can be read and replayed for ever."""

from pathlib import Path

import pytest

from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import Trace, read_trace

FOLDER = Path(__file__).parent.parent / "traces" / "examples"
EXAMPLES = sorted(FOLDER.glob("*.jsonl"))


def example(path: Path) -> Trace:
    return read_trace(path.read_text("utf-8").split("\n"), path.name)


def test_there_are_examples_of_every_kind() -> None:
    traces = [example(path) for path in EXAMPLES]
    kinds = {turn.feedback.kind for t in traces for turn in t.record.turns if turn.feedback}
    assert {"execution", "simulated", "human"} <= kinds
    assert any(trace.header.parent for trace in traces)
    assert any(not trace.record.solved for trace in traces)
    assert any(len(turn.drafts or ()) > 1 for t in traces for turn in t.record.turns)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
async def test_an_example_replays_identically(path: Path) -> None:
    found = await replay(example(path))
    assert found.identical, found.divergence


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_holds_no_path_of_the_machine_that_made_it(path: Path) -> None:
    assert "/home/" not in path.read_text("utf-8")
    assert "/tmp/" not in path.read_text("utf-8")
