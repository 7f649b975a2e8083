"""LangGraph's real server on our three graphs and our store, by its SDK and the command."""

import asyncio
import os
import re
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.pregel.remote import RemoteGraph
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from mcp import Client
from typing_extensions import TypedDict

from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import Row, list_runs
from tests.doubling import RIGHT, TASK, TESTS, TRIPLE, draft, write_script
from tests.langgraph_server import ROOT, Server, serving
from tests.test_graph_chat import FIND, KEEP

pytestmark = pytest.mark.slow

RUN_SECONDS = 90.0
GIVEN: Any = {"tasks": [{"prompt": TASK, "tests": TESTS}]}
NO_FIXTURE = "def test_it(sums):\n    assert sums"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("studio")
    model = write_script(folder / "model.toml", [draft(TRIPLE), draft(RIGHT)])
    other = write_script(folder / "other.toml", [draft(RIGHT)])
    slow = write_script(folder / "slow.toml", [draft(TRIPLE), draft(RIGHT)], delays=[0.0, 5.0])
    chatty = write_script(folder / "chatty.toml", [draft(KEEP), draft(FIND)])
    with serving(folder, model, OPENCODEINTERPRETER_MODELS=f"{other} {slow} {chatty}") as started:
        yield started


@pytest.fixture
async def client(server: Server) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=server.url) as opened:
        yield opened


async def run(client: LangGraphClient, graph: str, thread: str | None = None, **given: Any) -> Any:
    return await asyncio.wait_for(client.runs.wait(thread, graph, **given), RUN_SECONDS)


async def new_thread(client: LangGraphClient) -> str:
    return str((await client.threads.create())["thread_id"])


def verdicts(state: Any) -> list[str]:
    assert "__error__" not in state, state
    return [turn["verdict"]["decision"] for turn in state["turns"]]


async def row_of(server: Server, run_id: str) -> Row | None:
    async with open_store(server.store) as store:
        return next((row for row in await list_runs(store) if row.id == run_id), None)


async def is_solved(server: Server, run_id: str) -> bool:
    row = await row_of(server, run_id)
    return row is not None and row.status == "solved"


async def until(happens: Callable[..., Awaitable[Any]], *given: Any, **named: Any) -> Any:
    """Ask again and again, and return the first answer that is not empty or false."""
    for _ in range(int(RUN_SECONDS / 0.5)):
        if answer := await happens(*given, **named):
            return answer
        await asyncio.sleep(0.5)
    return None


def command(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "opencodeinterpreter", *arguments],
        env={**os.environ, "OPENCODEINTERPRETER_STORE": server.store},
        capture_output=True,
        text=True,
        timeout=120,
    )


async def test_a_chat_answers_and_follows_up(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    for count in (2, 4):
        said = {"messages": [{"role": "user", "content": TASK}]}
        found = await run(client, "chat", thread, input=said)
        assert len(found["messages"]) == count
        assert "```python\ndef double(n):" in found["messages"][-1]["content"]


async def test_programs_of_a_chat_find_what_those_before_them_left(
    client: LangGraphClient, server: Server
) -> None:
    chatty = {"models": {"coder": f"scripted:{server.folder / 'chatty.toml'}"}}
    thread = await new_thread(client)
    for words in ("Keep 20.", "Now one more."):
        said = {"messages": [{"role": "user", "content": words}]}
        found = await run(client, "chat", thread, input=said, context=chatty)
    assert "21 a file" in found["messages"][-1]["content"]
    done = command(server, "replay", thread)
    assert (done.returncode, "identical" in done.stdout) == (0, True), done.stderr


async def test_the_small_graph_gives_outcome_and_code(client: LangGraphClient) -> None:
    found = await run(client, "solve_code", input={"task": TASK, "tests": TESTS})
    assert found == {
        "outcome": "solved",
        "reason": "2 of 2 tests passed",
        "code": RIGHT.rstrip(),
    }


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "holds no task"),
        ({"tasks": [{"text": "x"}]}, "the task's prompt: Field required"),
        ({"tasks": [{"prompt": TASK, "tests": NO_FIXTURE}]}, "fixture 'sums' not found"),
    ],
)
async def test_a_wrong_input_is_told_in_words(
    client: LangGraphClient, given: Any, words: str
) -> None:
    state = await run(client, "opencodeinterpreter", input=given, raise_error=False)
    assert words in state["__error__"]["message"]


async def test_streams_tell_each_part(client: LangGraphClient) -> None:
    events = [
        part.data
        async for part in client.runs.stream(
            None, "opencodeinterpreter", input=GIVEN, stream_mode=["custom"]
        )
        if part.event == "custom"
    ]
    assert [event["event"] for event in events] == [
        *["turn", "execution", "verdict", "feedback"],
        *["turn", "execution", "verdict"],
    ]


