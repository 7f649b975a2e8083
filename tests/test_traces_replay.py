"""A replay reproduces the run without model, sandbox or network."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.graph.runs import Run, advance, create_run, open_run
from opencodeinterpreter.graph.seeds import Edit, task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.nodes.prompts import installed_prompts
from opencodeinterpreter.nodes.records import Record, Turn
from opencodeinterpreter.testing import ScriptedModel, ScriptedPerson, ScriptedRunner, draft, ran
from opencodeinterpreter.tools.errors import ContextOverflow, OutsideError
from opencodeinterpreter.tools.models.protocol import Request, Response
from opencodeinterpreter.tools.person import PersonAnswer
from opencodeinterpreter.traces.replay import Replay, replay
from opencodeinterpreter.traces.trace import Trace, read_trace, route_of, trace_of
from tests.scripts import BETTER, RIGHT, TABLE, TASK, THREE_TURNS, WRONG, World

REFERENCE = {**TASK, "reference": "def add(a, b):\n    return a + b + 0 * a\n"}
LEAK = "Why not def add(a, b) at last?"
NO, YES = ('{"solved": false, "reason": "No."}', '{"solved": true, "reason": "Yes."}')

Make = Callable[[Store], Awaitable[Run]]


def critic(*replies: str, kind: str = "simulated") -> Make:
    """Return a run whose critic gives these replies at every turn."""
    return lambda store: World(critic=ScriptedModel([replies])).run(store, REFERENCE, critic=kind)


def judge(*answers: str) -> Make:
    """Return a run whose judge gives these answers at its first turn, then a yes."""
    world = World(judge=ScriptedModel([answers, YES]), runner=ScriptedRunner(default=ran("")))
    return lambda store: world.run(store)


def person(*answers: PersonAnswer) -> Make:
    """Return a run in which a person gave these answers."""
    return lambda store: World(person=ScriptedPerson(*answers)).run(store, critic="human")


def coder(*replies: Any, **fields: Any) -> Make:
    """Return a run whose coder gives these replies."""
    return lambda store: World(coder=ScriptedModel(replies)).run(store, **fields)


async def resumed(store: Store) -> Run:
    """Return a run whose person answered through the store."""
    world = World()
    row = (await world.run(store, critic="human")).row
    await advance(
        store, world.graph(store), row, answer=PersonAnswer(action="words", text="Print 2.")
    )
    return await advance(
        store, world.graph(store), row, answer=PersonAnswer(action="edit", text=RIGHT)
    )


async def waiting(store: Store) -> Run:
    """Return a run that waits for a person."""
    return await World().run(store, critic="human")


def failed(world_of: Callable[[], World], **fields: Any) -> Make:
    """Return a run that an outside failure stopped."""

    async def make(store: Store) -> Run:
        world = world_of()
        row = await create_run(store, task_seed(TASK, world.settings(**fields)))
        with pytest.raises(OutsideError):
            await advance(store, world.graph(store), row)
        return await open_run(store, row.id)

    return make


async def unstarted(store: Store) -> Run:
    """Return a run of which nothing was run."""
    row = await create_run(store, task_seed(TASK, World().settings()))
    return await open_run(store, row.id)


class SmallModel(ScriptedModel):
    """A model whose context holds four messages."""

    async def complete(self, request: Request) -> Response:
        if len(request.messages) > 4:
            raise ContextOverflow("too long")
        return await super().complete(request)


async def own_draft(store: Store) -> Run:
    """Return a run that starts from one's own code."""
    world = World()
    row = await create_run(store, task_seed(TASK, world.settings(), draft=WRONG))
    return await advance(store, world.graph(store), row)


THREE = coder(*THREE_TURNS)


def branch(edit: Edit, turn: int = 2, parent: Make = THREE) -> Make:
    """Return a branch of a run, carried on by the models that its settings name."""

    async def make(store: Store) -> Run:
        row = (await parent(store)).row
        world = World(critic=ScriptedModel(["Try it."]) if edit.settings else None)
        return await world.branch(store, row, turn, edit)

    return make


SIMULATED = World(critic=ScriptedModel([""])).settings(critic="simulated")
STOP = PersonAnswer(action="stop")

