"""The rows of runs that a host or a LangGraph server drives, made from what it saves."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import (
    Row,
    Status,
    delete_row,
    insert_row,
    now,
    read_row,
    reason_of,
    title_of,
    update_row,
)
from opencodeinterpreter.tools.errors import OutsideError


class HostRuns:
    """Keeps a row for each thread that has a task of ours and, as all runs, a UUID as its id."""

    def __init__(self, store: Store) -> None:
        """Keep the rows in `store`."""
        self._store = store

    async def begun(self, run: str, given: Mapping[str, Any]) -> None:
        """Add a row for a thread's first input; mark the run of a later one as running."""
        row = await read_row(self._store, run)
        if row is not None:
            await update_row(self._store, replace(row, status="running", reason=""))
        elif _is_uuid(run) and (prompt := _prompt(given)) is not None:
            began = now()
            await insert_row(
                self._store,
                Row(
                    id=run,
                    parent=None,
                    parent_turn=None,
                    title=title_of(prompt),
                    status="running",
                    turns=0,
                    tokens=0,
                    created=began,
                    updated=began,
                    model=_model(given.get("settings")) or "",
                ),
            )

    async def wrote(self, run: str, writes: Sequence[tuple[str, Any]]) -> None:
        """Bring the row up to what a node wrote."""
        turns = [turn for name, value in writes if name == "turns" for turn in _turns(value)]
        names = {name for name, _ in writes}
        status: Status | None = None
        if "__interrupt__" in names:
            status = "waiting"
        elif "__error__" in names:
            status = "failed"
        elif turns:
            status = _status(turns[-1])
        if status is not None:
            # Writes may come at once, so this is one statement.
            await self._store.execute(
                "UPDATE opencodeinterpreter_runs SET status = ?, turns = COALESCE(?, turns), "
                "tokens = tokens + ?, updated = ?, model = COALESCE(?, model), reason = ? "
                "WHERE id = ?",
                [
                    status,
                    turns[-1].get("number") if turns else None,
                    sum(_tokens(turn) for turn in turns),
                    now(),
                    next((_model(value) for name, value in writes if name == "settings"), None),
                    _reason(status, writes, turns),
                    run,
                ],
            )

    async def deleted(self, run: str) -> None:
        """Delete the row."""
        await delete_row(self._store, run)


def _is_uuid(run: str) -> bool:
    try:
        return str(uuid.UUID(run)) == run
    except ValueError:
        return False


def _turns(written: object) -> list[Mapping[str, Any]]:
    """Return the turns in a write; a host's own graph may mean something else by `turns`."""
    if not isinstance(written, list):
        return []
    return [
        turn
        for turn in written
        if isinstance(turn, Mapping) and isinstance(turn.get("number"), int)
    ]


def _prompt(given: Mapping[str, Any]) -> str | None:
    """Return the task in a graph's input: of the whole, the small or the chat's form."""
    if isinstance(given.get("task"), str):
        return str(given["task"])
    tasks = given.get("tasks")
    first = tasks[0] if isinstance(tasks, list) and tasks else tasks
    if isinstance(first, Mapping):
        first = first.get("prompt")
    return first if isinstance(first, str) else _said(given.get("messages"))


def _said(messages: object) -> str | None:
    """Return what a person said last; messages may not be parsed yet."""
    from langchain_core.messages import convert_to_messages

    if not isinstance(messages, list):
        return None
    said = [each.text for each in convert_to_messages(messages) if each.type == "human"]
    return said[-1] if said else None


def _status(turn: Mapping[str, Any]) -> Status:
    feedback, verdict = turn.get("feedback"), turn.get("verdict")
    if feedback and feedback["action"] in ("approve", "stop"):
        return "solved" if feedback["action"] == "approve" else "unsolved"
    decision = verdict["decision"] if verdict else "revise"
    return "solved" if decision == "solved" else "unsolved" if decision == "stopped" else "running"


def _model(settings: object) -> str | None:
    """Return the coder's spec in settings by digest, as an input or the first node writes them."""
    tables = list(settings.values()) if isinstance(settings, Mapping) else []
    models = tables[-1].get("models") if tables and isinstance(tables[-1], Mapping) else None
    return reason_of(str(models.get("coder", ""))) if isinstance(models, Mapping) else None


def _reason(
    status: Status, writes: Sequence[tuple[str, Any]], turns: Sequence[Mapping[str, Any]]
) -> str:
    """Return why a run failed or ended unsolved; empty for other runs."""
    for name, error in writes:
        if name == "__error__":
            owner = error.owner if isinstance(error, OutsideError) else "program"
            return reason_of(f"{owner}: {str(error) or type(error).__name__}")
    verdict = turns[-1].get("verdict") if turns and status == "unsolved" else None
    return reason_of(verdict["reason"]) if verdict else ""


def _tokens(turn: Mapping[str, Any]) -> int:
    return sum(
        usage["input_tokens"] + usage["output_tokens"]
        for call in _calls(turn)
        if (usage := call.get("usage"))
    )


def _calls(turn: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from (draft["call"] for draft in turn.get("drafts") or () if draft.get("call"))
    for part in ("verdict", "feedback"):
        yield from (turn.get(part) or {}).get("calls", ())
