"""The ways in which other programs solve tasks: awaited, not awaited, as a tool."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolCall, ToolMessage

from opencodeinterpreter import (
    OpenCodeInterpreterError,
    Settings,
    as_tool,
    open_graph,
    open_solver,
    open_store,
    solve,
    solve_sync,
)
from opencodeinterpreter.graph.store.rows import read_row
from opencodeinterpreter.nodes.records import Turn
from opencodeinterpreter.nodes.state import TaskInput
from opencodeinterpreter.tools.errors import InputError
from tests.doubling import RIGHT, TASK, TESTS, TRIPLE, draft, write_script

DOUBLING: TaskInput = {"prompt": TASK, "tests": {"kind": "python", "source": TESTS}}
ALL_NODES = ["coder", "executor", "judge", "critic", "coder", "executor", "judge"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings of a coder that is right at its second turn."""
    spec = write_script(tmp_path / "script.toml", [draft(TRIPLE), draft(RIGHT)])
    return Settings(models={"coder": spec})


def test_a_task_is_solved_without_awaiting(settings: Settings) -> None:
    assert solve_sync(DOUBLING, settings).code == RIGHT.rstrip()


async def test_a_task_is_solved_without_awaiting_inside_a_running_loop(settings: Settings) -> None:
    assert solve_sync(DOUBLING, settings).solved


@pytest.mark.parametrize("stored", [False, True])
async def test_each_node_is_told_with_and_without_a_store(
    settings: Settings, stored: bool, tmp_path: Path
) -> None:
    told: list[str] = []

    def watch(node: str, turn: Turn) -> None:
        told.append(node)
        assert getattr(turn, {"coder": "drafts", "executor": "executions"}.get(node, "verdict"))

    async with open_store(str(tmp_path / "runs.sqlite")) as store:
        async with open_solver(settings, store=store if stored else None) as solver:
            solution = await solver.run(DOUBLING, watch)
        row = await read_row(store, solution.run or "")
    assert solution.record.solved
    assert told == ALL_NODES
    assert (row.status if row else None) == ("solved" if stored else None)


async def test_one_solver_solves_many_tasks_at_once(settings: Settings) -> None:
    async with open_solver(settings) as solver:
        records = await asyncio.gather(*[solver.solve(DOUBLING) for _ in range(8)])
    assert [len(record.turns) for record in records] == [2] * 8


async def test_a_human_critic_without_anybody_to_ask_is_refused(settings: Settings) -> None:
    with pytest.raises(OpenCodeInterpreterError, match="pass `person`, or a `store`"):
        await solve(DOUBLING, settings.model_copy(update={"critic": "human"}))


async def test_wrong_tests_are_the_callers_error_before_a_model_is_asked(
    settings: Settings,
) -> None:
    wrong: TaskInput = {"prompt": TASK, "tests": {"kind": "python", "source": "import nothing_"}}
    with pytest.raises(OpenCodeInterpreterError, match="nothing_"):
        await solve(wrong, settings)


class Agent(GenericFakeChatModel):
    """A chat model that calls the tool as scripted."""

    def bind_tools(self, tools: Any, **named: Any) -> Any:
        return self


def calling(*arguments: dict[str, Any]) -> AIMessage:
    return AIMessage(
        "", tool_calls=[ToolCall(name="solve_code", args=each, id=str(n)) for n, each in
                        enumerate(arguments)]
    )  # fmt: skip


async def answers(settings: Settings, *arguments: dict[str, Any]) -> list[str]:
    """Return what an agent gets for calls of the tool, all in one message."""
    async with open_solver(settings) as solver:
        model = Agent(messages=iter([calling(*arguments), AIMessage("Done.")]))
        agent: Any = create_agent(model, [as_tool(solver)])
        state = await agent.ainvoke({"messages": [HumanMessage("Double.")]})
    return [each.text for each in state["messages"] if isinstance(each, ToolMessage)]


async def test_an_agent_gets_outcome_reason_and_code_of_each_of_its_calls(
    settings: Settings,
) -> None:
    found = await answers(settings, *[{"task": TASK, "tests": TESTS}] * 2)
    assert [json.loads(each) for each in found] == [
        {
            "outcome": "solved",
            "reason": "2 of 2 tests passed",
            "code": RIGHT.rstrip(),
            "turns": 2,
            "run": None,
        }
    ] * 2


async def test_an_agent_is_told_of_an_error_and_goes_on(settings: Settings) -> None:
    (found,) = await answers(settings, {"task": TASK, "tests": "import nothing_\nassert 1"})
    assert found.startswith("error: ")
    assert "nothing_" in found


async def test_an_agent_is_told_of_an_argument_that_the_tool_lacks(settings: Settings) -> None:
    (found,) = await answers(settings, {"task": TASK, "test": TESTS})
    assert "test: Extra inputs are not permitted" in found


async def test_a_limit_of_the_cost_needs_prices_in_a_program_too(settings: Settings) -> None:
    limited = Settings.model_validate({**settings.model_dump(), "limits": {"cost": 1.0}})
    with pytest.raises(InputError, match=r"limits\.cost needs the price of scripted:"):
        await solve(DOUBLING, limited)
    with pytest.raises(InputError, match=r"limits\.cost needs the price of scripted:"):
        async with open_graph(limited):
            pass
    prices = {limited.models["coder"]: {"input": 1.0, "output": 1.0}}
    priced = Settings.model_validate({**limited.model_dump(), "client": {"prices": prices}})
    assert (await solve(DOUBLING, priced)).solved
