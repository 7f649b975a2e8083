"""The input of a new run: a task, a task with code to start from, or another run's turns.

These are pure functions. Their result is the graph's input, from which `next_node` finds the node
to start at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from opencodeinterpreter.graph.entry import checked_task
from opencodeinterpreter.graph.routes import next_node
from opencodeinterpreter.nodes.asking import new_texts
from opencodeinterpreter.nodes.conversation import conversation
from opencodeinterpreter.nodes.critic import feedback_update
from opencodeinterpreter.nodes.given import given_turn
from opencodeinterpreter.nodes.records import (
    PARTS,
    Decision,
    Part,
    Record,
    StoredMessage,
    Turn,
    Verdict,
)
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import Input, State, TaskInput
from opencodeinterpreter.tools.errors import InputError

Texts = dict[str, Any]
BranchNode = Literal["coder", "executor", "judge", "critic"]
_BEFORE: dict[BranchNode, tuple[Part, ...]] = {
    "coder": (),
    "executor": ("drafts",),
    "judge": ("drafts", "executions"),
    "critic": ("drafts", "executions", "verdict"),
}
"""The parts of a turn that are there before a node."""


@dataclass(frozen=True)
class Edit:
    """What a branch changes at its first turn; at most one of the first four fields.

    With none of them, the branch starts at the judge of that turn, under its settings.
    """

    feedback: str | None = None
    code: str | None = None
    verdict: Decision | None = None
    at: BranchNode | None = None
    """The node of that turn that runs again; what it and later ones made is left behind."""
    settings: Settings | None = None
    """New settings from that turn on; `None` keeps the parent's."""


def task_seed(task: Mapping[str, object], settings: Settings, draft: str | None = None) -> Input:
    """Return the input of a fresh run; with `draft`, its first turn has that code.

    Raises InputError if the task is invalid, or if the settings cannot be used with it.
    """
    checked = checked_task(task)
    settings.check_task(checked)
    seed: Input = {
        "tasks": [cast(TaskInput, checked.model_dump(mode="json", exclude={"number"}))],
        "settings": {settings.digest: settings.model_dump(mode="json")},
    }
    if draft is None:
        return seed
    record = Record(tasks=(checked,), settings=seed["settings"])
    blank = Turn(number=1, task=1, settings=settings.digest)
    turn, texts = _given_code(record, blank, settings, draft, "a file")
    seed.update({"turns": [turn.model_dump(mode="json")], "texts": texts})
    return seed


def branch_seed(parent: Record, name: str, number: int, edit: Edit) -> Input:
    """Return the input of a branch of run `name` that changes turn `number`.

    Earlier turns, and the parts of that turn which it keeps, are marked as given. A run without
    turns is branched at number 0, with new settings alone. Raises InputError for a missing turn.
    """
    if not parent.turns:
        return _anew(parent, name, number, edit)
    leaving = _leaving(parent, name, number)
    settings = edit.settings or settings_at(parent, name, number)
    settings.check_task(parent.tasks[leaving.task - 1])
    if edit.at == "coder":
        return _asked_again(parent, name, leaving, settings)
    if settings.critic == "none" and edit.verdict == "revise":
        raise InputError(
            f"run {name} has no critic to answer that verdict; name one, or give feedback"
        )
    source = f"{name} turn {number}"
    stem = tuple(_given(turn, source, PARTS) for turn in parent.turns if turn.number < number)
    leaving = leaving.model_copy(update={"settings": settings.digest})
    tasks = parent.tasks[: leaving.task]
    kept = {"tasks": tasks, "turns": (*stem, leaving)}
    record = parent.model_copy(update=kept)
    turn, added = _edited(record, settings, source, edit)
    told = {name: StoredMessage.model_validate(text) for name, text in added.items()}
    record = record.model_copy(update={"texts": {**record.texts, **told}})
    return _seed(record, (*stem, turn), settings)


def _seed(record: Record, turns: tuple[Turn, ...], settings: Settings) -> Input:
    """Return a record's tasks with these turns, and with what the turns need; `settings` last."""
    tables = {**record.settings, settings.digest: settings.model_dump(mode="json")}
    used = [*(turn.settings for turn in turns), settings.digest]
    seed = Record(
        tasks=record.tasks,
        settings={name: tables[name] for name in used},
        texts=record.texts_of(turns),
        turns=turns,
        artifacts=record.artifacts_of(turns),
    )
    return cast(Input, seed.model_dump(mode="json"))


def stem_seed(parent: Record, name: str, message: int) -> Input:
    """Return the input of a branch of run `name` that ends with the task of this number.

    All its turns are marked as given. Raises InputError if there is no such task.
    """
    if not 1 <= message <= len(parent.tasks):
        raise InputError(f"run {name} has no message {message}; it has {len(parent.tasks)}")
    turns = tuple(
        _given(turn, f"{name} turn {turn.number}", PARTS)
        for turn in parent.turns
        if turn.task <= message
    )
    if not turns:
        return cast(
            Input, Record(tasks=parent.tasks[:1], settings=parent.settings).model_dump(mode="json")
        )
    seed = Record(
        tasks=parent.tasks[:message],
        settings={turn.settings: parent.settings[turn.settings] for turn in turns},
        texts=parent.texts_of(turns),
        turns=turns,
        artifacts=parent.artifacts_of(turns),
    )
    return cast(Input, seed.model_dump(mode="json"))


