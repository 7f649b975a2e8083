"""A run as a chat: what was asked, each draft with what running it gave, and the feedback."""

from collections.abc import Iterator
from dataclasses import dataclass

from opencodeinterpreter.nodes.describe import describe
from opencodeinterpreter.nodes.records import Call, Draft, Record, Turn
from opencodeinterpreter.tools.models.protocol import Message, Usage, summed

TOOL = "execute_python"
"""What the execution of a draft is called where a format wants a tool's name."""


@dataclass(frozen=True)
class Drafted:
    """A turn's chosen draft, and what came of it."""

    turn: Turn
    draft: Draft
    said: str
    result: str
    """The execution in words; empty if nothing ran."""
    feedback: str
    """What the coder saw next; empty at the end."""

    @property
    def given(self) -> bool:
        """Whether no model of this run made the draft."""
        return "drafts" in self.turn.given

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls that made this turn's drafts."""
        return tuple(draft.call for draft in self.turn.drafts or () if draft.call)

    @property
    def usage(self) -> Usage | None:
        """The tokens and cost of those calls; `None` if unknown."""
        return summed([call.usage for call in self.calls])


def opening(record: Record) -> tuple[Message, ...]:
    """Return the messages before the first draft."""
    first = record.turns[0].draft if record.turns else None
    if first is None:
        return tuple(Message(role="user", content=task.prompt) for task in record.tasks)
    return record.conversation(first.message)[:-1]


def drafted(record: Record) -> Iterator[Drafted]:
    """Yield the turns that have a draft."""
    for turn in record.turns:
        if turn.draft is None:
            continue
        words = turn.feedback.message if turn.feedback else None
        yield Drafted(
            turn=turn,
            draft=turn.draft,
            said=record.text(turn.draft.message),
            result=describe(turn.execution) if turn.execution else "",
            feedback=record.text(words) if words else "",
        )


def package_version(record: Record) -> str:
    """Return the version of this package that made the run."""
    settings = next(reversed(record.settings.values()), {})
    versions = settings.get("versions")
    return str(versions.get("opencodeinterpreter", "")) if isinstance(versions, dict) else ""


def coder_of(record: Record) -> str:
    """Return the spec of the coder's model."""
    models = next(reversed(record.settings.values()), {}).get("models")
    return str(models.get("coder", "")) if isinstance(models, dict) else ""
