"""The loop as a node and a tool of a host graph, and stored runs as a host program uses them."""

import json
import operator
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Required

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send
from typing_extensions import TypedDict

from opencodeinterpreter import (
    Edit,
    Runs,
    Settings,
    as_node,
    as_tool,
    open_solver,
    open_solver_sync,
    open_store,
)
from opencodeinterpreter.graph.runs import Run
from opencodeinterpreter.graph.solve import Solution, Solver
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import list_runs
from opencodeinterpreter.nodes.state import TaskInput
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.person import PersonAnswer
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import trace_of
from tests.doubling import PLUS_TWO, RIGHT, TASK, TESTS, THREE_TURNS, write_script
from tests.test_graph_solve import Agent, calling

DOUBLING: TaskInput = {"prompt": TASK, "tests": TESTS}
CONFIG: Any = {"configurable": {"thread_id": "the host's"}}


class Ticket(TypedDict, total=False):
    request: Required[str]
    codes: Annotated[list[str | None], operator.add]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(str(tmp_path / "runs.sqlite")) as opened:
        yield opened


def settings(tmp_path: Path, **fields: Any) -> Settings:
    spec = write_script(tmp_path / "script.toml", THREE_TURNS)
    return Settings.model_validate({"models": {"coder": spec}, **fields})


def host_of(solver: Solver, requests: int = 1) -> Any:
    def task(ticket: Ticket) -> TaskInput:
        return {**DOUBLING, "prompt": ticket["request"]}

    def update(solution: Solution) -> Any:
        return {"codes": [solution.record.code]}

    def spread(ticket: Ticket) -> list[Send]:
        each = [{"request": f"{TASK} Version {number}."} for number in range(requests)]
        return [Send("solve", one) for one in each]

    host = StateGraph(Ticket)
    host.add_node("solve", as_node(solver, task, update))
    host.add_conditional_edges(START, spread, ["solve"])
    host.add_edge("solve", END)
    return host.compile(checkpointer=InMemorySaver())


async def test_a_host_with_another_state_gets_its_own_update(tmp_path: Path, store: Store) -> None:
    async with open_solver(settings(tmp_path), store=store) as solver:
        found = await host_of(solver).ainvoke({"request": TASK}, CONFIG)
    assert found["codes"] == [RIGHT.rstrip()]
    assert [row.status for row in await list_runs(store)] == ["solved"]


async def test_tasks_that_are_sent_have_runs_of_their_own(tmp_path: Path, store: Store) -> None:
    async with open_solver(settings(tmp_path), store=store) as solver:
        found = await host_of(solver, 4).ainvoke({}, CONFIG)
    assert found["codes"] == [RIGHT.rstrip()] * 4
    assert [row.turns for row in await list_runs(store)] == [3] * 4


async def test_each_answer_of_a_hosts_person_goes_to_its_own_question(
    tmp_path: Path, store: Store
) -> None:
    """Although LangGraph gives a repeated node its first answer at its first interrupt."""
    async with open_solver(settings(tmp_path, critic="human"), store=store) as solver:
        host = host_of(solver)
        asked = [(await host.ainvoke({"request": TASK}, CONFIG))["__interrupt__"][0].value["turn"]]
        said: list[Any] = ["First words.", [{"type": "response", "args": "Second words."}]]
        for words in said:
            found = await host.ainvoke(Command(resume=words), CONFIG)
            asked += [each.value["turn"] for each in found.get("__interrupt__", ())]
        (row,) = await list_runs(store)
        run = await Runs(solver).get(row.id)
    assert asked == [1, 2]
    texts = [run.record.text(t.feedback.message or "") for t in run.record.turns if t.feedback]
    assert texts == ["First words.", "Second words."]
    assert found["codes"] == [RIGHT.rstrip()]
    assert (await replay(trace_of(run))).identical


async def test_a_tool_asks_the_agents_person(tmp_path: Path, store: Store) -> None:
    async with open_solver(settings(tmp_path, critic="human"), store=store) as solver:
        model = Agent(messages=iter([calling({"task": TASK, "tests": TESTS}), AIMessage("Done.")]))
        agent: Any = create_agent(model, [as_tool(solver)], checkpointer=InMemorySaver())
        asked = await agent.ainvoke({"messages": [HumanMessage("Double.")]}, CONFIG)
        assert asked["__interrupt__"][0].value["turn"] == 1
        found = await agent.ainvoke(Command(resume=[{"type": "accept", "args": None}]), CONFIG)
    (answer,) = (each for each in found["messages"] if isinstance(each, ToolMessage))
    told = json.loads(answer.text)
    assert (told["outcome"], told["reason"]) == ("solved", "approved by a person")
    assert told["run"] == (await list_runs(store))[0].id