RUNS: dict[str, Make] = {
    "solved at once": coder(draft(RIGHT)),
    "three turns": THREE,
    "no code first": coder("Only words.", draft(RIGHT)),
    "several drafts": coder([draft(WRONG), "Words.", draft(BETTER)], draft(RIGHT), drafts=3),
    "context overflow": lambda store: World(
        coder=SmallModel([draft(WRONG), draft(BETTER), "Words.", draft(RIGHT)])
    ).run(store),
    "turns run out": coder(*THREE_TURNS, limits={"turns": 2}),
    "stuck": coder(draft(WRONG)),
    "calls run out": coder(*THREE_TURNS, limits={"calls": 2}),
    "tokens run out": coder(*THREE_TURNS, limits={"tokens": 20}),
    "seconds run out": coder(*THREE_TURNS, limits={"seconds": 1.0}),
    "single turn": coder(draft(WRONG), critic="none"),
    "simulated": critic("It is wrong for 2."),
    "simulated, asked again": critic("```x```", "It is wrong for 2."),
    "simulated, cut": critic("A. B. C. D.", "```x``` Look at 2."),
    "simulated, dropped": critic("```x```", ""),
    "oracle": critic("It is wrong for 2.", kind="oracle"),
    "oracle, leaking once": critic(LEAK, "It is wrong for 2.", kind="oracle"),
    "oracle, leaking twice": critic(LEAK, LEAK, kind="oracle"),
    "judge model": judge(NO),
    "judge model, asked again": judge("Yes!", NO),
    "judge model, never valid": judge("Yes!", "Yes!!"),
    "a person's words": person(PersonAnswer(action="words", text="Print 3."), STOP),
    "a person's edit": person(PersonAnswer(action="edit", text=BETTER), STOP),
    "two edits": person(
        PersonAnswer(action="edit", text=BETTER), PersonAnswer(action="edit", text=RIGHT)
    ),
    "approved": person(PersonAnswer(action="approve")),
    "stopped": person(STOP),
    "answered through the store": resumed,
    "waiting for a person": waiting,
    "unstarted": unstarted,
    "own draft": own_draft,
    "coder failed": failed(lambda: World(coder=ScriptedModel(THREE_TURNS, fails_at=[2]))),
    "sandbox failed": failed(lambda: World(runner=ScriptedRunner(TABLE, fails=[BETTER]))),
    "critic failed": failed(
        lambda: World(critic=ScriptedModel(["Look."], fails_at=[2])), critic="simulated"
    ),
    "judge failed": failed(
        lambda: World(
            judge=ScriptedModel([NO], fails_at=[2]), runner=ScriptedRunner(default=ran(""))
        )
    ),
    "branch by feedback": branch(Edit(feedback="Print 3.")),
    "branch by code": branch(Edit(code=WRONG), turn=1),
    "branch by a verdict": branch(Edit(verdict="revise"), turn=1),
    "branch to an end": branch(Edit(verdict="stopped")),
    "branch by settings": branch(Edit(settings=SIMULATED)),
    "branch by settings and feedback": branch(Edit(settings=SIMULATED, feedback="Print 3."), 1),
    "branch of a solved turn": branch(Edit(feedback="Shorter."), turn=3),
    "branch without an edit": branch(Edit()),
    "branch of a turn without code": branch(Edit(), 1, coder("Words.", draft(RIGHT))),
    "branch of a branch": branch(Edit(code=WRONG), 2, branch(Edit(feedback="Print 2."), 1)),
    "branch of an edit": branch(Edit(), 2, resumed),
    "branch before an edit": branch(Edit(feedback="Print 3."), 1, resumed),
    "branch of one's own draft": branch(Edit(), 1, own_draft),
}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(str(tmp_path / "runs.sqlite")) as opened:
        yield opened


def made(record: Record) -> int:
    """Return how many parts of a record its nodes made."""
    return sum(len(route_of(turn)) for turn in record.turns)


