"""What all nodes share: their type, and the log lines around each."""

import functools
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import structlog
from langgraph.runtime import Runtime

from opencodeinterpreter.nodes.records import PARTS
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import State

Update = dict[str, Any]
"""The channel writes of one node: only the parts that it made."""

log: structlog.stdlib.BoundLogger = structlog.wrap_logger(
    logging.getLogger("opencodeinterpreter"),
    wrapper_class=structlog.stdlib.BoundLogger,
    processors=[
        structlog.stdlib.filter_by_level,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.render_to_log_kwargs,
    ],
)
"""Goes to the standard library's logger of that name, so that a host decides what is shown."""


class Node(Protocol):
    """An async function from the state to the parts that it made; holds no state."""

    def __call__(self, state: State, runtime: Runtime[Settings]) -> Awaitable[Update]:
        """Make this node's part of the current turn."""
        ...


def logged(name: str) -> Callable[[Node], Node]:
    """Bind the node's name and turn to every log line inside it, and log its start and end."""

    def wrap(node: Node) -> Node:
        @functools.wraps(node)
        async def run(state: State, runtime: Runtime[Settings]) -> Update:
            with structlog.contextvars.bound_contextvars(node=name, turn=_turn(name, state)):
                log.debug("node starts")
                update = await node(state, runtime)
                log.debug("node ends", parts=_parts(update))
                return update

        return run

    return wrap


def _turn(name: str, state: Mapping[str, Any]) -> int:
    turns = state.get("turns") or [{"number": 0}]
    number: int = turns[-1]["number"]
    return number + 1 if name == "coder" else number


def _parts(update: Update) -> list[str]:
    return [part for turn in update["turns"] for part in PARTS if turn.get(part) is not None]
