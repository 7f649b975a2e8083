"""Endpoint failures, odd and huge answers, the circuit breaker, and the cost of calls."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.graph.runs import advance, create_run, open_run
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import read
from opencodeinterpreter.testing import ScriptedRunner, ran
from opencodeinterpreter.testing.openai_server import (
    GARBAGE,
    NO_CHOICES,
    Hangup,
    OpenAIServer,
    Raw,
    Refusal,
    Reply,
    Silence,
    Step,
)
from opencodeinterpreter.tools.errors import ModelError
from opencodeinterpreter.tools.models.breaker import Breaker
from opencodeinterpreter.tools.models.faults import AttemptFailed, Fault
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.prices import Price
from opencodeinterpreter.tools.models.protocol import Message, Model, Position, Request, Usage

DOWN = Fault(text="connection refused", advice="start it", transient=True, down=True)
BUSY = Fault(text="HTTP 429", advice="wait", transient=True)


def request() -> Request:
    at = Position(turn=1, role="coder", number=1)
    return Request(messages=(Message(role="user", content="hello"),), at=at)


@asynccontextmanager
async def served(
    script: Sequence[Step], options: ModelOptions
) -> AsyncIterator[tuple[Model, OpenAIServer]]:
    async with OpenAIServer(script) as server:
        specs: Mapping[Any, str] = {"coder": f"openai:tiny@{server.url}"}
        async with open_models(specs, options) as models:
            yield models["coder"], server


async def test_an_endpoint_that_is_down_is_one_clear_error_for_all_callers() -> None:
    async with served([Refusal(503, "gone")], ModelOptions(retries=3)) as (model, server):
        calls = [model.complete(request()) for _ in range(32)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, ModelError) for result in results)
        async with asyncio.timeout(60):
            while "the server is down: " not in await told(model):
                pass
        asked = len(server.requests)
        assert len({await told(model) for _ in range(20)}) == 1
        assert len(server.requests) == asked


async def told(model: Model) -> str:
    with pytest.raises(ModelError) as caught:
        await model.complete(request())
    return str(caught.value)


async def test_many_callers_survive_a_short_outage() -> None:
    script: list[Step] = [Refusal(503)] * 32
    async with served([*script, "well"], ModelOptions(retries=3)) as (model, _):
        answers = await asyncio.gather(*(model.complete(request()) for _ in range(32)))
    assert {answer.text for answer in answers} == {"well"}


def test_a_breaker_lets_one_attempt_through_after_its_rest_and_closes() -> None:
    breaker = Breaker(failures=2, patience_seconds=0, rest_seconds=0)
    breaker.note(DOWN)
    breaker.check()
    breaker.note(DOWN)
    breaker.check()
    breaker.note(None)
    breaker.note(DOWN)
    breaker.check()


def test_a_breaker_stays_open_while_it_rests() -> None:
    breaker = Breaker(failures=2, patience_seconds=0, rest_seconds=3600)
    for _ in range(2):
        breaker.check()
        breaker.note(DOWN)
    with pytest.raises(AttemptFailed, match="connection refused"):
        breaker.check()


def test_a_busy_server_is_not_down() -> None:
    breaker = Breaker(failures=2, patience_seconds=0, rest_seconds=3600)
    for _ in range(9):
        breaker.note(BUSY)
    breaker.check()


async def test_an_answer_of_ten_megabytes_arrives_whole() -> None:
    text = "x" * 10_000_000
    async with served([text], ModelOptions(retries=0)) as (model, _):
        assert (await model.complete(request())).text == text


async def test_an_empty_message_is_an_empty_answer() -> None:
    async with served([Reply("")], ModelOptions(retries=0)) as (model, _):
        response = await model.complete(request())
    assert (response.text, response.finish) == ("", "stop")


@pytest.mark.parametrize(
    "fault", [Hangup(in_body=True), Raw('{"choices": [{"mess', cut=True), Refusal(502, "proxy")]
)
async def test_a_connection_closed_in_mid_answer_is_retried(fault: Step) -> None:
    async with served([fault, "well"], ModelOptions(retries=2)) as (model, _):
        response = await model.complete(request())
    assert (response.text, response.attempts) == ("well", 2)


async def test_cost_is_counted_if_the_price_is_known() -> None:
    async with OpenAIServer([Reply("two words", cached_tokens=4)]) as server:
        spec = f"openai:tiny@{server.url}"
        options = ModelOptions(prices={spec: Price(input=1, output=10, cached=0.5)})
        async with open_models({"coder": spec}, options) as models:
            usage = (await models["coder"].complete(request())).usage
    assert usage and usage.cost == pytest.approx((3 * 1 + 4 * 0.5 + 2 * 10) / 1e6)


async def test_without_a_price_the_cost_is_unknown() -> None:
    async with served([Reply("two words")], ModelOptions()) as (model, _):
        usage = (await model.complete(request())).usage
    assert usage and usage.cost is None


def test_cached_tokens_have_the_input_price_by_default() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=0, cached_tokens=500_000)
    assert Price(input=2, output=1).of(usage) == 2
    assert Price(input=2, output=1, cached=0).of(usage) == 1


def test_more_cached_tokens_than_tokens_give_no_negative_cost() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=0, cached_tokens=5_000_000)
    assert Price(input=2, output=1, cached=0.5).of(usage) == 0.5


def test_settings_without_prices_keep_their_digest_of_before_prices_existed() -> None:
    assert "prices" not in json.dumps(Settings().model_dump(mode="json"))
    priced = Settings(client=ModelOptions(prices={"openai:m": Price(input=1, output=2)}))
    assert priced.digest != Settings().digest
    assert Settings.model_validate(priced.model_dump(mode="json")) == priced


RIGHT = "```python\nprint(3)\n```"
PASSING = ModelOptions(timeout_seconds=30, attempt_seconds=1, retries=1)
FAULTS: Mapping[str, Step] = {
    "half a stream": Hangup(after=3),
    "garbage": GARBAGE,
    "a wrong content type": Raw("<html>hello</html>", "text/html"),
    "closed in mid-answer": Hangup(in_body=True),
    "silence": Silence(),
    "no choices": NO_CHOICES,
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_no_fault_loses_a_run(fault: Step, tmp_path: Path) -> None:
    """Each either fails the run at its node or is retried; the run then ends like a normal one."""
    async with (
        OpenAIServer([fault, fault, RIGHT]) as server,
        open_store(str(tmp_path / "runs.sqlite")) as store,
    ):
        spec = f"openai:tiny@{server.url}"
        chosen = Settings.model_validate({"models": {"coder": spec}})
        row = await create_run(store, task_seed({"prompt": "Print 3."}, chosen))
        async with open_models({"coder": spec}, PASSING) as models:
            graph = build_graph(
                models, ScriptedRunner(default=ran("3\n")), checkpointer=store.saver
            )
            for _ in range(3):
                try:
                    run = await advance(store, graph, row, hear=lambda *_: None)
                    break
                except ModelError:
                    run = await open_run(store, row.id)
                    assert run.failure and run.failure.owner == "model"
        assert run.record.solved and run.record.code == "print(3)"
        assert len(run.record.turns) == 1


async def test_a_run_continues_after_an_empty_message(tmp_path: Path) -> None:
    async with OpenAIServer([Reply(""), RIGHT]) as server:
        chosen = Settings.model_validate({"models": {"coder": f"openai:tiny@{server.url}"}})
        async with open_models(chosen.models) as models:
            graph = build_graph(models, ScriptedRunner(default=ran("3\n")))
            seed: Any = task_seed({"prompt": "Print 3."}, chosen)
            record = read(await graph.ainvoke(seed))
    assert [turn.code for turn in record.turns] == [None, "print(3)"]
