"""The graph that `langgraph.json` names, on the real development server, driven by its SDK."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from tests.doubling import RIGHT, TASK, TESTS, TRIPLE, draft, write_script

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
START_SECONDS = 60.0
RUN_SECONDS = 60.0
TASKS = {"tasks": [{"prompt": TASK, "tests": {"kind": "python", "source": TESTS}}]}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module", params=["one loop", "isolated loops"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    port = free_port()
    environment = {
        **os.environ,
        "OPENCODEINTERPRETER_MODEL": write_script(
            folder / "model.toml", [draft(TRIPLE), draft(RIGHT)]
        ),
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
        "LANGGRAPH_NO_VERSION_CHECK": "true",
        "BG_JOB_ISOLATED_LOOPS": "true" if request.param == "isolated loops" else "false",
    }
    command = [
        str(Path(sys.executable).with_name("langgraph")),
        "dev",
        "--no-browser",
        "--no-reload",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--config", str(ROOT / "langgraph.json")],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}", process, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    began = time.monotonic()
    while time.monotonic() - began < START_SECONDS:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{url}/ok").status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


@pytest.fixture
async def client(url: str) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=url) as opened:
        yield opened


async def run(client: LangGraphClient, thread: str | None = None, **given: Any) -> Any:
    return await asyncio.wait_for(
        client.runs.wait(thread, "opencodeinterpreter", **given), RUN_SECONDS
    )


async def new_thread(client: LangGraphClient) -> str:
    return str((await client.threads.create())["thread_id"])


def verdicts(state: Any) -> list[str]:
    assert "__error__" not in state, state
    return [turn["verdict"]["decision"] for turn in state["turns"]]


async def test_a_run_goes_all_the_way_round_the_loop(client: LangGraphClient) -> None:
    state = await run(client, input=TASKS)
    assert verdicts(state) == ["revise", "solved"]
    assert state["turns"][0]["executions"][0]["tier"] == "full"


async def test_many_runs_at_once_all_end(client: LangGraphClient) -> None:
    states = await asyncio.gather(*(run(client, input=TASKS) for _ in range(10)))
    assert [verdicts(state) for state in states] == [["revise", "solved"]] * 10


async def test_a_person_may_answer_with_a_bare_sentence(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    asked = await run(client, thread, input=TASKS, context={"critic": "human"})
    (interrupt,) = asked["__interrupt__"]
    assert interrupt["value"]["turn"] == 1
    state = await run(client, thread, command={"resume": "You add one time too many."})
    assert verdicts(state) == ["revise", "solved"]


async def test_a_wrong_answer_is_refused_and_the_next_one_goes_on(
    client: LangGraphClient,
) -> None:
    thread = await new_thread(client)
    await run(client, thread, input=TASKS, context={"critic": "human"})
    wrong = {"resume": {"action": "applaud"}}
    refused = await run(client, thread, command=wrong, raise_error=False)
    assert "__error__" in refused
    right = {"resume": {"action": "words", "text": "You add one time too many."}}
    assert verdicts(await run(client, thread, command=right)) == ["revise", "solved"]


async def test_our_own_errors_are_told_in_their_words(client: LangGraphClient) -> None:
    state = await run(client, input=TASKS, context={"critic": "oracle"}, raise_error=False)
    assert "the oracle critic needs a reference solution" in state["__error__"]["message"]
