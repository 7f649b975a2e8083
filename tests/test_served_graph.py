"""The graph that `langgraph.json` names, on the real development server, driven by its SDK."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from tests.doubling import RIGHT, TASK, TESTS, TRIPLE, draft, write_script
from tests.langgraph_server import serving

pytestmark = pytest.mark.slow

RUN_SECONDS, LOOK_SECONDS = 100.0, 0.1
TASKS = {"tasks": [{"prompt": TASK, "tests": {"kind": "python", "source": TESTS}}]}


@pytest.fixture(scope="module", params=["one loop", "isolated loops"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    model = write_script(folder / "model.toml", [draft(TRIPLE), draft(RIGHT)])
    isolated = "true" if request.param == "isolated loops" else "false"
    with serving(folder, model, BG_JOB_ISOLATED_LOOPS=isolated) as server:
        yield server.url


@pytest.fixture
async def client(url: str) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=url) as opened:
        yield opened


async def run(client: LangGraphClient, thread: str | None = None, **given: Any) -> Any:
    """Make a run and return its end.

    With isolated loops, the development server wakes a waiting request from another loop's thread,
    and some requests sleep on. So the run's status is asked, and its end only once it is there.
    """
    thread = thread or await new_thread(client)
    made = await client.runs.create(thread, "opencodeinterpreter", **given)
    for _ in range(int(RUN_SECONDS / LOOK_SECONDS)):
        found = await client.runs.get(thread, made["run_id"])
        if found["status"] not in ("pending", "running"):
            return await client.runs.join(thread, made["run_id"])
        await asyncio.sleep(LOOK_SECONDS)
    raise AssertionError(f"the run has not ended: {found}")


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
    refused = await run(client, thread, command=wrong)
    assert "__error__" in refused
    right = {"resume": {"action": "words", "text": "You add one time too many."}}
    assert verdicts(await run(client, thread, command=right)) == ["revise", "solved"]


async def test_our_own_errors_are_told_in_their_words(client: LangGraphClient) -> None:
    state = await run(client, input=TASKS, context={"critic": "oracle"})
    assert "the oracle critic needs a reference solution" in state["__error__"]["message"]
