"""What a new run starts from: a task alone, one's own code, or another run's turns and an edit.

Everything here is plain computation: the result is the graph's input, and `next_node` finds from
it where the run goes on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError

from opencodeinterpreter.nodes.asking import new_messages
from opencodeinterpreter.nodes.conversation import conversation
from opencodeinterpreter.nodes.critic import feedback_update
from opencodeinterpreter.nodes.entry_point import required_entry_point
from opencodeinterpreter.nodes.given import given_turn
from opencodeinterpreter.nodes.records import PARTS, Decision, Part, Record, Task, Turn, Verdict
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import Input, TaskInput, by_number
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.validation import first_problem

Messages = dict[str, Any]


@dataclass(frozen=True)
class Edit:
    """What a branch changes at the turn where it leaves its parent; one of the first three at most.

    With none of them the branch re-enters at the judge of that turn, under its settings.
    """

    feedback: str | None = None
    code: str | None = None
    verdict: Decision | None = None
    settings: Settings | None = None
    """New settings from that turn on; `None` keeps the parent's."""


def task_seed(task: Mapping[str, object], settings: Settings, draft: str | None = None) -> Input:
    """Return the start of a fresh run; with `draft`, its first turn is that code.

    Raises InputError for a task that is none.
    """
    try:
        checked = Task.model_validate(task)
    except ValidationError as error:
        raise InputError(f"the task's {first_problem(error)}") from error
    entry_point = required_entry_point(checked.prompt, checked.tests, checked.entry_point)
    checked = checked.model_copy(update={"entry_point": entry_point})
    seed: Input = {
        "tasks": [cast(TaskInput, checked.model_dump(mode="json", exclude={"number"}))],
        "settings": {settings.digest: settings.model_dump(mode="json")},
    }
    if draft is None:
        return seed
    record = Record.model_validate({**seed, "tasks": by_number([], [[dict(task)]])})
    blank = Turn(number=1, task=1, settings=settings.digest)
    turn, messages = _given_code(record, blank, settings, draft, "a file")
    seed.update({"turns": [turn.model_dump(mode="json")], "messages": messages})
    return seed


def branch_seed(parent: Record, name: str, number: int, edit: Edit) -> Input:
    """Return the start of a branch that leaves run `name` at turn `number` with an edit.

    Turns before it, and what it keeps of that turn, are given parts. A run without turns is left
    at number 0, for new settings alone. Raises InputError for a turn that is not there.
    """
    if not parent.turns:
        return _anew(parent, name, number, edit)
    leaving = next((turn for turn in parent.turns if turn.number == number), None)
    if leaving is None:
        raise InputError(f"run {name} has no turn {number}; it has turns 1 to {len(parent.turns)}")
    settings = edit.settings or Settings.model_validate(parent.settings[leaving.settings])
    _check_oracle(settings, parent.tasks[leaving.task - 1])
    if settings.critic == "none" and edit.verdict == "revise":
        raise InputError(f"run {name} has no critic to follow the verdict; name one, or give words")
    source = f"{name} turn {number}"
    stem = tuple(_given(turn, source, PARTS) for turn in parent.turns if turn.number < number)
    tables = {**parent.settings, settings.digest: settings.model_dump(mode="json")}
    leaving = leaving.model_copy(update={"settings": settings.digest})
    tasks = parent.tasks[: leaving.task]
    record = Record(tasks=tasks, settings=tables, messages=parent.messages, turns=(*stem, leaving))
    turn, added = _edited(record, settings, source, edit)
    seed = Record(
        tasks=tasks,
        settings={turn.settings: tables[turn.settings] for turn in (*stem, turn)},
        messages={**record.messages, **added},
        turns=(*stem, turn),
    )
    kept = seed.model_copy(update={"messages": seed.messages_of(seed.turns)})
    return cast(Input, kept.model_dump(mode="json"))


def _anew(parent: Record, name: str, number: int, edit: Edit) -> Input:
    """Return the start of a branch of a run that failed before its first turn was made."""
    if number != 0 or edit != Edit(settings=edit.settings):
        raise InputError(
            f"run {name} has no turns yet, so that none can be changed; resume it, "
            "or branch it with other settings alone"
        )
    settings = edit.settings or Settings.model_validate(list(parent.settings.values())[-1])
    _check_oracle(settings, parent.task)
    tables = {settings.digest: settings.model_dump(mode="json")}
    return cast(Input, Record(tasks=parent.tasks, settings=tables).model_dump(mode="json"))


def _check_oracle(settings: Settings, task: Task) -> None:
    if settings.critic == "oracle" and task.reference is None:
        raise InputError("the oracle critic needs a reference solution, and the task has none")


def _edited(record: Record, settings: Settings, source: str, edit: Edit) -> tuple[Turn, Messages]:
    """Return the record's last turn as the branch begins with it, and the messages that it adds."""
    leaving = record.turns[-1]
    if edit.code is not None:
        blank = Turn(number=leaving.number, task=leaving.task, settings=settings.digest)
        return _given_code(record, blank, settings, edit.code, "an edit")
    if edit.verdict is not None:
        verdict = Verdict(decision=edit.verdict, decided_by="human", reason="set by a person")
        return _with_verdict(leaving, verdict, source), {}
    if edit.feedback is None:
        kept = leaving.model_copy(update={"verdict": None, "feedback": None})
        return _given(kept, source, ("drafts", "executions")), {}
    if leaving.verdict is None or leaving.verdict.decision != "revise":
        verdict = Verdict(decision="revise", decided_by="human", reason="a person asked for more")
        turn = _with_verdict(leaving, verdict, source)
    else:
        turn = _given(leaving, source, ("drafts", "executions", "verdict"))
    update = feedback_update(record, settings, edit.feedback, "human")
    turn = Turn.model_validate({**turn.model_dump(mode="json"), **update["turns"][0]})
    return _edit(turn, "feedback"), update["messages"]


def _with_verdict(turn: Turn, verdict: Verdict, source: str) -> Turn:
    changed = turn.model_copy(update={"verdict": verdict, "feedback": None})
    return _edit(_given(changed, source, ("drafts", "executions")), "verdict")


def _edit(turn: Turn, part: Part) -> Turn:
    """Mark a part as edited, wherever what stood there before came from."""
    return turn.model_copy(update={"given": {**turn.given, part: "an edit"}})


def _given_code(
    record: Record, blank: Turn, settings: Settings, code: str, source: str
) -> tuple[Turn, Messages]:
    asked = conversation(record, settings.prompts, before=blank.number)
    turn, said = given_turn(blank, asked, code, source)
    return turn, new_messages(record, [said])


def _given(turn: Turn, source: str, parts: tuple[Part, ...]) -> Turn:
    """Mark those of a turn's parts that it has as given; older marks stay."""
    marks: dict[Part, str] = {**dict.fromkeys(parts, source), **turn.given}
    held = {part: mark for part, mark in marks.items() if getattr(turn, part) is not None}
    return turn.model_copy(update={"given": held})
