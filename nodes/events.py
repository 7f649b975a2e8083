"""What `stream_mode="custom"` streams: one small event for each part that a node made."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

from typing_extensions import TypedDict


class TurnEvent(TypedDict):
    """The coder has made the drafts of a turn."""

    event: Literal["turn"]
    turn: int
    task: int
    drafts: int
    code: str | None
    """The first draft's code."""


class ExecutionEvent(TypedDict):
    """The drafts of a turn were run; this is how the chosen one ended."""

    event: Literal["execution"]
    turn: int
    status: str | None
    """`None` for a draft without code."""
    passed: int
    tests: int | None
    """`None` for a task without tests."""
    seconds: float


class VerdictEvent(TypedDict):
    """The judge has decided."""

    event: Literal["verdict"]
    turn: int
    decision: str
    decided_by: str
    reason: str


class FeedbackEvent(TypedDict):
    """The critic has answered."""

    event: Literal["feedback"]
    turn: int
    kind: str
    action: str
    text: str | None
    """The words for the coder; `None` if a person approved or stopped."""


Event: TypeAlias = TurnEvent | ExecutionEvent | VerdictEvent | FeedbackEvent


def events_of(update: Mapping[str, Any]) -> Iterator[Event]:
    """Yield the events of a node's channel write, in the order in which parts are made."""
    texts = update.get("texts", {})
    for turn in update.get("turns", ()):
        number: int = turn["number"]
        drafts = turn.get("drafts")
        if drafts and drafts[0]["call"] is not None:
            yield TurnEvent(
                event="turn",
                turn=number,
                task=turn["task"],
                drafts=len(drafts),
                code=drafts[0]["code"],
            )
        if turn.get("executions") is not None:
            yield _execution(number, turn["executions"][turn["chosen"]])
        if verdict := turn.get("verdict"):
            yield VerdictEvent(
                event="verdict",
                turn=number,
                decision=verdict["decision"],
                decided_by=verdict["decided_by"],
                reason=verdict["reason"],
            )
        if feedback := turn.get("feedback"):
            yield FeedbackEvent(
                event="feedback",
                turn=number,
                kind=feedback["kind"],
                action=feedback["action"],
                text=texts.get(feedback["message"], {}).get("content"),
            )


def _execution(turn: int, execution: Mapping[str, Any] | None) -> ExecutionEvent:
    held = execution or {}
    tests = held.get("tests")
    return ExecutionEvent(
        event="execution",
        turn=turn,
        status=held.get("status"),
        passed=sum(test["status"] == "passed" for test in tests or ()),
        tests=None if tests is None else len(tests),
        seconds=held.get("seconds", 0.0),
    )
