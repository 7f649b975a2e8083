"""The graph: coder, executor, judge and critic, wired over three seams."""

from collections.abc import Hashable, Mapping
from typing import Any, TypeAlias

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Checkpointer

from opencodeinterpreter.graph.routes import after_coder, after_critic, after_judge, next_node
from opencodeinterpreter.nodes.coder import coder
from opencodeinterpreter.nodes.critic import InterruptedPerson, critic
from opencodeinterpreter.nodes.executor import executor
from opencodeinterpreter.nodes.judge import judge
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import Input, State
from opencodeinterpreter.tools.models.protocol import Model, Role
from opencodeinterpreter.tools.person import Person
from opencodeinterpreter.tools.runner import Runner

Graph: TypeAlias = CompiledStateGraph[State, Settings, Input, State]


def build_graph(
    models: Mapping[Role, Model],
    runner: Runner,
    person: Person | None = None,
    *,
    checkpointer: Checkpointer = None,
) -> Graph:
    """Compile the loop over objects that the caller owns; it opens and closes nothing.

    `models` needs a `coder`; its critic defaults to the coder's model and its judge to none.
    Without a `person`, a human critic interrupts the graph, which then needs a checkpointer.
    """
    built: StateGraph[State, Settings, Input, State] = StateGraph(
        State, context_schema=Settings, input_schema=Input, output_schema=State
    )
    nodes: dict[str, Any] = {
        "coder": coder(models),
        "executor": executor(runner),
        "judge": judge(models.get("judge")),
        "critic": critic(models.get("critic", models["coder"]), person or InterruptedPerson()),
    }
    for name, node in nodes.items():
        built.add_node(name, node)
    entries: dict[Hashable, str] = {**{name: name for name in nodes}, "end": END}
    built.add_conditional_edges(START, next_node, entries)
    built.add_conditional_edges("coder", after_coder, {"code": "executor", "no code": "judge"})
    built.add_edge("executor", "judge")
    built.add_conditional_edges(
        "judge", after_judge, {"revise": "critic", "solved": END, "stopped": END}
    )
    built.add_conditional_edges(
        "critic",
        after_critic,
        {"words": "coder", "edited code": "executor", "approved | stopped": END},
    )
    return built.compile(checkpointer=checkpointer, name="opencodeinterpreter")
