"""Runs in a store: create, open and advance them, and rebuild the table of runs."""

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, cast

import structlog
from langchain_core.runnables import RunnableConfig
from langgraph.types import StateSnapshot

from opencodeinterpreter.graph.build import Graph, build_graph
from opencodeinterpreter.graph.consistency import check_record
from opencodeinterpreter.graph.driving import Driven, Hear, OnEvent, OnRecord, Watch, merged
from opencodeinterpreter.graph.routes import Next, next_node
from opencodeinterpreter.graph.store.protocol import Store, store_failures
from opencodeinterpreter.graph.store.rows import (
    Row,
    Status,
    insert_row,
    now,
    read_row,
    reason_of,
    title_of,
    update_row,
)
from opencodeinterpreter.graph.store.serializer import StoredError
from opencodeinterpreter.graph.tracing import tracing_if_asked
from opencodeinterpreter.nodes.limits import tokens
from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.nodes.state import Input, State, read
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.models.protocol import Request, Response
from opencodeinterpreter.tools.person import PersonAnswer, Question
from opencodeinterpreter.tools.program import Program

Source = Literal["here", "trace"]


@dataclass(frozen=True)
class Origin:
    """Where a new run comes from; `None` for what does not apply or is chosen now."""

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
    """The node that runs next; `end` for a finished run."""
    failure: Failure | None = None
    question: Question | None = None
    """The question that waits for a person."""
    source: Source = "here"
    """Where its settings were chosen: `here`, or in a `trace`, which may be untrusted."""


class _Closed:
    """A model and runner for a graph that only reads; neither is ever called."""

    spec = "closed"

    async def complete(self, request: Request) -> Response:
        raise NotImplementedError(request)

    async def run(self, program: Program) -> Execution:
        raise NotImplementedError(program)


@cache
def _compiled() -> Graph:
    # Compiling takes milliseconds, and a run's state is read and written several times.
    return build_graph({"coder": _Closed()}, _Closed())


def reading_graph(store: Store) -> Graph:
    """Return a graph that reads and writes states and never runs a node."""
    return _compiled().copy({"checkpointer": store.saver})


async def create_run(
    store: Store,
    seed: Input,
    origin: Origin | None = None,
) -> Row:
    """Store a new run with the input `seed`; no node runs yet.

    The checkpoint is written before the row. If the process dies between the two, `stored_row`
    adds the row when the run is looked up by its id.
    """
    began = now()
    origin = origin or Origin()
    state = merged({}, cast(Mapping[str, Any], seed))
    record = read(state)
    status = _status(record, next_node(cast(State, state)))
    row = Row(
        id=origin.run or str(uuid.uuid4()),
        parent=origin.parent,
        parent_turn=origin.parent_turn,
        title=title_of(record.task.prompt),
        status=status,
        turns=len(record.turns),
        tokens=_tokens(record),
        created=origin.created or began,
        updated=began,
        model=_model(record),
        reason=_reason(record, status),
    )
    with store_failures(store):
        if origin.run and await stored_row(store, row.id):
            raise InputError(f"the store already holds run {row.id}")
        with tracing_if_asked():
            await reading_graph(store).aupdate_state(
                _config(row, origin.source), seed, as_node="__start__"
            )
        await insert_row(store, row)
    return row


async def write_state(store: Store, run: Run, update: Input) -> Row:
    """Write an update into the state of a run, whose claim the caller holds, as its next input."""
    with store_failures(store), tracing_if_asked():
        await reading_graph(store).aupdate_state(
            _config(run.row, run.source), update, as_node="__start__"
        )
        return (await _refreshed(store, await open_run(store, run.row.id))).row


async def stored_row(store: Store, run_id: str) -> Row | None:
    """Return the row of the run with this full id.

    If the process died before it wrote the row, the row is made from the run's checkpoints.
    """
    return await read_row(store, run_id) or await _restored_row(store, run_id)


async def open_run(store: Store, run_id: str) -> Run:
    """Read a run by its full id."""
    row = await read_row(store, run_id)
    assert row is not None, f"there is no run {run_id}"
    async with _readable(store, run_id):
        return _as_run(row, await _snapshot(store, run_id))


