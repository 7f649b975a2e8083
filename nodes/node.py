"""What all nodes share: their type, and the log lines around each call."""

import functools
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import structlog
from langgraph.runtime import Runtime
from pydantic import ValidationError

from opencodeinterpreter.nodes.events import events_of
from opencodeinterpreter.nodes.records import PARTS
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import State
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.validation import first_problem

Update = dict[str, Any]
"""The channel writes of one node: the parts that it made."""

log: structlog.stdlib.BoundLogger = structlog.wrap_logger(
    logging.getLogger("opencodeinterpreter"),
    wrapper_class=structlog.stdlib.BoundLogger,
    processors=[
        structlog.stdlib.filter_by_level,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.render_to_log_kwargs,
    ],
)
"""Writes to the standard library's logger of that name, so that the host configures it."""


class Node(Protocol):
    """An async function from the state to a channel write; it keeps no state."""

    def __call__(self, state: State, runtime: Runtime[Settings]) -> Awaitable[Update]:
        """Make this node's part of the current turn."""
        ...


def logged(name: str) -> Callable[[Node], Node]:
    """Bind the node's name and turn to every log line inside it; log and stream what it made."""

    def wrap(node: Node) -> Node:
        @functools.wraps(node)
        async def run(state: State, runtime: Runtime[Settings]) -> Update:
            with structlog.contextvars.bound_contextvars(node=name, turn=_turn(name, state)):
                log.debug("node starts")
                try:
                    update = await node(state, runtime)
                except ValidationError as error:
                    raise InputError(f"the state's {first_problem(error)}") from error
                for event in events_of(update):
                    runtime.stream_writer(event)
                log.debug("node ends", parts=_parts(update))
                return update

        return run

    return wrap


def _turn(name: str, state: Mapping[str, Any]) -> int:
    turns = state.get("turns") or [{"number": 0}]
    number: int = turns[-1]["number"]
    return number + 1 if name == "coder" else number


def _parts(update: Update) -> list[str]:
    return [
        part for turn in update.get("turns", ()) for part in PARTS if turn.get(part) is not None
    ]
