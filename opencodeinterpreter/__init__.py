"""OpenCodeInterpreter: generate, execute, critique, judge, refine.

The names below are the public surface; each is imported when it is first used, so that importing
the package is quick and loads no model client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opencodeinterpreter.graph.build import build_graph
    from opencodeinterpreter.graph.opening import open_graph
    from opencodeinterpreter.graph.solve import solve
    from opencodeinterpreter.graph.store.opening import open_store
    from opencodeinterpreter.nodes.records import Record, Task, Turn
    from opencodeinterpreter.nodes.settings import Limits, Settings
    from opencodeinterpreter.nodes.state import read
    from opencodeinterpreter.tools.errors import OpenCodeInterpreterError
    from opencodeinterpreter.traces.replay import replay
    from opencodeinterpreter.traces.trace import Trace, read_trace

__all__ = [
    "Limits",
    "OpenCodeInterpreterError",
    "Record",
    "Settings",
    "Task",
    "Trace",
    "Turn",
    "build_graph",
    "open_graph",
    "open_store",
    "read",
    "read_trace",
    "replay",
    "solve",
]

_HOMES = {
    "Limits": "nodes.settings",
    "OpenCodeInterpreterError": "tools.errors",
    "Record": "nodes.records",
    "Settings": "nodes.settings",
    "Task": "nodes.records",
    "Trace": "traces.trace",
    "Turn": "nodes.records",
    "build_graph": "graph.build",
    "open_graph": "graph.opening",
    "open_store": "graph.store.opening",
    "read": "nodes.state",
    "read_trace": "traces.trace",
    "replay": "traces.replay",
    "solve": "graph.solve",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
