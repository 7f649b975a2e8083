"""The loop as a chat: each message of a person is a task of the thread, answered by a message.

Its state is the record of all runs, as in the other graphs, and the messages beside it. Hosts that
share `messages` (MessagesState, deepagents, supervisors, A2A) take it as a subgraph.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Required, TypeAlias, cast

from langchain_core.messages import AIMessage, AnyMessage
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Checkpointer
from typing_extensions import TypedDict

from opencodeinterpreter.graph.build import Seams, wire
from opencodeinterpreter.graph.entry import checked_task
from opencodeinterpreter.nodes.asking import new_texts
from opencodeinterpreter.nodes.coder import settings_in_force
from opencodeinterpreter.nodes.conversation import conversation
from opencodeinterpreter.nodes.describe import describe_turn
from opencodeinterpreter.nodes.node import Node, Update, logged
from opencodeinterpreter.nodes.records import Draft, Record, StoredMessage, Turn
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import Messages, State, read
from opencodeinterpreter.tools.code import extract_code
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.protocol import Message, message_ids

_MESSAGE = "a message"
"""Marks the drafts of a conversation that was held elsewhere."""


class Chat(TypedDict, total=False):
    """A chat's input, of which the last message of a person is the task, and its output."""

    messages: Required[Messages]


ChatGraph: TypeAlias = CompiledStateGraph[State, Settings, Chat, Chat]


def build_chat(seams: Seams, *, checkpointer: Checkpointer = None) -> ChatGraph:
    """Compile the loop as a chat over objects that the caller opens and closes."""
    built: StateGraph[State, Settings, Chat, Chat] = StateGraph(
        State, context_schema=Settings, input_schema=Chat, output_schema=Chat
    )
    wire(built, seams, {"listen": listening(seams)}, {"answer": answer})
    return built.compile(checkpointer=checkpointer, name="chat")


def listening(seams: Seams) -> Node:
    """Return the node that makes a task of a person's last message."""
    default = Settings()  # Reads files, so not in the event loop.

    @logged("listen")
    async def listen(state: State, runtime: Runtime[Settings]) -> Update:
        record = read(state)
        said = state.get("messages") or []
        asked = [at for at, message in enumerate(said) if message.type == "human"]
        if not asked or not said[asked[-1]].text.strip():
            raise InputError(
                "the input holds no message of a person with text; pass "
                '{"messages": [{"role": "user", "content": "Write double(x)."}]}'
            )
        update: Update = {}
        if not record.tasks and len(asked) > 1:
            settings = settings_in_force(record, runtime.context, default)
            record = remembered(said[: asked[-1]], seams.models.settled(settings))
            update = record.model_dump(mode="json")
        given = {
            "prompt": said[asked[-1]].text,
            "number": len(record.tasks) + 1,
            "session": _all_ran_here(record),
        }
        task = checked_task(given)
        return {**update, "tasks": [*update.get("tasks", ()), task.model_dump(mode="json")]}

    return listen


def _all_ran_here(record: Record) -> bool:
    """Return whether a program can find what the programs before it left: they ran in this thread.

    Those of a conversation that was held elsewhere never ran, as far as we know.
    """
    return all(turn.given.get("drafts") != _MESSAGE for turn in record.turns)


def remembered(messages: Sequence[AnyMessage], settings: Settings) -> Record:
    """Return a record of a conversation that was held elsewhere; its answers are given drafts."""
    record = Record(settings={settings.digest: settings.model_dump(mode="json")})
    for question, reply in _exchanges(messages):
        number = len(record.tasks) + 1
        task = checked_task({"prompt": question, "number": number})
        record = record.model_copy(update={"tasks": (*record.tasks, task)})
        asked = conversation(record, settings.prompts, before=number)
        said = (*asked, Message(role="assistant", content=reply))
        draft = Draft(message=message_ids(said)[-1], code=extract_code(reply).code)
        turn = Turn(
            number=number,
            task=number,
            settings=settings.digest,
            drafts=(draft,),
            given={"drafts": _MESSAGE},
        )
        texts = {at: StoredMessage(**text) for at, text in new_texts(record, [said]).items()}
        update = {"turns": (*record.turns, turn), "texts": {**record.texts, **texts}}
        record = record.model_copy(update=update)
    return record


def _exchanges(messages: Sequence[AnyMessage]) -> list[tuple[str, str]]:
    """Return each question of a person with the last answer to it that has text."""
    found: list[tuple[str, str]] = []
    question: str | None = None
    for message in messages:
        if message.type == "human":
            question = message.text.strip() or None
        elif message.type == "ai" and question is not None and message.text.strip():
            if found and found[-1][0] == question:
                found.pop()
            found.append((question, message.text))
    return found


@logged("answer")
async def answer(state: State, runtime: Runtime[Settings]) -> Update:
    """Answer with the last program, what it printed or how its tests went, and the outcome."""
    text = answer_text(read(cast(Mapping[str, Any], state)))
    return {"messages": [AIMessage(text, id=str(uuid.uuid4()))]}


def answer_text(record: Record) -> str:
    """Return the answer to the record's last task, as Markdown."""
    turn = next((turn for turn in reversed(record.current) if turn.code is not None), None)
    outcome = record.outcome
    decided = "" if outcome is None else outcome.reason
    if turn is None:
        draft = record.turns[-1].draft if record.turns else None
        said = record.text(draft.message) if draft else ""
        return said if record.solved else f"{said}\n\nNot solved: {decided}".strip()
    parts = [f"```python\n{(turn.code or '').rstrip()}\n```", describe_turn(turn).rstrip()]
    parts.append(f"{'Solved' if record.solved else 'Not solved'}: {decided}")
    return "\n\n".join(parts)