INBOX: list[tuple[Any, PersonAnswer]] = [
    ([{"type": "accept", "args": None}], PersonAnswer(action="approve")),
    ([{"type": "ignore", "args": None}], PersonAnswer(action="stop")),
    ([{"type": "response", "args": "Why?"}], PersonAnswer(action="words", text="Why?")),
    (
        {"type": "edit", "args": {"action": "a", "args": {"code": "x = 1"}}},
        PersonAnswer(action="edit", text="x = 1"),
    ),
    ("Why?", PersonAnswer(action="words", text="Why?")),
]


@pytest.mark.parametrize(("sent", "meant"), INBOX)
def test_the_answers_of_agent_inbox_are_understood(sent: Any, meant: PersonAnswer) -> None:
    assert PersonAnswer.model_validate(sent) == meant


async def test_a_stored_run_is_created_advanced_listed_and_branched(
    tmp_path: Path, store: Store
) -> None:
    events: list[str] = []
    async with open_solver(settings(tmp_path), store=store) as solver:
        runs = Runs(solver)
        created = await runs.create(DOUBLING)
        assert (created.row.status, created.next) == ("interrupted", "coder")
        done = await runs.advance(
            created.row.short, on_event=lambda event: events.append(event["event"])
        )
        branch = await runs.branch("latest", 1, Edit(code=RIGHT))
        branched: Run = await runs.advance(branch.row.id)
        rows = await runs.list()
    assert done.row.status == "solved"
    assert events == [*["turn", "execution", "verdict", "feedback"] * 2, *events[8:]]
    assert events[8:] == ["turn", "execution", "verdict"]
    assert [len(run.record.turns) for run in (done, branched)] == [3, 1]
    assert {row.parent for row in rows} == {None, done.row.id}


async def test_the_same_id_gives_the_same_run(tmp_path: Path, store: Store) -> None:
    async with open_solver(settings(tmp_path), store=store) as solver:
        runs = Runs(solver)
        run = "0d1b1f04-7c6e-4d56-9a35-6a1c4f8e2b11"
        assert await runs.create(DOUBLING, run=run) == await runs.create(DOUBLING, run=run)


async def test_runs_need_a_store(tmp_path: Path) -> None:
    async with open_solver(settings(tmp_path)) as solver:
        with pytest.raises(InputError, match="no store"):
            Runs(solver)


async def test_a_human_critic_without_a_person_and_a_store_is_an_error(tmp_path: Path) -> None:
    async with open_solver(settings(tmp_path)) as solver:
        human = settings(tmp_path, critic="human")
        with pytest.raises(InputError, match="nobody can be asked"):
            await solver.graph.ainvoke({"tasks": [DOUBLING]}, context=human)


async def test_a_solver_without_a_store_tells_its_events(tmp_path: Path) -> None:
    events: list[Any] = []
    async with open_solver(settings(tmp_path)) as solver:
        await solver.run(DOUBLING, on_event=events.append)
    assert [event["event"] for event in events][-3:] == ["turn", "execution", "verdict"]
    assert len(events) == 11


def test_without_awaiting_a_host_and_its_person_are_served_too(tmp_path: Path) -> None:
    path = str(tmp_path / "runs.sqlite")
    with open_solver_sync(settings(tmp_path, critic="human"), store=path) as solver:
        host = host_of(solver)
        asked = host.invoke({"request": TASK}, CONFIG)
        assert asked["__interrupt__"][0].value["turn"] == 1
        found = host.invoke(Command(resume={"action": "approve"}), CONFIG)
    assert found["codes"] == [PLUS_TWO.rstrip()]


def test_without_awaiting_an_agent_calls_the_tool(tmp_path: Path) -> None:
    with open_solver_sync(settings(tmp_path)) as solver:
        call = {"task": TASK, "tests": TESTS}
        model = Agent(messages=iter([calling(call, call), AIMessage("Done.")]))
        agent: Any = create_agent(model, [as_tool(solver)])
        found = agent.invoke({"messages": [HumanMessage("Double.")]})
    answers = [json.loads(m.text) for m in found["messages"] if isinstance(m, ToolMessage)]
    assert [answer["outcome"] for answer in answers] == ["solved"] * 2


async def test_without_awaiting_inside_a_running_loop(tmp_path: Path) -> None:
    with open_solver_sync(settings(tmp_path)) as solver:
        assert solver.run_sync(DOUBLING).record.solved


async def test_a_solver_does_not_wait_for_itself(tmp_path: Path) -> None:
    async with open_solver(settings(tmp_path)) as solver:
        with pytest.raises(InputError, match="would block the event loop"):
            solver.run_sync(DOUBLING)


def test_what_cannot_be_opened_is_told_to_code_that_does_not_await(tmp_path: Path) -> None:
    wrong = Settings(models={"coder": "scripted:/no/such/file"})
    with pytest.raises(InputError, match="/no/such/file"), open_solver_sync(wrong):
        pass
