"""OpenCodeInterpreter: generate, execute, critique, judge, refine.

The names below are the public surface; each is imported when it is first used, so that importing
the package is quick and loads no model client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opencodeinterpreter.graph.build import build_graph
    from opencodeinterpreter.graph.chat import build_chat
    from opencodeinterpreter.graph.hosted import as_node
    from opencodeinterpreter.graph.opening import open_graph
    from opencodeinterpreter.graph.seeds import Edit
    from opencodeinterpreter.graph.solve import Solver, open_solver, solve, solve_sync
    from opencodeinterpreter.graph.store.opening import open_store
    from opencodeinterpreter.graph.stored import Runs
    from opencodeinterpreter.graph.sync import open_solver_sync
    from opencodeinterpreter.graph.tool import as_tool
    from opencodeinterpreter.nodes.records import Record, Task, Turn
    from opencodeinterpreter.nodes.settings import Limits, Settings
    from opencodeinterpreter.nodes.state import read
    from opencodeinterpreter.tools.errors import OpenCodeInterpreterError
    from opencodeinterpreter.traces.replay import replay
    from opencodeinterpreter.traces.trace import Trace, read_trace

__all__ = [
    "Edit",
    "Limits",
    "OpenCodeInterpreterError",
    "Record",
    "Runs",
    "Settings",
    "Solver",
    "Task",
    "Trace",
    "Turn",
    "as_node",
    "as_tool",
    "build_chat",
    "build_graph",
    "open_graph",
    "open_solver",
    "open_solver_sync",
    "open_store",
    "read",
    "read_trace",
    "replay",
    "solve",
    "solve_sync",
]

_HOMES = {
    "Edit": "graph.seeds",
    "Limits": "nodes.settings",
    "OpenCodeInterpreterError": "tools.errors",
    "Record": "nodes.records",
    "Runs": "graph.stored",
    "Settings": "nodes.settings",
    "Solver": "graph.solve",
    "Task": "nodes.records",
    "Trace": "traces.trace",
    "Turn": "nodes.records",
    "as_node": "graph.hosted",
    "as_tool": "graph.tool",
    "build_chat": "graph.chat",
    "build_graph": "graph.build",
    "open_graph": "graph.opening",
    "open_solver": "graph.solve",
    "open_solver_sync": "graph.sync",
    "open_store": "graph.store.opening",
    "read": "nodes.state",
    "read_trace": "traces.trace",
    "replay": "traces.replay",
    "solve": "graph.solve",
    "solve_sync": "graph.solve",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
