"""The graphs that `langgraph.json` names, for LangGraph Studio and any LangGraph server.

`opencodeinterpreter` has the whole record as its state, `chat` takes messages, `solve_code` a task
and tests. `serving` says what the environment sets.
"""

from opencodeinterpreter.graph.build import Seams, build_loop
from opencodeinterpreter.graph.chat import build_chat
from opencodeinterpreter.graph.narrow import build_solve_code
from opencodeinterpreter.graph.serving import Policy, Served
from opencodeinterpreter.tools.sandbox.opening import named_sandbox

_served = Served(Policy.of_environment(), named_sandbox())
_seams = Seams(_served, _served, check=_served.check)

# A server brings its own checkpointer.
graph = build_loop(_seams)
chat = build_chat(_seams)
solve_code = build_solve_code(_seams)
