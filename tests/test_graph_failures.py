"""An outside failure is recorded with its owner, and the run resumes at the same node."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.graph.runs import Failure, advance, create_run, open_run
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import list_runs
from opencodeinterpreter.testing import ScriptedModel, ScriptedRunner, draft, ran
from opencodeinterpreter.tools.errors import ModelError, OutsideError, SandboxError, StoreError
from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.models.protocol import Request, Response
from opencodeinterpreter.tools.program import Program
from tests.scripts import BETTER, TABLE, TASK, THREE_TURNS, World

UNREACHABLE = "the server at 'example' can't be reached"
YES = '{"solved": true, "reason": "It adds."}'


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(str(tmp_path / "runs.sqlite")) as opened:
        yield opened


def failing(node: str) -> World:
    """Return a world where one node fails once, in turn 2."""
    if node == "coder":
        return World(coder=ScriptedModel(THREE_TURNS, fails_at=[2]))
    if node == "executor":
        return World(runner=ScriptedRunner(TABLE, fails=[BETTER]))
    if node == "judge":
        judge = ScriptedModel(['{"solved": false, "reason": "No."}', YES], fails_at=[2])
        return World(judge=judge, runner=ScriptedRunner(default=ran("")))
    return World(critic=ScriptedModel(["Look at it."], fails_at=[2]))


@pytest.mark.parametrize(
    ("node", "owner", "message"),
    [
        ("coder", "model", UNREACHABLE),
        ("executor", "sandbox", "the sandbox broke"),
        ("judge", "model", UNREACHABLE),
        ("critic", "model", UNREACHABLE),
    ],
)
async def test_a_failed_run_names_node_and_owner_and_resumes_there(
    store: Store, node: str, owner: str, message: str
) -> None:
    fields: dict[str, Any] = {"critic": "simulated"} if node == "critic" else {}
    whole = await failing_free(node).solve(**fields)
    world = failing(node)
    row = await create_run(store, task_seed(TASK, world.settings(**fields)))
    with pytest.raises((ModelError, SandboxError), match=message):
        await advance(store, world.graph(store), row)

    failed = await open_run(store, row.id)
    assert failed.failure == Failure(node=node, owner=owner, message=message)
    assert (failed.row.status, failed.next) == ("failed", node)
    assert failed.row.turns == len(failed.record.turns) > 0
    before = calls(world)

    run = await advance(store, world.graph(store), row)
    assert run.record == whole
    assert (run.row.status, run.failure) == ("solved", None)
    assert calls(world) - before == calls_of(whole) - calls_of(failed.record)


def failing_free(node: str) -> World:
    """Return the same world without the failure."""
    world = failing(node)
    for model in (world.coder, world.judge, world.critic):
        if model is not None:
            model.fails_at.clear()
    if node == "executor":
        world.runner = ScriptedRunner(TABLE)
    return world


def calls(world: World) -> int:
    """Return how many times a model or the runner was asked."""
    models = (world.coder, world.judge, world.critic)
    asked = sum(len(model.asked) for model in models if model is not None)
    assert isinstance(world.runner, ScriptedRunner)
    return asked + len(world.runner.ran)


def calls_of(record: Any) -> int:
    """Return how many calls and runs a record holds."""
    return sum(sum(1 for _ in turn.calls()) + len(turn.executions or ()) for turn in record.turns)


async def test_a_second_failure_is_kept_like_the_first(store: Store) -> None:
    row = await create_run(store, task_seed(TASK, World().settings()))
    for _ in range(2):
        world = World(coder=ScriptedModel(THREE_TURNS, fails_at=[1]))
        with pytest.raises(ModelError):
            await advance(store, world.graph(store), row)
    assert (await open_run(store, row.id)).row.status == "failed"
    assert (await advance(store, World().graph(store), row)).row.status == "solved"


async def test_one_of_several_drafts_failing_fails_the_turn_and_asks_all_again(
    store: Store,
) -> None:
    world = World(coder=ScriptedModel([THREE_TURNS], fails_at=[1]))
    row = await create_run(store, task_seed(TASK, world.settings(drafts=3)))
    with pytest.raises(ModelError):
        await advance(store, world.graph(store), row)
    assert (await open_run(store, row.id)).record.turns == ()
    run = await advance(store, world.graph(store), row)
    assert len(run.record.turns[0].drafts or ()) == 3


class Broken:
    """A seam with a mistake in it."""

    spec = "scripted:broken"

    async def complete(self, request: Request) -> Response:
        raise ZeroDivisionError("a mistake (in our own code), 'quoted'")


async def test_a_programming_error_is_raised_as_it_is_and_kept(store: Store) -> None:
    row = await create_run(store, task_seed(TASK, World().settings()))
    graph = build_graph({"coder": Broken()}, ScriptedRunner(), checkpointer=store.saver)
    with pytest.raises(ZeroDivisionError):
        await advance(store, graph, row)
    failure = (await open_run(store, row.id)).failure
    assert failure == Failure("coder", "program", "a mistake (in our own code), 'quoted'")


class CutCable:
    """A runner during whose first run the store loses a table."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self, program: Program) -> Execution:
        await self._store.execute("DROP TABLE writes")
        return ran("")


async def test_a_store_that_fails_is_named_as_such(store: Store) -> None:
    world = World(runner=CutCable(store))
    row = await create_run(store, task_seed(TASK, world.settings()))
    with pytest.raises(StoreError, match="what it held before is safe"):
        await advance(store, world.graph(store), row)


@pytest.mark.parametrize("kind", OutsideError.__subclasses__())
def test_every_outside_error_has_an_owner(kind: type[OutsideError]) -> None:
    assert kind.owner.isidentifier()


async def test_a_run_whose_process_died_shows_as_interrupted(store: Store) -> None:
    row = await create_run(store, task_seed(TASK, World().settings()))
    await store.execute("UPDATE opencodeinterpreter_runs SET status = 'running'")
    assert [found.status for found in await list_runs(store)] == ["interrupted"]
    async with store.claim(row.id):
        assert [found.status for found in await list_runs(store)] == ["running"]
    run = await advance(store, World().graph(store), row)
    assert run.row.status == "solved"


async def test_another_model_may_take_over_where_one_failed(store: Store) -> None:
    world = World(coder=ScriptedModel(THREE_TURNS, fails_at=[2]))
    row = await create_run(store, task_seed(TASK, world.settings()))
    with pytest.raises(ModelError):
        await advance(store, world.graph(store), row)
    other = World(coder=ScriptedModel([draft("x"), *THREE_TURNS[1:]], spec="scripted:other"))
    run = await advance(store, other.graph(store), row)
    named = [run.record.settings[turn.settings]["models"] for turn in run.record.turns]
    assert named == [{"coder": f"scripted:{name}"} for name in ("test", "other", "other")]
