"""A run in progress: the graph is streamed, and its updates are told to whoever listens."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, StreamMode

from opencodeinterpreter.graph.build import Graph
from opencodeinterpreter.graph.routes import next_node
from opencodeinterpreter.nodes.events import Event, events_of
from opencodeinterpreter.nodes.records import Record, Turn
from opencodeinterpreter.nodes.state import State, by_key, by_number, by_turn, read
from opencodeinterpreter.tools.person import PersonAnswer, Question

if TYPE_CHECKING:
    from opencodeinterpreter.graph.runs import Run

Watch = Callable[[str, Turn], None]
"""Called after each node with its name and the turn so far."""

Hear = Callable[[str, str, str], None]
"""Called with each piece of a model's answer: the node, the answer's id, the text."""


OnRecord = Callable[[Record], None]
"""Called after each node with the whole record as it then stands."""

OnEvent = Callable[[Event], None]
"""Called with a small event for each part that a node made; see `nodes.events`."""


class Driven:
    """A run in progress: its state after the updates that are stored so far."""

    def __init__(
        self,
        run: "Run",
        watch: Watch | None,
        hear: Hear | None,
        on_event: OnEvent | None,
        on_record: OnRecord | None = None,
    ) -> None:
        """Continue `run`; tell the listeners that are given."""
        self._start = run
        self._on_event = on_event
        self._on_record = on_record
        self._watch = watch
        self._hear = hear
        self._state: dict[str, Any] = run.record.model_dump(mode="json")
        self._question: Question | None = None

    async def go(self, graph: Graph, config: RunnableConfig, answer: PersonAnswer | None) -> None:
        """Run the graph until it ends or asks; `answer` answers its last question."""
        resume: Command[Any] | None = None
        if self._start.question and answer:
            resume = Command(resume=answer.model_dump(mode="json"))
        modes: list[StreamMode] = ["updates"] if self._hear is None else ["updates", "messages"]
        part: Any
        async for mode, part in graph.astream(
            cast(Any, resume), config, stream_mode=modes, durability="sync"
        ):
            if mode == "updates":
                self._take(part)
            elif self._hear is not None:
                message, about = part
                self._hear(about["langgraph_node"], message.id or "", str(message.text))

    def _take(self, part: dict[str, Any]) -> None:
        if asked := part.get("__interrupt__"):
            self._question = Question.model_validate(asked[0].value)
        for node, update in part.items():
            if update is None or node.startswith("__"):
                # A node that wrote nothing; a question to a person; or the note that a node's
                # writes were found in the store because the run was killed before the checkpoint
                # that would hold them.
                continue
            self._state = merged(self._state, update)
            if self._on_event is not None:
                for event in events_of(update):
                    self._on_event(event)
            if self._on_record is not None:
                self._on_record(read(self._state))
            if self._watch is None:
                continue
            touched = {turn["number"] for turn in update.get("turns", ())}
            for turn in self._state["turns"]:
                if turn["number"] in touched:
                    self._watch(node, Turn.model_validate(turn))

    def run(self) -> "Run":
        """Return the run after the graph ended without an error."""
        return replace(
            self._start,
            record=read(self._state),
            next=next_node(cast(State, self._state)),
            failure=None,
            question=self._question,
        )


def merged(state: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state with an update merged into it, as the graph's channels merge it."""
    reducers: dict[str, Any] = {
        "tasks": by_number,
        "settings": by_key,
        "texts": by_key,
        "turns": by_turn,
        "artifacts": by_key,
    }
    merged = {
        channel: reducers[channel](state.get(channel), [written])
        for channel, written in update.items()
    }
    return {**state, **merged}
