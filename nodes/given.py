"""Drafts that no model wrote: a person's edit, a branch's edit, a file to start from."""

from collections.abc import Mapping, Sequence
from typing import Any

from opencodeinterpreter.nodes.asking import new_texts
from opencodeinterpreter.nodes.conversation import conversation
from opencodeinterpreter.nodes.records import Draft, Record, Turn
from opencodeinterpreter.tools.models.protocol import Message, message_ids


def given_turn(
    blank: Turn, asked: Sequence[Message], code: str, source: str
) -> tuple[Turn, tuple[Message, ...]]:
    """Return `blank` with `code` as its draft, and the conversation that ends with it.

    `asked` is what the coder would have been asked. The code is written as the coder's own answer,
    so that the conversation still alternates.
    """
    answer = Message(role="assistant", content=f"```python\n{code.rstrip()}\n```")
    said = (*asked, answer)
    draft = Draft(message=message_ids(said)[-1], code=code)
    return blank.model_copy(update={"drafts": (draft,), "given": {"drafts": source}}), said


def written_out(record: Record, prompts: Mapping[str, str]) -> tuple[Turn, dict[str, Any]]:
    """Return the last turn with a message for each edited draft, and the write of those texts.

    An edit by LangGraph's `update_state` brings code alone. Nothing is written for other drafts.
    """
    turn = record.turns[-1]
    drafts = turn.drafts or ()
    if all(draft.message for draft in drafts):
        return turn, {}
    asked = conversation(record, prompts, before=turn.number)
    conversations: list[Sequence[Message]] = []
    whole: list[Draft] = []
    for draft in drafts:
        made, said = given_turn(turn, asked, draft.code or "", "an edit")
        conversations.append(said)
        whole += [each.model_copy(update={"files": draft.files}) for each in made.drafts or ()]
    return turn.model_copy(update={"drafts": tuple(whole)}), new_texts(record, conversations)
