"""The graph: coder, executor, judge and critic, wired over three seams."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Checkpointer

from opencodeinterpreter.graph.entry import TestsCheck, entry
from opencodeinterpreter.graph.routes import after_coder, after_critic, after_judge, next_node
from opencodeinterpreter.nodes.coder import coder
from opencodeinterpreter.nodes.critic import InterruptedPerson, critic
from opencodeinterpreter.nodes.executor import executor
from opencodeinterpreter.nodes.judge import judge
from opencodeinterpreter.nodes.node import Node
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.sources import FixedModels, ModelSource
from opencodeinterpreter.nodes.state import Input, Output, State
from opencodeinterpreter.tools.models.protocol import Model, Role
from opencodeinterpreter.tools.person import Person
from opencodeinterpreter.tools.runner import Runner

Graph: TypeAlias = CompiledStateGraph[State, Settings, Input, Output]


@dataclass(frozen=True)
class Seams:
    """What the nodes reach the world through; the caller opens and closes it."""

    models: ModelSource
    runner: Runner
    person: Person | None = None
    """`None`: a human critic interrupts the graph, which then needs a checkpointer."""
    check: TestsCheck | None = None
    """Checks a new task's tests before the first draft; `None`: the caller has checked them."""


def build_graph(
    models: Mapping[Role, Model],
    runner: Runner,
    person: Person | None = None,
    *,
    checkpointer: Checkpointer = None,
) -> Graph:
    """Compile the loop over objects that the caller opens and closes.

    `models` needs a `coder`; the critic's model defaults to the coder's, the judge's to none.
    Without a `person`, a human critic interrupts the graph, which then needs a checkpointer.
    """
    seams = Seams(FixedModels(models), runner, person)
    return build_loop(seams, checkpointer=checkpointer)


def build_loop(seams: Seams, *, checkpointer: Checkpointer = None) -> Graph:
    """Compile the loop whose input and output are the whole record."""
    built: StateGraph[State, Settings, Input, Output] = StateGraph(
        State, context_schema=Settings, input_schema=Input, output_schema=Output
    )
    wire(built, seams, {"task": entry(seams.check)})
    return built.compile(checkpointer=checkpointer, name="opencodeinterpreter")


def wire(
    built: StateGraph[Any, Settings, Any, Any],
    seams: Seams,
    first: Mapping[str, Any],
    last: Mapping[str, Any] | None = None,
) -> None:
    """Add the loop's nodes and edges, after the node `first` and before the node `last`."""
    nodes: dict[str, Node] = {
        "coder": coder(seams.models),
        "executor": executor(seams.runner),
        "judge": judge(seams.models),
        "critic": critic(seams.models, seams.person or InterruptedPerson()),
    }
    for name, node in {**first, **nodes, **(last or {})}.items():
        built.add_node(name, node)
    (start,) = first
    end = END
    for end in last or ():
        built.add_edge(end, END)
    built.add_edge(START, start)
    entries: dict[Hashable, str] = {**{name: name for name in nodes}, "end": end}
    built.add_conditional_edges(start, _Route(next_node), entries)
    built.add_conditional_edges(
        "coder", _Route(after_coder), {"code": "executor", "no code": "judge"}
    )
    built.add_edge("executor", "judge")
    built.add_conditional_edges(
        "judge", _Route(after_judge), {"revise": "critic", "solved | stopped": end}
    )
    built.add_conditional_edges(
        "critic",
        _Route(after_critic),
        {"words": "coder", "edited code": "executor", "approved | stopped": end},
    )


class _Route(Runnable[State, str]):
    """A route that is called directly, on the event loop.

    LangGraph starts a thread for a function, and RunnableLambda inspects one at each call.
    """

    def __init__(self, decide: Callable[[State], str]) -> None:
        self.name = decide.__name__
        self._decide = decide

    def invoke(self, input: State, config: RunnableConfig | None = None, **_: Any) -> str:
        return self._decide(input)

    async def ainvoke(self, input: State, config: RunnableConfig | None = None, **_: Any) -> str:
        return self._decide(input)
