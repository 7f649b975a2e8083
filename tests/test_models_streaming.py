"""Streaming: the graph's message stream, and the live display in a terminal."""

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Any

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.testing import ScriptedRunner, raised
from opencodeinterpreter.testing.openai_server import OpenAIServer, Reply, serve
from opencodeinterpreter.tools.models.opening import open_models
from tests.command import Command, warm
from tests.terminal import Terminal

WRONG = "Here:\n```python\nprint(1 / 0)\n```"
WORDS = "It ends with an error."


def spec(server: OpenAIServer) -> str:
    return f"openai:tiny@{server.url}"


async def test_tokens_of_coder_and_critic_reach_the_graphs_message_stream() -> None:
    async with OpenAIServer([WRONG, WORDS, WRONG]) as server:
        chosen = Settings.model_validate(
            {"models": {"coder": spec(server)}, "critic": "simulated", "limits": {"turns": 2}}
        )
        async with open_models(chosen.models) as models:
            graph = build_graph(models, ScriptedRunner(default=raised("ZeroDivisionError")))
            said: dict[str, list[str]] = defaultdict(list)
            seed: Any = task_seed({"prompt": "Print a number."}, chosen)
            part: Any
            async for part in graph.astream(seed, stream_mode="messages"):
                said[part[1]["langgraph_node"]].append(str(part[0].text))
    assert "".join(said["coder"]) == WRONG * 2
    assert "".join(said["critic"]) == WORDS
    assert len(said["coder"]) > 4


def test_a_terminal_shows_an_answer_while_it_is_written(tmp_path: Path) -> None:
    slow = Reply("Here:\n```python\nprint('nine lives') \n```\nand \x1b[31m more words", pause=0.4)
    command = Command(tmp_path, warm, {"TERM": "xterm-256color"})
    with (
        serve([slow]) as server,
        Terminal(
            command, "solve", "Print nine lives.", "--model", spec(server), "--turns", "1"
        ) as terminal,
    ):
        terminal.wait_for("coder writes …")
        terminal.wait_for("print('nine")
        terminal.wait()
        shown = terminal.shown
    assert "coder writes" not in shown
    assert "\x1b[31m" not in shown
    assert "turn 1  coder" in shown


async def test_in_a_pipe_answers_are_not_streamed(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    with serve(["```python\nprint(1)\n```"]) as server:
        done = await asyncio.to_thread(command, "solve", "Print 1.", "--model", spec(server))
    assert (done.status, done.stdout) == (0, "print(1)\n")
    assert not server.requests[0].body.get("stream")
    assert "writes" not in done.stderr
