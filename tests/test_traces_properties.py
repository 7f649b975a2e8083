"""What holds for every run, also for a branch: it replays, exports, imports and equals itself."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import settings as limited
from hypothesis import strategies as some

from opencodeinterpreter.graph.runs import Run, advance, open_run
from opencodeinterpreter.graph.seeds import Edit
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.nodes.records import PARTS
from opencodeinterpreter.testing import ScriptedModel, draft
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.person import PersonAnswer
from opencodeinterpreter.traces.diff import diff
from opencodeinterpreter.traces.importing import import_trace
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import read_trace, trace_of
from tests.scripts import BETTER, RIGHT, WRONG, World

REPLIES = some.sampled_from([draft(WRONG), draft(BETTER), draft(RIGHT), "No code."])
WORDS = some.sampled_from(["Look.", "Print 3.", "  é\u2028\n```python\nx\n```", "[/bold]"])
ANSWERS = some.one_of(
    some.builds(PersonAnswer, action=some.just("words"), text=WORDS),
    some.builds(PersonAnswer, action=some.just("edit"), text=some.sampled_from([BETTER, RIGHT])),
    some.sampled_from([PersonAnswer(action="approve"), PersonAnswer(action="stop")]),
)
EDITS = some.one_of(
    some.builds(Edit, feedback=WORDS),
    some.builds(Edit, code=some.sampled_from([WRONG, RIGHT])),
    some.builds(Edit, verdict=some.sampled_from(["solved", "revise", "stopped"])),
    some.builds(Edit, at=some.sampled_from(["coder", "executor", "judge", "critic"])),
)


@dataclass(frozen=True)
class Plan:
    """A run: what its coder, critic and person say, its settings, and a branch of it."""

    replies: list[list[str]]
    words: list[str]
    answers: list[PersonAnswer]
    settings: dict[str, Any]
    edit: Edit
    turn: int

    def world(self) -> World:
        """Return seams that have answers enough for the run or for its branch."""
        coder = ScriptedModel([*self.replies, *[[draft(RIGHT)] * 2] * 12])
        return World(coder=coder, critic=ScriptedModel([*self.words, *["Print 3."] * 12]))


@some.composite
def plans(draw: some.DrawFn) -> Plan:
    """Return plans of up to five turns with one or two drafts, each critic, any edit."""
    drafts = draw(some.integers(1, 2))
    replies = some.lists(REPLIES, min_size=drafts, max_size=drafts)
    return Plan(
        replies=draw(some.lists(replies, max_size=5)),
        words=draw(some.lists(WORDS, max_size=5)),
        answers=draw(some.lists(ANSWERS, max_size=5)),
        settings={
            "critic": draw(some.sampled_from(["none", "execution", "simulated", "human"])),
            "drafts": drafts,
            "limits": {"turns": draw(some.integers(1, 5)), "stuck": draw(some.booleans())},
        },
        edit=draw(EDITS),
        turn=draw(some.integers(1, 5)),
    )


async def ended(store: Store, world: World, run: Run, answers: list[PersonAnswer]) -> Run:
    """Answer a run's questions as long as there are answers."""
    for answer in answers:
        if run.question is None:
            break
        run = await advance(store, world.graph(store), run.row, answer=answer)
    return run


async def check(run: Run, folder: str) -> None:
    """Check what holds for every run."""
    trace = trace_of(run)
    found = await replay(trace)
    assert found.identical, found.divergence
    assert diff(run.record, run.record).empty
    lines = list(trace.lines())
    async with open_store(str(Path(folder) / f"{run.row.id}.sqlite")) as other:
        row = await import_trace(other, read_trace(lines, "trace"))
        again = await open_run(other, row.id)
    assert list(trace_of(again).lines()) == lines


@limited(deadline=None, max_examples=25)
@given(plans())
async def test_any_run_and_any_branch_replay_and_survive_export_and_import(plan: Plan) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with open_store(str(Path(folder) / "runs.sqlite")) as store:
            world = plan.world()
            run = await ended(store, world, await world.run(store, **plan.settings), plan.answers)
            await check(run, folder)
            turn = min(plan.turn, len(run.record.turns))
            before = list(trace_of(run).lines())
            world = plan.world()
            try:
                branch = await world.branch(store, run.row, turn, plan.edit)
            except InputError:
                return  # A critic that was not asked, or a coder that did not write the turn.
            branch = await ended(store, world, branch, plan.answers)
            await check(branch, folder)
            assert list(trace_of(run).lines()) == before
    stem = [turn.model_copy(update={"given": {}}) for turn in branch.record.turns[: turn - 1]]
    assert [each.model_copy(update={"given": {}}) for each in run.record.turns[: turn - 1]] == stem
    for each in branch.record.turns[: turn - 1]:
        assert each.given.keys() >= {part for part in PARTS if getattr(each, part) is not None}