async def so_far(store: Store, row: Row) -> Row:
    """Return a row with the turns and tokens that its run has now.

    A row is written when a process stops working on its run; one that was killed writes nothing.
    A run that cannot be read keeps its row as it is.
    """
    try:
        record = (await open_run(store, row.id)).record
    except InputError:
        return row
    return replace(row, turns=len(record.turns), tokens=_tokens(record))


async def advance(
    store: Store,
    graph: Graph,
    row: Row,
    *,
    answer: PersonAnswer | None = None,
    watch: Watch | None = None,
    hear: Hear | None = None,
    on_event: OnEvent | None = None,
    on_record: OnRecord | None = None,
) -> Run:
    """Run the graph until the run ends, waits for a person or fails; a finished run stays as it is.

    Models stream their answers only if `hear` is given. Each node's part is stored before the next
    node starts. Raises the OutsideError of a model, the sandbox or the store; the run then resumes
    at the same node.
    """
    with store_failures(store):
        async with store.claim(row.id):
            run = await open_run(store, row.id)
            if run.next == "end" or (run.question and answer is None):
                return await _refreshed(store, run)
            running = await update_row(store, replace(run.row, status="running", reason=""))
            driven = Driven(replace(run, row=running), watch, hear, on_event, on_record)
            try:
                with structlog.contextvars.bound_contextvars(run=row.short), tracing_if_asked():
                    await driven.go(graph, _config(run.row, run.source), answer)
            except BaseException:
                # Only the store knows what was written of the interrupted node.
                await _refreshed(store, await open_run(store, row.id))
                raise
            return await _refreshed(store, driven.run())


async def settled(store: Store, run: Run) -> Run:
    """Return an ended run whose row says so.

    A process may be killed after it stored the run's end and before it wrote the row.
    """
    if run.row.status == status_of(run):
        return run
    with store_failures(store):
        async with store.claim(run.row.id):
            return await _refreshed(store, await open_run(store, run.row.id))


async def _refreshed(store: Store, run: Run) -> Run:
    row = replace(
        run.row,
        status=status_of(run),
        turns=len(run.record.turns),
        tokens=_tokens(run.record),
        model=_model(run.record),
        reason=_reason(run.record, status_of(run), run.failure),
    )
    return run if row == run.row else replace(run, row=await update_row(store, row))


def status_of(run: Run) -> Status:
    """Return the status of a run that no process is working on."""
    if run.failure:
        return "failed"
    return "waiting" if run.question else _status(run.record, run.next)


def _status(record: Record, then: Next) -> Status:
    if then != "end":
        return "interrupted"
    return "solved" if record.solved else "unsolved"


def _reason(record: Record, status: Status, failure: Failure | None = None) -> str:
    """Return why a run failed or ended unsolved; empty for other runs."""
    if failure:
        return reason_of(f"{failure.owner}: {failure.message}")
    ended = record.outcome if status == "unsolved" else None
    return reason_of(ended.reason) if ended else ""


def _model(record: Record) -> str:
    """Return the coder's spec of the settings under which a run goes on."""
    named = record.current[-1].settings if record.current else next(reversed(record.settings), "")
    models: Any = record.settings.get(named, {}).get("models", {})
    return reason_of(str(models.get("coder", "")))


def _tokens(record: Record) -> int:
    """Return a run's tokens, limited to what a row can hold: a server's counts may be absurd."""
    return min(tokens(record.turns), 2**63 - 1)


@dataclass(frozen=True)
class Rebuilt:
    """What became of the runs that had checkpoints and no row."""

    added: int
    problems: tuple[str, ...]
    """One line for each that cannot be read; it is left as it is."""


async def rebuild(store: Store) -> Rebuilt:
    """Add a row for every run that has checkpoints and none, and complete those of old releases."""
    found = await store.execute(
        "SELECT DISTINCT thread_id FROM checkpoints "
        "WHERE thread_id NOT IN (SELECT id FROM opencodeinterpreter_runs)"
    )
    added, problems = 0, []
    for (thread,) in found:
        try:
            added += await _restored_row(store, thread) is not None
        except InputError as error:
            problems.append(str(error))
    for (old,) in await store.execute(
        "SELECT id FROM opencodeinterpreter_runs WHERE model IS NULL"
    ):
        try:
            await _completed(store, await open_run(store, old))
        except InputError as error:
            problems.append(str(error))
    return Rebuilt(added, tuple(problems))


