"""Whether the parts of a record fit together: what they name is there, and nothing is circular."""

from collections.abc import Container, Mapping

from opencodeinterpreter.nodes.records import Record, StoredMessage, Turn
from opencodeinterpreter.tools.errors import InputError


def check_record(record: Record) -> None:
    """Raise InputError if a turn or a message names something that the record lacks."""
    if not record.tasks:
        raise InputError("it has no task")
    for task_number, task in enumerate(record.tasks, 1):
        if task.number != task_number:
            raise InputError(f"task {task_number} is missing")
    _check_chains(record.texts)
    for number, turn in enumerate(record.turns, 1):
        check_turn(turn, number, len(record.tasks), record.settings, record.texts)


def check_turn(
    turn: Turn, number: int, tasks: int, settings: Container[str], texts: Container[str]
) -> None:
    """Raise InputError unless a turn is the `number`-th and names only what is there."""
    if turn.number != number:
        raise InputError(f"turn {number} is missing")
    if turn.settings not in settings:
        raise InputError(f"turn {number} refers to settings that are not in the trace")
    if not 1 <= turn.task <= tasks:
        raise InputError(f"turn {number} refers to task {turn.task}, which is missing")
    if turn.drafts is None or not 0 <= turn.chosen < len(turn.drafts):
        raise InputError(f"turn {number} has no draft number {turn.chosen + 1}")
    if turn.executions is not None and len(turn.executions) != len(turn.drafts):
        raise InputError(f"turn {number} does not have one execution per draft")
    if missing := [name for name in turn.named_texts() if name not in texts]:
        raise InputError(f"turn {number} refers to a missing text, {missing[0][:12]}")


def _check_chains(texts: Mapping[str, StoredMessage]) -> None:
    known: set[str] = set()
    for text in texts:
        chain: set[str] = set()
        at: str | None = text
        while at is not None and at not in known:
            if at in chain or at not in texts:
                raise InputError(f"text {at[:12]} has no beginning")
            chain.add(at)
            at = texts[at].parent
        known |= chain
