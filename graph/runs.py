"""Runs in a store: create, open, advance; and the table of runs made anew from them."""

import ast
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import structlog
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, StateSnapshot, StreamMode

from opencodeinterpreter.graph.build import Graph, build_graph
from opencodeinterpreter.graph.routes import Next, next_node
from opencodeinterpreter.graph.store.protocol import Store, store_failures
from opencodeinterpreter.graph.store.rows import Row, Status, insert_row, now, read_row, update_row
from opencodeinterpreter.nodes.limits import tokens
from opencodeinterpreter.nodes.records import Record, Turn
from opencodeinterpreter.nodes.state import Input, State, by_number, read
from opencodeinterpreter.tools.errors import InputError, OutsideError
from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.models.protocol import Request, Response
from opencodeinterpreter.tools.person import PersonAnswer, Question
from opencodeinterpreter.tools.runner import Program

Source = Literal["here", "trace"]


@dataclass(frozen=True)
class Origin:
    """Where a new run comes from; `None` for what is new with it."""

    run: str | None = None
    parent: str | None = None
    parent_turn: int | None = None
    created: str | None = None
    source: Source = "here"


@dataclass(frozen=True)
class Failure:
    """The outside failure that stopped a run; it resumes at the same node."""

    node: str
    owner: str
    message: str


@dataclass(frozen=True)
class Run:
    """A run as the store holds it now."""

    row: Row
    record: Record
    next: Next
    """The node that goes on with it; `end` for a finished run."""
    failure: Failure | None = None
    question: Question | None = None
    """What a person is being asked."""
    source: Source = "here"
    """Where its settings were chosen; those of a `trace` may be a stranger's."""


Watch = Callable[[str, Turn], None]
"""Called after each node with its name and the turn as it then stands."""

Hear = Callable[[str, str, str], None]
"""Called with each piece of a model's answer: the node that asked, the answer's id, the text."""


class _Closed:
    """Seams of a graph that only reads; none is ever called."""

    spec = "closed"

    async def complete(self, request: Request) -> Response:
        raise NotImplementedError(request)

    async def run(self, program: Program) -> Execution:
        raise NotImplementedError(program)


def reading_graph(store: Store) -> Graph:
    """Return a graph that reads and seeds states, and can run no node."""
    return build_graph({"coder": _Closed()}, _Closed(), checkpointer=store.saver)


async def create_run(
    store: Store,
    seed: Input,
    origin: Origin | None = None,
) -> Row:
    """Store a new run that starts from `seed`; no node runs yet."""
    began = now()
    origin = origin or Origin()
    row = Row(
        id=origin.run or str(uuid.uuid4()),
        parent=origin.parent,
        parent_turn=origin.parent_turn,
        title=_title(seed["tasks"][-1]["prompt"]),
        status="interrupted",
        turns=0,
        tokens=0,
        created=origin.created or began,
        updated=began,
    )
    with store_failures(store):
        if await read_row(store, row.id):
            raise InputError(f"run {row.id} is in the store already")
        await reading_graph(store).aupdate_state(
            _config(row, origin.source), seed, as_node="__start__"
        )
        await insert_row(store, row)
        return (await _refreshed(store, await open_run(store, row.id))).row


async def open_run(store: Store, run_id: str) -> Run:
    """Read a run by its full id."""
    row = await read_row(store, run_id)
    assert row is not None, f"there is no run {run_id}"
    snapshot = await reading_graph(store).aget_state(_config(row))
    return _as_run(row, snapshot)


async def advance(
    store: Store,
    graph: Graph,
    row: Row,
    *,
    answer: PersonAnswer | None = None,
    watch: Watch | None = None,
    hear: Hear | None = None,
) -> Run:
    """Carry a run on until it ends, waits for a person or fails; a finished run stays as it is.

    Models stream their answers only where somebody hears them. Each node's part is stored before
    the next node starts. Raises the OutsideError of a model, the sandbox or the store; the run
    then resumes at the same node.
    """
    with store_failures(store):
        async with store.claim(row.id):
            run = await open_run(store, row.id)
            if run.next == "end" or (run.question and answer is None):
                return await _refreshed(store, run)
            await update_row(store, replace(run.row, status="running"))
            resume: Command[Any] | None = None
            if run.question and answer:
                resume = Command(resume=answer.model_dump(mode="json"))
            try:
                with structlog.contextvars.bound_contextvars(run=row.short):
                    await _drive(graph, row, resume, run, watch or _unwatched, hear)
            finally:
                run = await _settled(store, row)
            return run


