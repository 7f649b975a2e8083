"""`opencodeinterpreter mcp`, driven by the protocol's own client."""

import asyncio
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import Row, list_runs
from tests.command import Command, warm
from tests.doubling import RIGHT, TASK, TESTS, TRIPLE, draft, write_script

CALL = {"task": TASK, "tests": TESTS}
SECONDS = 120.0


@dataclass
class Served:
    """A server that is started for each client, and its store."""

    folder: Path
    model: str
    told: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    """Progress, as the client heard it."""
    criticized: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def store(self) -> str:
        return str(self.folder / "runs.sqlite")

    @property
    def parameters(self) -> StdioServerParameters:
        return StdioServerParameters(
            command=sys.executable,
            args=["-m", "opencodeinterpreter", "mcp", "--model", self.model],
            env={"OPENCODEINTERPRETER_STORE": self.store},
        )

    async def heard(self, progress: float, total: float | None, message: str | None) -> None:
        assert total is not None and progress <= total
        self.told.append((progress, message or ""))
        if "critic" in (message or ""):
            self.criticized.set()

    async def rows(self) -> list[Row]:
        async with open_store(self.store) as store:
            return await list_runs(store)


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path, write_script(tmp_path / "model.toml", [draft(TRIPLE), draft(RIGHT)]))


@pytest.fixture
def slow(tmp_path: Path) -> Served:
    """Return a server whose model takes its time for the second turn."""
    replies, delays = [draft(TRIPLE), draft(RIGHT)], [0.0, SECONDS]
    return Served(tmp_path, write_script(tmp_path / "model.toml", replies, delays=delays))


async def test_a_call_tells_its_progress_and_gives_a_typed_result(served: Served) -> None:
    async with Client(served.parameters) as client:
        (tool,) = (await client.list_tools()).tools
        found = await client.call_tool(tool.name, CALL, progress_callback=served.heard)
    (row,) = await served.rows()
    assert found.structured_content == {
        "outcome": "solved",
        "reason": "2 of 2 tests passed",
        "code": RIGHT.rstrip(),
        "turns": 2,
        "run": row.id,
    }
    assert tool.output_schema is not None
    assert set(tool.output_schema["required"]) == set(found.structured_content)
    assert row.status == "solved"
    nodes = ["coder: done", "executor: done", "judge: 0 of 2 tests passed", "critic: done"]
    assert [message for _, message in served.told] == [
        *(f"turn 1, {node}" for node in nodes),
        *("turn 2, coder: done", "turn 2, executor: done", "turn 2, judge: 2 of 2 tests passed"),
    ]
    grown = [progress for progress, _ in served.told]
    assert grown == sorted(set(grown)), "the protocol asks for a number that always grows"


async def test_calls_at_once_have_runs_of_their_own(served: Served) -> None:
    async with Client(served.parameters) as client:
        calls = (client.call_tool("solve_code", {**CALL, "task": f"{TASK} {n}"}) for n in range(3))
        found = [each.structured_content or {} for each in await asyncio.gather(*calls)]
    assert [each["outcome"] for each in found] == ["solved"] * 3
    rows = await served.rows()
    assert {row.title for row in rows} == {f"{TASK} {n}" for n in range(3)}
    assert {each["run"] for each in found} == {row.id for row in rows}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "task\n  Field required"),
    ({"task": ""}, "at least 1 character"),
    ({"task": TASK, "tests": 7}, "tests\n  Input should be a valid string"),
    ({"task": TASK, "test": TESTS}, "test\n  Extra inputs are not permitted"),
    ({"task": TASK, "tests": "def ("}, "the tests are broken: invalid syntax"),
    ({"task": TASK, "tests": "import a.b"}, "No module named 'a' in the tests"),
    ({"task": TASK, "entry_point": "a b"}, "the entry point 'a b' is not a name"),
]


async def test_wrong_arguments_are_told_in_words_and_no_run_is_made(served: Served) -> None:
    async with Client(served.parameters) as client:
        for arguments, words in WRONG:
            refused = await client.call_tool("solve_code", arguments)
            assert refused.is_error
            (told,) = refused.content
            assert told.type == "text"
            assert words in told.text
        assert await served.rows() == []
        assert not (await client.call_tool("solve_code", CALL)).is_error


@pytest.mark.slow
async def test_a_cancelled_call_leaves_a_run_that_resumes(slow: Served) -> None:
    async with Client(slow.parameters) as client:
        call = asyncio.ensure_future(
            client.call_tool("solve_code", CALL, progress_callback=slow.heard)
        )
        await asyncio.wait_for(slow.criticized.wait(), SECONDS)
        call.cancel()
        for _ in range(int(SECONDS / 0.1)):
            if (await slow.rows())[0].status != "running":
                break
            await asyncio.sleep(0.1)
        assert (await client.list_tools()).tools, "the server goes on"
    await check_resumes(slow)


DYING = """
import asyncio
import sys
from pathlib import Path

from tests.test_mcp import CALL, Served
from mcp import Client


async def heard(progress, total, message):
    print(message, flush=True)


async def main():
    served = Served(Path(sys.argv[1]), sys.argv[2])
    async with Client(served.parameters) as client:
        await client.call_tool("solve_code", CALL, progress_callback=heard)


asyncio.run(main())
"""


@pytest.mark.slow
async def test_the_server_of_a_client_that_was_killed_ends_without_a_word(slow: Served) -> None:
    assert await asyncio.to_thread(kill_a_client, slow) == b""
    await check_resumes(slow)


def kill_a_client(served: Served) -> bytes:
    """Kill a client in the second turn of its call; return what its server wrote to stderr."""
    command = [sys.executable, "-c", DYING, str(served.folder), served.model]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        assert client.stdout is not None and client.stderr is not None
        assert any(b"critic" in line for line in client.stdout)
        client.kill()
        return client.stderr.read()  # The server has the client's stderr: this waits for its end.


async def check_resumes(served: Served) -> None:
    """Check that the only run is interrupted in its second turn and can be resumed."""
    (row,) = await served.rows()
    assert row.status == "interrupted"
    write_script(served.folder / "model.toml", [draft(TRIPLE), draft(RIGHT)])
    command = Command(served.folder, warm)
    done = await asyncio.to_thread(command, "resume", row.id, "--store", served.store)
    assert (done.status, done.stdout.strip()) == (0, RIGHT.strip()), done.stderr
