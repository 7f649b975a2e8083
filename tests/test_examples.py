"""Every release can read and replay the traces that come with the package, and older ones."""

from pathlib import Path

import pytest

from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import Trace, read_trace

FOLDER = Path(__file__).parent.parent / "traces" / "examples"
EXAMPLES = sorted(FOLDER.glob("*.jsonl"))
OLD = sorted((Path(__file__).parent / "traces_of_version_1").glob("*.jsonl"))


def example(path: Path) -> Trace:
    return read_trace(path.read_text("utf-8").split("\n"), path.name)


def test_there_are_examples_of_every_kind() -> None:
    traces = [example(path) for path in EXAMPLES]
    kinds = {turn.feedback.kind for t in traces for turn in t.record.turns if turn.feedback}
    assert {"execution", "simulated", "human"} <= kinds
    assert any(trace.header.parent for trace in traces)
    assert any(not trace.record.solved for trace in traces)
    assert any(len(turn.drafts or ()) > 1 for t in traces for turn in t.record.turns)


@pytest.mark.parametrize(
    "path", [*EXAMPLES, *OLD], ids=lambda path: f"{path.parent.name} {path.stem}"
)
async def test_an_example_replays_identically(path: Path) -> None:
    found = await replay(example(path))
    assert found.identical, found.divergence


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_holds_no_path_of_the_machine_that_made_it(path: Path) -> None:
    assert "/home/" not in path.read_text("utf-8")
    assert "/tmp/" not in path.read_text("utf-8")


def without(table: object, key: str) -> object:
    assert isinstance(table, dict)
    return {name: value for name, value in table.items() if name != key}


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
async def test_settings_that_a_version_did_not_have_yet_do_not_matter(path: Path) -> None:
    """A later version fills them in with their defaults, and replays what it made before them."""
    record = example(path).record
    older = {
        at: {**settings, "client": {}, "prompts": without(settings["prompts"], "edited_code")}
        for at, settings in record.settings.items()
    }
    assert older != record.settings
    renamed = {at: digest(settings) for at, settings in older.items()}
    turns = tuple(
        turn.model_copy(update={"settings": renamed[turn.settings]}) for turn in record.turns
    )
    settings = {renamed[at]: settings for at, settings in older.items()}
    of_then = record.model_copy(update={"settings": settings, "turns": turns})
    found = await replay(example(path).model_copy(update={"record": of_then}))
    assert found.identical, found.divergence