async def test_assistants_differ_by_model_and_critic(
    client: LangGraphClient, server: Server
) -> None:
    other = {"models": {"coder": f"scripted:{server.folder / 'other.toml'}"}}
    quick = await client.assistants.create("opencodeinterpreter", context=other)
    state = await run(client, quick["assistant_id"], input=GIVEN)
    assert verdicts(state) == ["solved"]
    asking = await client.assistants.create("opencodeinterpreter", context={"critic": "human"})
    thread = await new_thread(client)
    asked = await run(client, asking["assistant_id"], thread, input=GIVEN)
    assert asked["__interrupt__"][0]["value"]["turn"] == 1
    state = await run(
        client, asking["assistant_id"], thread, command={"resume": "You add one time too many."}
    )
    assert verdicts(state) == ["revise", "solved"]


FORBIDDEN: dict[str, tuple[Any, str]] = {
    "a file": ({"models": {"coder": "scripted:/etc/passwd"}}, "does not offer the model"),
    "a host": ({"models": {"coder": "openai:x@http://127.0.0.1:9"}}, "does not offer the model"),
    "a judge's host": (
        {"models": {"coder": "USUAL", "judge": "openai:x@http://127.0.0.1:9"}},
        "does not offer the model",
    ),
    "a key": ({"client": {"key_variable": "HOME"}}, "leave `client` out"),
    "time": ({"sandbox": {"wall_seconds": 600}}, "sandbox.wall_seconds is 600"),
    "memory": ({"sandbox": {"memory_mb": 60000}}, "sandbox.memory_mb is 60000"),
    "drafts": ({"drafts": 64}, "drafts is 64"),
    "turns": ({"limits": {"turns": 1000}}, "limits.turns is 1000"),
    "tokens": ({"sampling": {"coder": {"max_tokens": 99999}}}, "max_tokens is 99999"),
}


@pytest.mark.parametrize("name", FORBIDDEN)
@pytest.mark.parametrize("door", ["context", "input", "update"])
async def test_a_caller_can_name_nothing_beyond_what_the_server_allows(
    client: LangGraphClient, server: Server, name: str, door: str
) -> None:
    """Neither as the context, nor in the settings of an input's or an edit's given turn."""
    context, words = FORBIDDEN[name]
    usual = f"scripted:{server.folder / 'model.toml'}"
    context = {**context, "models": {"coder": usual, **context.get("models", {})}}
    if context["models"]["coder"] == "USUAL":
        context["models"]["coder"] = usual
    if door == "context":
        state = await run(
            client, "opencodeinterpreter", input=GIVEN, context=context, raise_error=False
        )
    else:
        turn = {"number": 1, "task": 1, "settings": "evil", "drafts": [{"code": "print(1)"}]}
        given = {**GIVEN, "settings": {"evil": context}, "turns": [turn]}
        if door == "input":
            state = await run(client, "opencodeinterpreter", input=given, raise_error=False)
        else:
            thread = await new_thread(client)
            await run(client, "opencodeinterpreter", thread, input=GIVEN)
            edit = {"settings": {"evil": context}, "turns": [turn]}
            await client.threads.update_state(thread, edit, as_node="coder")
            state = await run(client, "opencodeinterpreter", thread, input=None, raise_error=False)
    assert words in state["__error__"]["message"]


async def test_a_run_made_here_is_listed_and_replays_with_the_command(
    client: LangGraphClient, server: Server
) -> None:
    thread = await new_thread(client)
    await run(client, "opencodeinterpreter", thread, input=GIVEN)
    row = await row_of(server, thread)
    assert row is not None
    assert (row.status, row.turns, row.title) == ("solved", 2, TASK)
    done = command(server, "replay", thread)
    assert done.returncode == 0, done.stderr
    assert "identical" in done.stdout


async def test_a_fork_by_an_edit_replays_with_the_command(
    client: LangGraphClient, server: Server
) -> None:
    thread = await new_thread(client)
    await run(client, "opencodeinterpreter", thread, input=GIVEN)
    history: Any = await client.threads.get_history(thread, limit=50)
    first = next(state for state in history if state["next"] == ["executor"] and
                 len(state["values"]["turns"]) == 1)  # fmt: skip
    (turn,) = first["values"]["turns"]
    turn["drafts"][0]["code"] = RIGHT
    await client.threads.update_state(
        thread, {"turns": [turn]}, checkpoint=first["checkpoint"], as_node="coder"
    )
    state = await run(client, "opencodeinterpreter", thread, input=None)
    assert verdicts(state) == ["solved"]
    assert state["turns"][0]["given"] == {"drafts": "an edit"}
    row = await row_of(server, thread)
    assert row is not None and (row.status, row.turns) == ("solved", 1)
    done = command(server, "replay", thread)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_a_run_of_the_command_is_a_thread_here(
    client: LangGraphClient, server: Server, tmp_path: Path
) -> None:
    tests = tmp_path / "tests.py"
    tests.write_text(TESTS)
    model = f"scripted:{server.folder / 'model.toml'}"
    done = command(server, "solve", TASK, "--tests", str(tests), "--model", model, "--json")
    assert done.returncode == 0, done.stderr
    async with open_store(server.store) as store:
        newest = (await list_runs(store))[0].id
    for _ in range(40):
        found = await client.threads.search(ids=[newest])
        if found:
            break
        await asyncio.sleep(0.5)
    state = await client.threads.get_state(newest)
    assert verdicts(state["values"]) == ["revise", "solved"]


