"""A request's messages in a form that the server accepts."""

from collections.abc import Sequence

from opencodeinterpreter.tools.models.protocol import Message

NO_ANSWER = "(no answer)"
"""Sent instead of an empty answer, which many chat templates and providers refuse."""


def sendable(messages: Sequence[Message], *, alternating: bool) -> list[tuple[str, str]]:
    """Return role and text of each message; none is empty.

    If `alternating`, only `user` and `assistant` remain, in turn, as some chat templates want it:
    a system message becomes the beginning of the user's next one.
    """
    sent = [(message.role, message.content) for message in messages]
    sent = [(role, text if text.strip() else NO_ANSWER) for role, text in sent]
    return _alternating(sent) if alternating else list(sent)


def _alternating(sent: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    merged: list[tuple[str, str]] = []
    for role, text in sent:
        known = "user" if role == "system" else role
        if merged and merged[-1][0] == known:
            merged[-1] = (known, f"{merged[-1][1]}\n\n{text}")
        else:
            merged.append((known, text))
    return merged