@pytest.mark.parametrize("name", RUNS)
async def test_every_kind_of_run_replays_identically(tmp_path: Path, name: str) -> None:
    async with open_store(str(tmp_path / "runs.sqlite")) as store:
        trace = trace_of(await RUNS[name](store))
    for path in tmp_path.iterdir():
        path.rename(path.with_name(f"{path.name} is gone"))
    found = await replay(trace)
    assert found.divergence is None
    assert found == Replay(
        run=trace.header.run,
        turns=len(trace.record.turns),
        replayed=made(trace.record),
    )


@pytest.mark.parametrize("name", RUNS)
async def test_every_kind_of_run_survives_its_lines(store: Store, name: str) -> None:
    trace = trace_of(await RUNS[name](store))
    lines = list(trace.lines())
    again = read_trace(lines, "trace")
    assert again == trace
    assert list(again.lines()) == lines


@pytest.mark.parametrize(
    "name", ["three turns", "no code first", "judge model", "own draft", "simulated, cut"]
)
async def test_a_run_cut_anywhere_replays_identically(store: Store, name: str) -> None:
    """A killed process leaves a record that ends after any node."""
    whole = trace_of(await RUNS[name](store))
    for kept in range(1, made(whole.record)):
        trace = cut_after(whole, kept)
        found = await replay(trace)
        assert found.divergence is None, kept
        assert found.replayed == kept


def cut_after(trace: Trace, parts: int) -> Trace:
    """Return what a trace is when only so many parts had been made."""
    turns: list[Turn] = []
    for turn in trace.record.turns:
        route = route_of(turn)
        if parts <= 0 and (not turns or not turn.given):
            break
        lost: dict[str, Any] = {}
        for part, node in (
            ("executions", "executor"),
            ("verdict", "judge"),
            ("feedback", "critic"),
        ):
            if node in route[parts:]:
                lost[part] = None
        if "executions" in lost:
            lost |= {"programs": None, "chosen": 0}
        turns.append(turn.model_copy(update=lost))
        parts -= len(route)
    record = trace.record.model_copy(
        update={"turns": tuple(turns), "texts": trace.record.texts_of(turns)}
    )
    return Trace(header=trace.header, record=record, routes=tuple(route_of(turn) for turn in turns))


async def test_another_models_part_replays_too(store: Store) -> None:
    """A failed run may be resumed with another model; the change is a new entry of settings."""
    failing = await RUNS["coder failed"](store)
    other = World(coder=ScriptedModel(THREE_TURNS, spec="scripted:other"))
    run = await advance(store, other.graph(store), failing.row)
    found = await replay(trace_of(run))
    assert found.divergence is None


async def test_other_prompts_are_compared_on_request(store: Store) -> None:
    old = {**installed_prompts(), "task_words": "Write Python for this: $prompt"}
    run = await World().run(store, prompts=old)
    assert (await replay(trace_of(run))).identical
    divergence = (await replay(trace_of(run), prompts=installed_prompts())).divergence
    assert divergence is not None
    assert (divergence.turn, divergence.node) == (1, "coder")
    assert "-Write Python for this: Add two numbers." in divergence.how
    assert "+Write Python code for the task below." in divergence.how


async def test_a_branch_is_compared_with_other_prompts_too(store: Store) -> None:
    old = {**installed_prompts(), "execution_result": "Result: $result"}
    parent = await World().run(store, prompts=old)
    run = await World().branch(store, parent.row, 1, Edit(code=WRONG))
    assert (await replay(trace_of(run))).identical
    divergence = (await replay(trace_of(run), prompts=installed_prompts())).divergence
    assert divergence is not None
    assert (divergence.turn, divergence.node) == (1, "critic")
    assert "\n-Result: " in divergence.how
    assert "\n+Execution result: " in divergence.how


async def test_a_conversation_of_two_tasks_replays(store: Store) -> None:
    solver = ScriptedModel([draft(WRONG), draft(RIGHT), draft(WRONG), draft(RIGHT)])
    first = (await World(coder=solver).run(store)).record.model_dump(mode="json")
    seed: Any = {**first, "tasks": [*first["tasks"], {"prompt": "Now three."}]}
    both = await World(coder=solver).drive(seed)
    shell = trace_of(await unstarted(store))
    routes = tuple(route_of(turn) for turn in both.turns)
    found = await replay(Trace(header=shell.header, record=both, routes=routes))
    assert found.divergence is None
    assert found.replayed == made(both) == 14
