"""Runs as dialogues: what was asked, each failed draft with its feedback, the draft that passed.

A run is an interaction as the paper simulates them: a draft, its execution or a critic's words, a
repair. It is taken as the coder saw it: where the coder was asked again without its draft, that
draft is not in the dialogue.
"""

from collections.abc import Sequence
from pathlib import Path

from opencodeinterpreter.graph.runs import open_run
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import list_runs
from opencodeinterpreter.nodes.records import Draft, Record, Turn
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.protocol import Message
from opencodeinterpreter.traces.dialogues.format import (
    Dialogue,
    Dropped,
    Provenance,
    problem_of,
)
from opencodeinterpreter.traces.trace import Trace, trace_of

Packed = Dialogue | Dropped


def dialogue_of(trace: Trace) -> Packed:
    """Return a run as a dialogue that ends with the last draft that solved a task of it."""
    record, origin = trace.record, _origin(trace.header.run)
    if trace.changed is not None:
        return Dropped(origin=origin, reason="changed after it was written")
    turn = next((turn for turn in reversed(record.turns) if _solved(turn)), None)
    if turn is None or turn.draft is None:
        return Dropped(origin=origin, reason="not solved", detail=_why(record))
    messages = record.conversation(turn.draft.message)
    if problem := problem_of(messages):
        return Dropped(origin=origin, reason=problem)
    return Dialogue(messages=messages, provenance=_provenance(trace, turn, messages))


async def dialogues_of(store_url: str) -> list[Packed]:
    """Return all runs of a store as dialogues, the oldest first; raises InputError, StoreError."""
    found: list[Packed] = []
    async with open_store(store_url) as store:
        for row in reversed(await list_runs(store)):
            try:
                found.append(dialogue_of(trace_of(await open_run(store, row.id))))
            except InputError as error:
                problem = Dropped(origin=_origin(row.id), reason="unreadable", detail=str(error))
                found.append(problem)
    return found


def check_not_evaluated(folder: Path) -> None:
    """Raise InputError if a folder holds an evaluation.

    Its tasks measure a model, and in the protocol `paper` the tests that score are in its prompts.
    """
    if (folder / "evaluation.json").exists():
        raise InputError(
            f"{folder} holds an evaluation: a model that is trained on its tasks cannot be "
            "measured by them; make dialogues of a batch on other tasks"
        )


def _solved(turn: Turn) -> bool:
    outcome = turn.outcome
    has_message = turn.draft is not None and bool(turn.draft.message)
    return has_message and outcome is not None and outcome.decision == "solved"


def _why(record: Record) -> str:
    return record.outcome.reason if record.outcome else ""


def _origin(run: str) -> str:
    return f"run {run}"


def _provenance(trace: Trace, turn: Turn, messages: Sequence[Message]) -> Provenance:
    record = trace.record
    assert turn.draft is not None
    said = {(message.role, message.content) for message in messages}
    turns = record.turns[: turn.number]
    kinds = {
        each.feedback.kind
        for each in turns
        if each.feedback
        and each.feedback.message
        and ("user", record.text(each.feedback.message)) in said
    }
    drafts = [
        each.draft
        for each in turns
        if each.draft and ("assistant", record.text(each.draft.message)) in said
    ]
    return Provenance(
        way="interaction",
        origin=_origin(trace.header.run),
        run=trace.header.run,
        turn=turn.number,
        model=_model(turn.draft),
        first_model=_model(drafts[0]),
        critic=", ".join(sorted(kinds)),
        decided_by=turn.outcome.decided_by if turn.outcome else "",
        settings=turn.settings,
    )


def _model(draft: Draft) -> str:
    return draft.call.model if draft.call else "given"
