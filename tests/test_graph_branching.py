"""A branch starts with the parent's turns as given parts and an edit, and then runs live."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from opencodeinterpreter.graph.routes import next_node
from opencodeinterpreter.graph.runs import Origin, advance, create_run, open_run
from opencodeinterpreter.graph.seeds import Edit, branch_seed, task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import list_runs
from opencodeinterpreter.nodes.records import PARTS, Record, Turn
from opencodeinterpreter.nodes.state import State, by_number
from opencodeinterpreter.testing import ScriptedModel, draft
from opencodeinterpreter.tools.errors import InputError, ModelError
from opencodeinterpreter.tools.person import PersonAnswer
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import trace_of
from tests.scripts import BETTER, RIGHT, TASK, THREE_TURNS, WRONG, World, summary


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(str(tmp_path / "runs.sqlite")) as opened:
        yield opened


def bare(turns: tuple[Turn, ...]) -> list[Turn]:
    """Return turns without their marks of what was given."""
    return [turn.model_copy(update={"given": {}}) for turn in turns]


def start(parent: Record, turn: int, edit: Edit) -> tuple[Record, str]:
    """Return what a branch begins with, and the node that it enters by."""
    seed = branch_seed(parent, "parent", turn, edit)
    return Record.model_validate(seed), next_node(cast(State, seed))


CHEAPER = World().settings(limits={"turns": 9}, critic="execution")
EDITS = {
    "feedback": (Edit(feedback="Print 3."), "coder"),
    "code": (Edit(code=RIGHT), "executor"),
    "revise": (Edit(verdict="revise"), "critic"),
    "solved": (Edit(verdict="solved"), "end"),
    "stopped": (Edit(verdict="stopped"), "end"),
    "settings": (Edit(settings=CHEAPER), "judge"),
    "nothing": (Edit(), "judge"),
    "executor": (Edit(at="executor"), "executor"),
    "judge": (Edit(at="judge"), "judge"),
    "settings and executor": (Edit(at="executor", settings=CHEAPER), "executor"),
    "settings and code": (Edit(code=RIGHT, settings=CHEAPER), "executor"),
    "settings and feedback": (Edit(feedback="Print 3.", settings=CHEAPER), "coder"),
}


@pytest.mark.parametrize("turn", [1, 2, 3])
@pytest.mark.parametrize("name", EDITS)
async def test_a_branch_enters_by_what_was_edited_and_keeps_what_came_before(
    name: str, turn: int
) -> None:
    edit, node = EDITS[name]
    parent = await World().solve()
    seed, entered = start(parent, turn, edit)
    assert entered == node
    assert len(seed.turns) == turn
    assert bare(seed.turns[:-1]) == bare(parent.turns[: turn - 1])
    for stem in seed.turns[:-1]:
        held = {part for part in PARTS if getattr(stem, part) is not None}
        assert stem.given == dict.fromkeys(held, f"parent turn {turn}")
    assert seed.texts.items() <= parent.texts.items() or edit.code or edit.feedback
    assert set(seed.settings) == {one.settings for one in seed.turns}


async def test_edited_feedback_is_what_the_coder_answers() -> None:
    parent = await World().solve()
    world = World(coder=ScriptedModel([draft(WRONG), draft(WRONG), draft(RIGHT)]))
    seed = branch_seed(parent, "parent", 2, Edit(feedback="Print 3, please."))
    record = await world.drive(seed)
    assert summary(record) == [
        "1 draft: print(1) [parent turn 2] | 0/2 [parent turn 2] "
        "| revise by tests [parent turn 2] | execution [parent turn 2]",
        "2 draft: print(2) [parent turn 2] | 1/2 [parent turn 2] "
        "| revise by tests [parent turn 2] | human [an edit]",
        "3 draft: print(3) | 2/2 | solved by tests",
    ]
    (request,) = world.coder.asked
    assert request.messages[-1].content == "Print 3, please."
    assert request.at.turn == 3


async def test_edited_code_is_run_in_place_of_the_coders() -> None:
    parent = await World().solve()
    world = World()
    record = await world.drive(branch_seed(parent, "parent", 2, Edit(code=RIGHT)))
    assert summary(record)[1:] == ["2 draft: print(3) [an edit] | 2/2 | solved by tests"]
    assert world.coder.asked == []


async def test_an_edited_verdict_takes_the_judges_route() -> None:
    parent = await World().solve()
    record = await World().drive(branch_seed(parent, "parent", 1, Edit(verdict="revise")))
    assert summary(record)[0] == (
        "1 draft: print(1) [parent turn 1] | 0/2 [parent turn 1] "
        "| revise by human [an edit] | execution"
    )
    assert len(record.turns) == 3


async def test_a_solved_run_can_be_asked_for_more() -> None:
    parent = await World().solve()
    world = World(coder=ScriptedModel([*THREE_TURNS, draft(RIGHT)]))
    record = await world.drive(branch_seed(parent, "parent", 3, Edit(feedback="Shorter.")))
    assert summary(record)[2:] == [
        "3 draft: print(3) [parent turn 3] | 2/2 [parent turn 3] "
        "| revise by human [an edit] | human [an edit]",
        "4 draft: print(3) | 2/2 | solved by tests",
    ]


async def test_new_settings_hold_from_that_turn_on() -> None:
    parent = await World().solve()
    settings = World().settings(critic="simulated")
    world = World(coder=ScriptedModel([draft(WRONG), ["Try again."], *THREE_TURNS[2:]]))
    record = await world.drive(branch_seed(parent, "parent", 2, Edit(settings=settings)))
    critics = [record.settings[turn.settings]["critic"] for turn in record.turns]
    assert critics == ["execution", "simulated", "simulated"]
    assert summary(record)[1].endswith("| simulated")


async def test_without_an_edit_a_branch_goes_as_its_parent_went() -> None:
    parent = await World().solve()
    record = await World().drive(branch_seed(parent, "parent", 2, Edit()))
    assert bare(record.turns) == bare(parent.turns)


async def test_a_turn_without_code_can_be_branched_too() -> None:
    parent = await World(coder=ScriptedModel(["Prose.", draft(RIGHT)])).solve()
    for edit, node in EDITS.values():
        seed, entered = start(parent, 1, edit)
        nothing_to_run = node == "executor" and edit.code is None
        assert entered == ("judge" if nothing_to_run else node)
        assert seed.turns[0].executions is None


async def test_the_parent_is_left_as_it_was(store: Store) -> None:
    parent = await World().run(store)
    before = list(trace_of(parent).lines())
    for name in ("feedback", "code", "revise", "settings"):
        await World().branch(store, parent.row, 2, EDITS[name][0])
    assert await open_run(store, parent.row.id) == parent
    assert list(trace_of(await open_run(store, parent.row.id)).lines()) == before


async def test_a_branch_of_a_branch_keeps_where_each_part_came_from(store: Store) -> None:
    parent = await World().run(store)
    coder = ScriptedModel([draft(WRONG), draft(WRONG), draft(BETTER), draft(RIGHT)])
    branch = await World(coder=coder).branch(store, parent.row, 2, Edit(feedback="Print 3."))
    again = await World().branch(store, branch.row, 3, Edit(code=RIGHT))
    first, second = parent.row.short, branch.row.short
    assert again.row.parent == branch.row.id
    assert [turn.given for turn in again.record.turns] == [
        dict.fromkeys(PARTS, f"{first} turn 2"),
        {
            **dict.fromkeys(PARTS[:3], f"{first} turn 2"),
            "feedback": "an edit",
        },
        {"drafts": "an edit"},
    ], second
    assert bare(again.record.turns[:2]) == bare(branch.record.turns[:2])


@pytest.mark.parametrize("name", ["feedback", "revise"])
async def test_an_edit_of_a_given_turn_is_marked_as_an_edit(store: Store, name: str) -> None:
    parent = await World().run(store)
    branch = await World().branch(store, parent.row, 3, Edit(code=RIGHT))
    seed, _ = start(branch.record, 1, EDITS[name][0])
    edited = "feedback" if name == "feedback" else "verdict"
    assert seed.turns[0].given[edited] == "an edit"  # type: ignore[index]


@pytest.mark.parametrize("turn", [0, -1, 4])
async def test_a_turn_that_is_not_there_is_refused(turn: int) -> None:
    parent = await World().solve()
    with pytest.raises(InputError, match=f"run parent has no turn {turn}; it has turns 1 to 3"):
        branch_seed(parent, "parent", turn, Edit())


async def test_a_run_without_a_critic_cannot_be_told_to_revise() -> None:
    parent = await World().solve(critic="none")
    with pytest.raises(InputError, match="run parent has no critic"):
        branch_seed(parent, "parent", 1, Edit(verdict="revise"))
    named = Edit(verdict="revise", settings=World().settings(critic="execution"))
    record = await World().drive(branch_seed(parent, "parent", 1, named))
    assert summary(record)[-1] == "3 draft: print(3) | 2/2 | solved by tests"


async def test_a_run_that_failed_before_its_first_turn_starts_anew_with_other_settings(
    store: Store,
) -> None:
    with pytest.raises(ModelError):
        await World(coder=ScriptedModel(THREE_TURNS, fails_at=[1])).run(store)
    (row,) = await list_runs(store)
    other = World(coder=ScriptedModel([draft(RIGHT)], spec="scripted:other"))
    branch = await other.branch(store, row, 0, Edit(settings=other.settings()))
    assert branch.row.parent == row.id
    assert summary(branch.record) == ["1 draft: print(3) | 2/2 | solved by tests"]
    (settings,) = branch.record.settings.values()
    assert settings["models"] == {"coder": "scripted:other"}


@pytest.mark.parametrize("name", ["feedback", "code", "revise", "solved"])
def test_a_run_without_turns_has_none_to_edit(name: str) -> None:
    settings = World().settings()
    tables = {settings.digest: settings.model_dump(mode="json")}
    parent = Record.model_validate({"tasks": [TASK], "settings": tables})
    for number, edit in ((0, EDITS[name][0]), (1, Edit(settings=settings))):
        with pytest.raises(InputError, match=r"run parent has no turns to change; resume it"):
            branch_seed(parent, "parent", number, edit)


async def two_tasks() -> Record:
    """Return a conversation of two tasks, the first of them in two turns."""
    coder = ScriptedModel([draft(WRONG), draft(RIGHT), draft(WRONG), draft(RIGHT)])
    first = await World(coder=coder).solve()
    tasks = [*first.model_dump(mode="json")["tasks"], {"prompt": "Now three."}]
    return await World(coder=coder).drive({**first.model_dump(mode="json"), "tasks": tasks})


@pytest.mark.parametrize("name", ["feedback", "code"])
async def test_a_branch_into_an_earlier_task_knows_nothing_of_later_ones(name: str) -> None:
    parent = await two_tasks()
    assert [turn.task for turn in parent.turns] == [1, 1, 2, 2]
    seed, _ = start(parent, 1, EDITS[name][0])
    assert [task.prompt for task in seed.tasks] == ["Add two numbers."]
    assert "Now three." not in "".join(message.content for message in seed.texts.values())


async def test_a_branch_in_the_second_task_keeps_the_first() -> None:
    parent = await two_tasks()
    seed, entered = start(parent, 3, Edit(code=RIGHT))
    assert (entered, len(seed.tasks), len(seed.turns)) == ("executor", 2, 3)
    record = await World().drive(branch_seed(parent, "parent", 3, Edit(code=RIGHT)))
    assert summary(record)[2:] == ["3 draft: print(3) [an edit] | 2/2 | solved by tests"]


async def test_ones_own_code_may_be_the_first_draft() -> None:
    world = World()
    seed = task_seed(TASK, world.settings(), draft=f"{BETTER}\n\n")
    assert (
        next_node(cast(State, {**seed, "tasks": by_number([], [cast(Any, seed)["tasks"]])}))
        == "executor"
    )
    record = await world.drive(seed)
    assert summary(record)[0] == ("1 draft: print(2) [a file] | 1/2 | revise by tests | execution")
    messages = world.coder.asked[0].messages
    assert [message.role for message in messages] == ["user", "assistant", "user"]
    assert messages[1].content == f"```python\n{BETTER}\n```"


async def test_an_unfinished_turn_can_be_branched(store: Store) -> None:
    whole = await World().solve()
    cut: dict[str, Any] = {"executions": None, "programs": None, "verdict": None, "feedback": None}
    turns = (whole.turns[0], whole.turns[1].model_copy(update=cut))
    parent = whole.model_copy(update={"turns": turns})
    for name in ("feedback", "code", "revise"):
        edit, node = EDITS[name]
        seed, entered = start(parent, 2, edit)
        assert entered == node
        row = await create_run(store, branch_seed(parent, "parent", 2, edit), Origin())
        assert (await open_run(store, row.id)).record == seed


@pytest.mark.parametrize("turn", [1, 2, 3])
@pytest.mark.parametrize("settings", [None, CHEAPER])
async def test_the_coder_can_be_asked_again_for_any_turn(
    store: Store, turn: int, settings: Any
) -> None:
    parent = await World().run(store)
    edit = Edit(at="coder", settings=settings)
    seed, node = start(parent.record, turn, edit)
    assert (node, len(seed.turns)) == ("coder", turn - 1)
    branch = await World(coder=ScriptedModel([draft(RIGHT)] * 3)).branch(
        store, parent.row, turn, edit
    )
    assert summary(branch.record)[-1] == f"{turn} draft: {RIGHT} | 2/2 | solved by tests"
    assert len(branch.record.turns) == turn
    used = parent.record.turns[0].settings if settings is None else settings.digest
    assert branch.record.turns[-1].settings == used
    assert (await replay(trace_of(branch))).identical


async def test_the_critic_can_be_asked_again_where_it_was_asked() -> None:
    parent = await World().solve()
    seed, node = start(parent, 2, Edit(at="critic"))
    assert node == "critic"
    assert seed.turns[-1].given.keys() == {"drafts", "executions", "verdict"}
    with pytest.raises(InputError, match="parent turn 3 did not go to the critic"):
        branch_seed(parent, "parent", 3, Edit(at="critic"))


async def test_no_coder_is_asked_for_code_that_a_person_gave(store: Store) -> None:
    waiting = await World().run(store, critic="human")
    world = World()
    answer = PersonAnswer(action="edit", text=BETTER)
    run = await advance(store, world.graph(store), waiting.row, answer=answer)
    with pytest.raises(InputError, match="no coder wrote turn 2 of run parent"):
        branch_seed(run.record, "parent", 2, Edit(at="coder"))
    assert start(run.record, 2, Edit(at="executor"))[1] == "executor"


async def test_a_run_of_a_host_can_be_branched(store: Store) -> None:
    host = str(uuid.uuid4())
    config: Any = {"configurable": {"thread_id": host}}
    seed: Any = task_seed(dict(TASK), World().settings())
    await World().graph(store).ainvoke(seed, config)
    (row,) = await list_runs(store)
    assert (row.id, row.model) == (host, World().coder.spec)
    branch = await World(coder=ScriptedModel([draft(RIGHT)] * 2)).branch(
        store, row, 1, Edit(feedback="Print 3.")
    )
    assert summary(branch.record)[-1] == f"2 draft: {RIGHT} | 2/2 | solved by tests"
    assert (await replay(trace_of(branch))).identical
