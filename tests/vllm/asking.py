"""Requests and runs for the tests of the vLLM stage."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opencodeinterpreter.graph.build import Graph
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import read
from opencodeinterpreter.tools.execution import Execution, ExecutionError
from opencodeinterpreter.tools.models.protocol import Message, Position, Request, Sampling
from opencodeinterpreter.tools.program import Program

VERDICT = {
    "type": "object",
    "properties": {"solved": {"type": "boolean"}, "kind": {"enum": ["bug", "style", "none"]}},
    "required": ["solved", "kind"],
    "additionalProperties": False,
}
IS_EVEN: dict[str, Any] = {
    "prompt": 'def is_even(n):\n    """Return whether the integer n is even."""\n',
    "entry_point": "is_even",
    "tests": {
        "kind": "cases",
        "cases": [
            {"args": [4], "expected": True},
            {"args": [7], "expected": False},
        ],
    },
}
WORDS: dict[str, Any] = {"prompt": "Print a number."}


class FailingRunner:
    """Every program ends with a different error, so that no run is solved or gets stuck."""

    def __init__(self) -> None:
        self.ran = 0

    async def run(self, program: Program) -> Execution:
        self.ran += 1
        error = ExecutionError(name="ValueError", value=str(self.ran), traceback="")
        return Execution(status="error", exit_code=1, error=error, seconds=0.1)


def request(text: str = "hello", tokens: int = 20, **more: Any) -> Request:
    schema = more.pop("json_schema", None)
    return Request(
        messages=(Message(role="user", content=text),),
        sampling=Sampling(max_tokens=tokens, **more),
        json_schema=schema,
        at=Position(turn=1, role="coder", number=1),
    )


def settings(spec: str, turns: int, tokens: int = 64, **more: Any) -> Settings:
    sampling = {"coder": {"max_tokens": tokens, **more}}
    limits = {"turns": turns, "stuck": False}
    return Settings.model_validate(
        {"models": {"coder": spec}, "sampling": sampling, "limits": limits}
    )


async def drive(graph: Graph, chosen: Settings, task: dict[str, Any]) -> Record:
    seed: Any = task_seed(task, chosen)
    return read(await graph.ainvoke(seed))


def texts(record: Record) -> list[str]:
    """Return the coder's responses by turn."""
    return [record.text(turn.draft.message) for turn in record.turns if turn.draft]


def cached(record: Record) -> list[int]:
    """Return the number of cached tokens of each prompt."""
    usages = [turn.draft.call.usage for turn in record.turns if turn.draft and turn.draft.call]
    return [usage.cached_tokens or 0 for usage in usages if usage]


def children(parent: int, command: str) -> Sequence[int]:
    """Return the ids of a process's descendants whose command line starts with `command`."""
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            own = f"\nPPid:\t{parent}\n" in (folder / "status").read_text()
            line = (folder / "cmdline").read_text()
        except OSError:
            continue
        if own:
            found += [int(folder.name)] if line.startswith(command) else []
            found += children(int(folder.name), command)
    return found