def _asked_again(parent: Record, name: str, leaving: Turn, settings: Settings) -> Input:
    """Return the input of a branch whose coder is asked anew for a turn.

    The coder takes its settings from the turn before, so that one gets them.
    """
    source = f"{name} turn {leaving.number}"
    before = [turn for turn in parent.turns if turn.number < leaving.number]
    stem = [_given(turn, source, PARTS) for turn in before]
    if stem and stem[-1].task == leaving.task:
        stem[-1] = stem[-1].model_copy(update={"settings": settings.digest})
    record = parent.model_copy(update={"tasks": parent.tasks[: leaving.task]})
    seed = _seed(record, tuple(stem), settings)
    if next_node(cast(State, seed)) != "coder":
        raise InputError(
            f"no coder wrote turn {leaving.number} of run {name}; a person gave its code. "
            "Branch it at the executor"
        )
    return seed


def settings_at(parent: Record, name: str, number: int) -> Settings:
    """Return the settings under which a branch of run `name` at a turn continues, unless changed.

    Raises InputError for a turn that is not there.
    """
    if not parent.turns:
        return Settings.model_validate(list(parent.settings.values())[-1])
    return Settings.model_validate(parent.settings[_leaving(parent, name, number).settings])


def _leaving(parent: Record, name: str, number: int) -> Turn:
    leaving = next((turn for turn in parent.turns if turn.number == number), None)
    if leaving is None:
        raise InputError(f"run {name} has no turn {number}; it has turns 1 to {len(parent.turns)}")
    return leaving


def _anew(parent: Record, name: str, number: int, edit: Edit) -> Input:
    """Return the input of a branch of a run that failed before its first turn."""
    if number != 0 or edit != Edit(settings=edit.settings):
        raise InputError(
            f"run {name} has no turns to change; resume it, or branch it with other settings alone"
        )
    settings = edit.settings or settings_at(parent, name, number)
    settings.check_task(parent.task)
    tables = {settings.digest: settings.model_dump(mode="json")}
    return cast(Input, Record(tasks=parent.tasks, settings=tables).model_dump(mode="json"))


def _edited(record: Record, settings: Settings, source: str, edit: Edit) -> tuple[Turn, Texts]:
    """Return the branch's version of the record's last turn, and the texts that it adds."""
    leaving = record.turns[-1]
    if edit.code is not None:
        blank = Turn(number=leaving.number, task=leaving.task, settings=settings.digest)
        return _given_code(record, blank, settings, edit.code, "an edit")
    if edit.verdict is not None:
        verdict = Verdict(decision=edit.verdict, decided_by="human", reason="set by a person")
        return _with_verdict(leaving, verdict, source), {}
    if edit.feedback is None:
        return _up_to(edit.at or "judge", leaving, source), {}
    if leaving.verdict is None or leaving.verdict.decision != "revise":
        verdict = Verdict(decision="revise", decided_by="human", reason="a person asked for more")
        turn = _with_verdict(leaving, verdict, source)
    else:
        turn = _given(leaving, source, ("drafts", "executions", "verdict"))
    update = feedback_update(record, settings, edit.feedback, "human")
    turn = Turn.model_validate({**turn.model_dump(mode="json"), **update["turns"][0]})
    return _edit(turn, "feedback"), update["texts"]


def _up_to(node: BranchNode, turn: Turn, source: str) -> Turn:
    """Return a turn with the parts that it had before a node."""
    if node == "critic" and (turn.verdict is None or turn.verdict.decision != "revise"):
        raise InputError(
            f"{source} did not go to the critic; set the verdict revise, or branch at the judge"
        )
    kept = _BEFORE[node]
    dropped: dict[str, object] = {part: None for part in PARTS if part not in kept}
    if "executions" in dropped:
        dropped.update(programs=None, chosen=0)
    return _given(turn.model_copy(update=dropped), source, kept)


def _with_verdict(turn: Turn, verdict: Verdict, source: str) -> Turn:
    changed = turn.model_copy(update={"verdict": verdict, "feedback": None})
    return _edit(_given(changed, source, ("drafts", "executions")), "verdict")


def _edit(turn: Turn, part: Part) -> Turn:
    """Mark a part as edited; this replaces an older mark."""
    return turn.model_copy(update={"given": {**turn.given, part: "an edit"}})


def _given_code(
    record: Record, blank: Turn, settings: Settings, code: str, source: str
) -> tuple[Turn, Texts]:
    asked = conversation(record, settings.prompts, before=blank.number)
    turn, said = given_turn(blank, asked, code, source)
    return turn, new_texts(record, [said])


def _given(turn: Turn, source: str, parts: tuple[Part, ...]) -> Turn:
    """Mark the parts that a turn has as given; older marks stay."""
    marks: dict[Part, str] = {**dict.fromkeys(parts, source), **turn.given}
    held = {part: mark for part, mark in marks.items() if getattr(turn, part) is not None}
    return turn.model_copy(update={"given": held})