async def test_a_remote_graph_is_a_node_of_another_graph(client: LangGraphClient) -> None:
    class Host(TypedDict, total=False):
        task: str
        outcome: str

    remote = RemoteGraph("solve_code", client=client)  # one made from a URL is never closed
    host = StateGraph(Host)
    host.add_node("solve", remote)
    host.add_edge(START, "solve")
    host.add_edge("solve", END)
    given: Any = {"task": TASK}
    found = await host.compile().ainvoke(given)
    assert found["outcome"] == "solved"


async def test_an_agent_finds_the_small_graph_over_mcp(server: Server) -> None:
    async with Client(f"{server.url}/mcp") as agent:
        tools = {tool.name: tool for tool in (await agent.list_tools()).tools}
        # Assistants that other tests made are tools too.
        assert {"solve_code", "chat", "opencodeinterpreter"} <= set(tools)
        assert set(tools["solve_code"].input_schema["properties"]) == {
            *("task", "tests", "entry_point"),
        }
        calls = [agent.call_tool("solve_code", {"task": TASK, "tests": TESTS}) for _ in range(3)]
        for found in await asyncio.gather(*calls):
            assert not found.is_error
            assert "2 of 2 tests passed" in str(found.content)
        wrong = await agent.call_tool("solve_code", {"task": ""})
        assert wrong.is_error
        assert "InputError" in str(wrong.content)  # The server passes on no more than that.


async def sent(client: LangGraphClient, server: Server, graph: str, **message: Any) -> Any:
    """Send an A2A message to a graph's assistant; return the task that became of it."""
    (assistant,) = await client.assistants.search(graph_id=graph, limit=1)
    whole = {"role": "user", "messageId": str(uuid.uuid4()), **message}
    call = {"jsonrpc": "2.0", "id": "1", "method": "message/send", "params": {"message": whole}}
    async with httpx.AsyncClient(timeout=RUN_SECONDS) as http:
        url = f"{server.url}/a2a/{assistant['assistant_id']}"
        found = await http.post(url, json=call, headers={"Accept": "application/json"})
    return found.json()["result"]


async def test_an_agent_talks_to_the_chat_over_a2a(client: LangGraphClient, server: Server) -> None:
    first = await sent(client, server, "chat", parts=[{"kind": "text", "text": TASK}])
    assert first["status"]["state"] == "completed", first
    assert "def double(n):" in str(first["artifacts"])
    again = [{"kind": "text", "text": "Again."}]
    second = await sent(client, server, "chat", parts=again, contextId=first["contextId"])
    assert second["status"]["state"] == "completed", second
    assert len(second["history"]) == 4


async def test_an_agent_sends_the_small_graph_its_task_as_data_over_a2a(
    client: LangGraphClient, server: Server
) -> None:
    data = [{"kind": "data", "data": {"task": TASK, "tests": TESTS}}]
    found = await sent(client, server, "solve_code", parts=data)
    assert found["status"]["state"] == "completed", found
    assert "2 of 2 tests passed" in str(found["artifacts"])
    wrong = await sent(
        client, server, "solve_code", parts=[{"kind": "data", "data": {"tests": ""}}]
    )
    assert wrong["status"]["state"] == "failed", wrong


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_a_run_goes_on_after_the_server_was_killed(server: Server, how: str) -> None:
    slow = {"models": {"coder": f"scripted:{server.folder / 'slow.toml'}"}}
    async with get_client(url=server.url) as client:
        thread = await new_thread(client)
        await client.runs.create(thread, "opencodeinterpreter", input=GIVEN, context=slow)
        for _ in range(60):
            row = await row_of(server, thread)
            if row is not None and row.turns:
                break
            await asyncio.sleep(0.25)
    getattr(server, how)()
    server.start()
    async with get_client(url=server.url) as client:
        assert await until(client.threads.search, ids=[thread])
        row = await row_of(server, thread)
        if row is not None and row.status != "solved":  # SIGTERM may let the run be queued again.
            await run(client, "opencodeinterpreter", thread, input=None, raise_error=False)
        assert await until(is_solved, server, thread)
        state = await client.threads.get_state(thread)
    assert verdicts(state["values"]) == ["revise", "solved"]


EXAMPLES = re.findall(
    r"^```python\n(.*?)^```",
    (ROOT / "docs" / "embedding.md").read_text("utf-8"),
    re.DOTALL | re.MULTILINE,
)
CLIENTS = [each for each in EXAMPLES if "langgraph_sdk" in each]
TOLD = [
    ["1 of 1 tests passed"],
    ["asked about turn 1", "asked about turn 2", "ran without error; nothing was checked"],
]


@pytest.mark.parametrize(("example", "told"), list(zip(CLIENTS, TOLD, strict=True)))
async def test_an_example_of_the_documentation_runs_as_it_stands(
    server: Server, tmp_path: Path, example: str, told: list[str]
) -> None:
    program = tmp_path / "client.py"
    program.write_text(example.replace("http://127.0.0.1:2024", server.url), "utf-8")
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()[-len(told) :]
    assert all(line.startswith(start) for line, start in zip(lines, told, strict=True)), lines
