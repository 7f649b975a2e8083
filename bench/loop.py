"""What a stored run costs beside LangGraph alone: processor time a turn, measured in turns.

python bench/loop.py

LangGraph alone is a graph of the same shape with nodes that write one small value, on the same
saver. Ours draws no model and no sandbox: both answer at once. Both run RUNS runs of TURNS turns.
"""

import asyncio
import statistics
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from operator import add
from pathlib import Path
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.graph.runs import advance, create_run
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.nodes.settings import Limits, Settings
from opencodeinterpreter.testing import draft
from opencodeinterpreter.tools.execution import Execution, ExecutionError
from opencodeinterpreter.tools.models.protocol import Request, Response
from opencodeinterpreter.tools.program import Program

RUNS, TURNS, AT_ONCE, ROUNDS = 40, 3, 8, 5
GOAL = 1.5
SETTINGS = Settings(
    models={"coder": "openai:m@http://127.0.0.1:1/v1"}, limits=Limits(turns=TURNS, stuck=False)
)


class _Alone(TypedDict):
    values: Annotated[list[int], add]


def alone(store: Store) -> Any:
    """Return a graph of the loop's shape whose nodes write a number."""
    built = StateGraph(_Alone)
    for name in ("coder", "executor", "judge", "critic"):
        built.add_node(name, _one)
    built.add_edge(START, "coder")
    built.add_edge("coder", "executor")
    built.add_edge("executor", "judge")
    built.add_conditional_edges("judge", _further, {"critic": "critic", "end": END})
    built.add_edge("critic", "coder")
    return built.compile(checkpointer=store.saver)


async def _one(state: _Alone) -> dict[str, list[int]]:
    return {"values": [1]}


def _further(state: _Alone) -> str:
    return "end" if len(state["values"]) >= 4 * TURNS - 1 else "critic"


class _Model:
    spec = SETTINGS.models["coder"]

    async def complete(self, request: Request) -> Response:
        return Response(text=draft(f"print({request.at.turn})"), model="m")


class _Runner:
    async def run(self, program: Program) -> Execution:
        error = ExecutionError(name="ValueError", value=program.code, traceback="")
        return Execution(status="error", exit_code=1, error=error)


async def cost(one: Callable[[], Awaitable[None]]) -> float:
    """Return the milliseconds of processor time that a turn of RUNS runs takes."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def limited() -> None:
        async with slots:
            await one()

    started = time.process_time()
    await asyncio.gather(*(limited() for _ in range(RUNS)))
    return 1000 * (time.process_time() - started) / (RUNS * TURNS)


async def main() -> None:
    """Measure both in turns and print the median ratio, its range, and both medians."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_store(str(Path(folder) / "runs.sqlite")) as store:
            bare = alone(store)
            graph = build_graph({"coder": _Model()}, _Runner(), checkpointer=store.saver)

            async def floor() -> None:
                about: Any = {"configurable": {"thread_id": str(uuid.uuid4())}}
                await bare.ainvoke({"values": []}, about, durability="sync")

            async def ours() -> None:
                row = await create_run(store, task_seed({"prompt": "Print a number."}, SETTINGS))
                run = await advance(store, graph, row)
                assert len(run.record.turns) == TURNS

            await cost(floor)
            await cost(ours)
            pairs = [(await cost(floor), await cost(ours)) for _ in range(ROUNDS)]
    ratios = [mine / least for least, mine in pairs]
    least, mine = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(
        f"loop: {statistics.median(ratios):.2f} of LangGraph alone ({min(ratios):.2f} to "
        f"{max(ratios):.2f}, goal {GOAL}); {mine:.1f} and {least:.1f} ms of processor time a turn"
    )


if __name__ == "__main__":
    asyncio.run(main())