async def _drive(
    graph: Graph,
    row: Row,
    resume: Command[Any] | None,
    run: Run,
    watch: Watch,
    hear: Hear | None,
) -> None:
    turns: list[dict[str, Any]] = [turn.model_dump(mode="json") for turn in run.record.turns]
    modes: list[StreamMode] = ["updates"] if hear is None else ["updates", "messages"]
    part: Any
    async for mode, part in graph.astream(
        cast(Any, resume), _config(row, run.source), stream_mode=modes, durability="sync"
    ):
        if mode == "messages":
            message, about = part
            if hear is not None:
                hear(about["langgraph_node"], message.id or "", str(message.text))
            continue
        for node, update in part.items():
            if node.startswith("__"):
                # A question to a person; or the note that a node's writes were found in the store,
                # whose run was killed before the checkpoint that would have held them.
                continue
            turns = by_number(turns, [update["turns"]])
            touched = {turn["number"] for turn in update["turns"]}
            for turn in turns:
                if turn["number"] in touched:
                    watch(node, Turn.model_validate(turn))


def _unwatched(node: str, turn: Turn) -> None:
    """Watch nothing."""


async def _settled(store: Store, row: Row) -> Run:
    """Bring the table in line with the checkpoints, however the graph ended."""
    return await _refreshed(store, await open_run(store, row.id))


async def _refreshed(store: Store, run: Run) -> Run:
    row = replace(
        run.row,
        status=status_of(run),
        turns=len(run.record.turns),
        tokens=tokens(run.record.turns),
    )
    return run if row == run.row else replace(run, row=await update_row(store, row))


def status_of(run: Run) -> Status:
    """Return what a run that nobody is working on has come to."""
    if run.failure:
        return "failed"
    if run.question:
        return "waiting"
    if run.next != "end":
        return "interrupted"
    return "solved" if run.record.solved else "unsolved"


async def rebuild(store: Store) -> int:
    """Add a row for every run that has checkpoints and none; return how many were added."""
    found = await store.execute(
        "SELECT DISTINCT thread_id FROM checkpoints "
        "WHERE thread_id NOT IN (SELECT id FROM opencodeinterpreter_runs)"
    )
    added = 0
    for (thread,) in found:
        snapshot = await reading_graph(store).aget_state({"configurable": {"thread_id": thread}})
        about: dict[str, Any] = dict(snapshot.metadata or {})
        if "run_title" not in about:
            continue  # A host application's own thread.
        row = Row(
            id=thread,
            parent=about["run_parent"] or None,
            parent_turn=about["run_parent_turn"] if about["run_parent"] else None,
            title=about["run_title"],
            status="interrupted",
            turns=0,
            tokens=0,
            created=about["run_created"],
            updated=snapshot.created_at or about["run_created"],
        )
        await insert_row(store, row)
        await _settled(store, row)
        added += 1
    return added


def _as_run(row: Row, snapshot: StateSnapshot) -> Run:
    about: dict[str, Any] = dict(snapshot.metadata or {})
    failures = [task for task in snapshot.tasks if task.error]
    questions = [interrupt.value for interrupt in snapshot.interrupts]
    return Run(
        row=row,
        record=read(snapshot.values),
        next=next_node(cast(State, snapshot.values)),
        failure=_failure(failures[0].name, str(failures[0].error)) if failures else None,
        question=Question.model_validate(questions[0]) if questions else None,
        source=about.get("run_source", "here"),
    )


def _failure(node: str, error: str) -> Failure:
    """Read LangGraph's text of an error, the `repr` of the exception."""
    name, _, rest = error.partition("(")
    owners = dict(_owners(OutsideError))
    try:
        message = str(ast.literal_eval(rest.removesuffix(")").rstrip(",")))
    except (SyntaxError, ValueError):
        message = error
    return Failure(node=node, owner=owners.get(name, "program"), message=message)


def _owners(kind: type[OutsideError]) -> Iterator[tuple[str, str]]:
    for below in kind.__subclasses__():
        yield below.__name__, below.owner
        yield from _owners(below)


def _config(row: Row, source: Source = "here") -> RunnableConfig:
    about = {
        "run_title": row.title,
        "run_parent": row.parent or "",
        "run_parent_turn": row.parent_turn or 0,
        "run_created": row.created,
        "run_source": source,
    }
    return {"configurable": {"thread_id": row.id}, "metadata": about}


def _title(prompt: str) -> str:
    lines = [line.strip() for line in prompt.splitlines() if line.strip()]
    return lines[0][:60] if lines else ""
