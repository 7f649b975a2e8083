"""Code that no model wrote: a person's edit, a branch's edit, a file to start from."""

from collections.abc import Sequence

from opencodeinterpreter.nodes.records import Draft, Turn
from opencodeinterpreter.tools.models.protocol import Message, message_ids


def given_turn(
    blank: Turn, asked: Sequence[Message], code: str, source: str
) -> tuple[Turn, tuple[Message, ...]]:
    """Return `blank` with `code` as its draft, and the conversation that shows it.

    `asked` is what the coder would have been asked; the code stands as the coder's own answer, so
    that a conversation keeps its shape.
    """
    answer = Message(role="assistant", content=f"```python\n{code.rstrip()}\n```")
    said = (*asked, answer)
    draft = Draft(message=message_ids(said)[-1], code=code)
    return blank.model_copy(update={"drafts": (draft,), "given": {"drafts": source}}), said
