"""LangSmith's tracing, which sends prompts, answers, tests and references to a service.

LangChain switches it on by LANGSMITH_TRACING alone, which may be set for another program. Here it
is off unless OPENCODEINTERPRETER_TRACING is `langsmith` as well.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from opencodeinterpreter.tools.errors import InputError

TRACING_VARIABLE = "OPENCODEINTERPRETER_TRACING"
_SWITCHES = (
    "LANGSMITH_TRACING",
    "LANGSMITH_TRACING_V2",
    "LANGCHAIN_TRACING",
    "LANGCHAIN_TRACING_V2",
)


@contextmanager
def tracing_if_asked() -> Iterator[None]:
    """Switch tracing off for what runs inside, unless our own variable asks for it.

    Raises InputError for a value of that variable that is not known.
    """
    asked = os.environ.get(TRACING_VARIABLE, "")
    if asked not in ("", "off", "langsmith"):
        raise InputError(f"{TRACING_VARIABLE}={asked!r} is not known; use 'langsmith' or 'off'")
    if asked == "langsmith":
        yield
    else:
        with no_tracing():
            yield


@contextmanager
def no_tracing() -> Iterator[None]:
    """Switch tracing off for what runs inside."""
    if not any(os.environ.get(switch) for switch in _SWITCHES):
        yield  # Without importing anything.
        return
    from langsmith import tracing_context

    with tracing_context(enabled=False):
        yield
