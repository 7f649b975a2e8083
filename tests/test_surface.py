"""The package as a host program meets it: its names, its README, its graph on a server."""

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from blockbuster import BlockBuster

import opencodeinterpreter
from opencodeinterpreter.graph.opening import open_graph
from opencodeinterpreter.graph.runs import advance, create_run
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.nodes.settings import Settings
from tests.doubling import draft, write_script
from tests.sampling import every

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "cli" / "demo_tasks" / "lighthouse_flashes.toml"


def test_the_public_names_are_these() -> None:
    assert sorted(opencodeinterpreter.__all__) == opencodeinterpreter.__all__
    assert opencodeinterpreter.__all__ == [
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
    for name in opencodeinterpreter.__all__:
        assert getattr(opencodeinterpreter, name) is not None


def test_an_unknown_public_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'solv'"):
        opencodeinterpreter.solv  # noqa: B018


def examples_of(page: str) -> list[str]:
    text = (ROOT / page).read_text("utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def printed(example: str, folder: Path) -> str:
    """Run an example of the README as a host's program; return what it prints."""
    program = folder / "host.py"
    program.write_text(example, "utf-8")
    (folder / "tools").mkdir()  # a host's own folder must not be taken for ours
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, cwd=folder, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readmes_first_example_runs_with_a_scripted_model(tmp_path: Path) -> None:
    example, _ = examples_of("README.md")
    assert "local:qwen2.5-coder-0.5b" in example
    told = printed(example.replace("local:qwen2.5-coder-0.5b", f"scripted:{SCRIPT}"), tmp_path)
    assert "decision='solved'" in told
    assert "def flashes_seen" in told


def test_the_readmes_own_model_runs(tmp_path: Path) -> None:
    _, example = examples_of("README.md")
    assert "decision='solved'" in printed(example, tmp_path)


EMBEDDING = [each for each in examples_of("docs/embedding.md") if "langgraph_sdk" not in each]
AGENT = """

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage


class Model(GenericFakeChatModel):
    def bind_tools(self, tools, **named):
        return self


call = {"name": "solve_code", "args": {"task": "Write double(x)."}, "id": "1"}
replies = iter([AIMessage("", tool_calls=[call]), AIMessage("Here is double(x).")])
asyncio.run(main(Model(messages=replies)))
"""


@pytest.mark.parametrize("number", every(2, range(len(EMBEDDING))))
def test_an_example_of_embedding_runs_as_it_stands_with_a_scripted_model(
    number: int, tmp_path: Path
) -> None:
    example = EMBEDDING[number]
    assert "local:qwen2.5-coder-1.5b" in example
    model = write_script(tmp_path / "script.toml", [draft("def double(x):\n    return x + x\n")])
    program = example.replace("local:qwen2.5-coder-1.5b", model)
    told = printed(
        program + ("" if "asyncio.run(" in program or "_sync" in program else AGENT), tmp_path
    )
    assert "double" in told or "True" in told


def test_the_graph_that_langgraph_json_names_loads_with_its_schemas() -> None:
    named = json.loads((ROOT / "langgraph.json").read_text("utf-8"))["graphs"]
    module, _, attribute = named["opencodeinterpreter"]["path"].partition(":")
    graph = getattr(import_module(module), attribute)
    assert graph.checkpointer is None, "a server refuses a graph that brings its own"
    assert set(graph.get_graph().nodes) == {
        "__start__",
        "task",
        "coder",
        "executor",
        "judge",
        "critic",
        "__end__",
    }
    assert "tasks" in graph.get_input_jsonschema()["properties"]
    context = graph.get_context_jsonschema()
    assert {"critic", "drafts", "limits", "models"} <= set(context["properties"])
    assert context["properties"]["critic"]["enum"][0] == "none"


async def test_a_run_blocks_the_event_loop_nowhere(tmp_path: Path) -> None:
    settings = Settings(models={"coder": f"scripted:{SCRIPT}"})
    task = {
        "prompt": "Count flashes.",
        "tests": {
            "kind": "python",
            "source": "from solution import flashes_seen\nassert flashes_seen(2, 5, 12) == 3",
        },
    }
    guard = BlockBuster()
    async with (
        open_store(str(tmp_path / "runs.sqlite")) as store,
        open_graph(settings, store) as graph,
    ):
        row = await create_run(store, task_seed(task, settings))
        guard.activate()
        try:
            run = await advance(store, graph, row)
        finally:
            guard.deactivate()
    assert run.row.status == "solved"
    assert [turn.number for turn in run.record.turns] == [1, 2]