async def _completed(store: Store, run: Run) -> None:
    """Write the columns that a row of an older release lacks."""
    await store.execute(
        "UPDATE opencodeinterpreter_runs SET model = ?, reason = ? WHERE id = ?",
        [_model(run.record), _reason(run.record, status_of(run), run.failure), run.row.id],
    )


async def _restored_row(store: Store, run_id: str) -> Row | None:
    """Add and return the row of a run that has checkpoints; `None` for a host's own thread."""
    async with _readable(store, run_id):
        snapshot = await _snapshot(store, run_id)
        about: dict[str, Any] = dict(snapshot.metadata or {})
        if "run_title" not in about and not snapshot.values.get("tasks"):
            return None
        row = _row_of(run_id, snapshot, about)
    await insert_row(store, row)
    return row


def _row_of(run_id: str, snapshot: StateSnapshot, about: dict[str, Any]) -> Row:
    """Return the row of a run that was created here, or by a host."""
    parent: str | None = about.get("run_parent") or None
    written = snapshot.created_at or now()
    blank = Row(
        id=run_id,
        parent=parent,
        parent_turn=about["run_parent_turn"] if parent else None,
        title=about.get("run_title") or title_of(read(snapshot.values).task.prompt),
        status="interrupted",
        turns=0,
        tokens=0,
        created=about.get("run_created", written),
        updated=written,
    )
    run = _as_run(blank, snapshot)
    turns = len(run.record.turns)
    return replace(
        blank,
        status=status_of(run),
        turns=turns,
        tokens=_tokens(run.record),
        model=_model(run.record),
        reason=_reason(run.record, status_of(run), run.failure),
    )


@asynccontextmanager
async def _readable(store: Store, run_id: str) -> AsyncIterator[None]:
    """Turn the errors of a checkpoint that is not a run's into one line.

    The checkpoint may have been changed, swapped or written by another program, so that anything
    can be wrong with it, in our reading or in LangGraph's.
    """
    try:
        yield
    except store.failures:
        raise
    except Exception as error:
        told = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"run {run_id} cannot be read: its checkpoint is not that of a run ({told}); "
            "restore a backup of the store"
        ) from error


async def _snapshot(store: Store, run_id: str) -> StateSnapshot:
    """Return a run's state; raises InputError if its newest checkpoint is not its own."""
    snapshot = await reading_graph(store).aget_state({"configurable": {"thread_id": run_id}})
    named = dict(snapshot.metadata or {}).get("run_thread", run_id)
    if named != run_id:
        raise InputError(f"it is of run {named}")
    return snapshot


def _as_run(row: Row, snapshot: StateSnapshot) -> Run:
    about: dict[str, Any] = dict(snapshot.metadata or {})
    record = read(snapshot.values)
    check_record(record)
    titles = [title_of(task.prompt) for task in record.tasks]
    if row.title != about.get("run_title", row.title) or row.title not in titles:
        raise InputError(f"its task is {titles[-1]!r}, and the run is called {row.title!r}")
    failures = [_failure(task.name, task.error) for task in snapshot.tasks if task.error]
    questions = [interrupt.value for interrupt in snapshot.interrupts]
    return Run(
        row=row,
        record=record,
        next=next_node(cast(State, snapshot.values)),
        failure=failures[0] if failures else None,
        question=Question.model_validate(questions[0]) if questions else None,
        source=about.get("run_source", "here"),
    )


def _failure(node: str, error: object) -> Failure:
    """Return a stored error as a failure; other serializers store an error as text."""
    if isinstance(error, StoredError):
        return Failure(node, error.owner, error.message)
    return Failure(node, "program", str(error))


def _config(row: Row, source: Source = "here") -> RunnableConfig:
    about = {
        "run_thread": row.id,
        "run_title": row.title,
        "run_parent": row.parent or "",
        "run_parent_turn": row.parent_turn or 0,
        "run_created": row.created,
        "run_source": source,
    }
    return {"configurable": {"thread_id": row.id}, "metadata": about}
