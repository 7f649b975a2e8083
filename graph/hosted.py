"""The loop as a node or a tool of a host graph: a run of its own, not a part of the host's state.

When LangGraph resumes a node, it calls the node again from its start. The run is therefore named by
the host's thread and task, and is continued where it is stored. Each `interrupt` of the repeated
node gets the answer that it got before, in order, so those of answered questions are used up first.
"""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.runnables import Runnable, RunnableLambda
from langgraph.config import get_config, get_stream_writer
from langgraph.types import interrupt

from opencodeinterpreter.graph.solve import Solution, Solver
from opencodeinterpreter.graph.stored import Runs
from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.nodes.state import TaskInput
from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.person import PersonAnswer

_HOSTED = uuid.UUID("5f0c7a52-9a0e-4bb2-8f5e-5d1f6a3c0b77")


def as_node(
    solver: Solver,
    task: Callable[[Any], str | TaskInput],
    update: Callable[[Solution], Mapping[str, Any]],
) -> Runnable[Any, Any]:
    """Return a node for a graph with another state, also for use with `Send`.

    `task` makes a task of the host's state, `update` the host's update of the solution. With a
    store, the node's run is stored, listed and branched like any other; if the host repeats the
    node, the run goes on and nothing is asked again; and a human critic interrupts the host. The
    host then needs a checkpointer, and resumes with words or another answer of a person.
    """

    async def node(state: Any) -> Mapping[str, Any]:
        return update(await solved_in_host(solver, task(state)))

    def node_sync(state: Any) -> Mapping[str, Any]:
        return solver.wait(node(state))

    return RunnableLambda(node_sync, node, name="opencodeinterpreter")


async def solved_in_host(solver: Solver, task: str | TaskInput) -> Solution:
    """Solve a task from inside a host's node or tool; see `as_node`."""
    place = _place(task)
    if solver.store is None or place is None:
        return await solver.run(task)
    runs = Runs(solver)
    run = await runs.create(task, run=str(uuid.uuid5(_HOSTED, place)))
    for _ in range(_answered(run.record)):
        interrupt({"answered": "this question was answered; resume with anything"})
    writer = get_stream_writer()
    run = await runs.advance(run.row.id, on_event=writer)
    while run.question is not None:
        asked = run.question.model_dump(mode="json")
        answer = interrupt(asked, response_schema=PersonAnswer)
        run = await runs.advance(run.row.id, PersonAnswer.model_validate(answer), on_event=writer)
    return Solution(run.record, run.row.id)


def _place(task: str | TaskInput) -> str | None:
    """Name the host's thread and task, and ours in it; `None` outside a stored host thread."""
    try:
        inside: dict[str, Any] = get_config().get("configurable", {})
    except RuntimeError:
        return None
    thread, node = inside.get("thread_id"), inside.get("__pregel_task_id")
    return None if thread is None or node is None else f"{thread}/{node}/{digest(task)}"


def _answered(record: Record) -> int:
    return sum(turn.feedback is not None and turn.feedback.kind == "human" for turn in record.turns)
