"""Context overflow: recognised for each server, shortened, recorded, replayed."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.graph.runs import Run
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.rows import Row
from opencodeinterpreter.nodes.conversation import conversation, droppable
from opencodeinterpreter.nodes.prompts import installed_prompts
from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import read
from opencodeinterpreter.testing.openai_server import OpenAIServer, Refusal, Reply, Step
from opencodeinterpreter.tools.errors import ContextOverflow
from opencodeinterpreter.tools.execution import Execution, ExecutionError
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.models.protocol import Message
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import Trace, read_trace, trace_of

VLLM = Refusal(
    400,
    "This model's maximum context length is 2048 tokens. However, your prompt contains at least "
    "2049 input tokens, which exceeds this limit even without any output tokens.",
)
LLAMA = Refusal(
    400, "request (9030 tokens) exceeds the available context size (2048 tokens), try increasing it"
)
OPENAI = Refusal(
    400, "Your input exceeds the context window of this model.", code="context_length_exceeded"
)
OPENAI_OLDER = Refusal(
    400, "This model's maximum context length is 8192 tokens, however you requested 9000 tokens"
)
PROMPTS = installed_prompts()
TIME = "2026-01-01T00:00:00+00:00"
TASK = {"prompt": "Print a number.", "tests": None}


class FailingRunner:
    """Every program ends with a different error, so that no run gets stuck or is solved."""

    def __init__(self) -> None:
        self.ran = 0

    async def run(self, program: Program) -> Execution:
        self.ran += 1
        error = ExecutionError(name="ValueError", value=str(self.ran), traceback="")
        return Execution(status="error", exit_code=1, error=error, seconds=0.1)


def draft(number: int) -> str:
    return f"```python\nprint({number})\n```"


async def run(script: Sequence[Step], turns: int) -> tuple[Record, OpenAIServer]:
    """Run one task for `turns` turns against a server that follows `script`."""
    async with OpenAIServer(script) as server:
        specs: Any = {"coder": f"openai:tiny@{server.url}"}
        settings = Settings.model_validate({"models": specs, "limits": {"turns": turns}})
        async with open_models(specs) as models:
            graph = build_graph(models, FailingRunner())
            seed = cast(Any, task_seed(TASK, settings))
            return read(await graph.ainvoke(seed)), server


def sent(server: OpenAIServer) -> list[list[str]]:
    """Return the numbers of the drafts in each request."""
    found = []
    for received in server.requests:
        said = [m["content"] for m in received.body["messages"] if m["role"] == "assistant"]
        found.append([text.split("(")[1].split(")")[0] for text in said])
    return found


def dropped(record: Record) -> list[int]:
    return [turn.draft.call.dropped for turn in record.turns if turn.draft and turn.draft.call]


def trace(record: Record) -> Trace:
    run_id = "00000000-0000-4000-8000-000000000000"
    row = Row(run_id, None, None, "t", "unsolved", len(record.turns), 0, TIME, TIME)
    whole = trace_of(Run(row, record, "end"))
    return read_trace(whole.lines(), "again")


@pytest.mark.parametrize("words", [VLLM, LLAMA, OPENAI, OPENAI_OLDER])
async def test_the_oldest_middle_turns_are_left_out_and_that_is_recorded(words: Refusal) -> None:
    script: list[Step] = [draft(1), draft(2), draft(3), words, words, draft(4), draft(5)]
    record, server = await run(script, turns=5)
    assert sent(server) == [
        [],
        ["1"],
        ["1", "2"],
        ["1", "2", "3"],
        ["2", "3"],
        ["3"],
        ["3", "4"],
    ]
    assert all("Print a number." in r.body["messages"][0]["content"] for r in server.requests)
    assert dropped(record) == [0, 0, 0, 2, 2]
    assert (await replay(trace(record))).identical


async def test_an_answer_cut_by_the_context_is_retried_with_a_shorter_conversation() -> None:
    """Servers silently lower `max_tokens` if the prompt leaves less room."""
    cut = Reply("half a draft", finish="length")
    record, server = await run([draft(1), draft(2), cut, draft(3)], turns=3)
    assert sent(server)[-2:] == [["1", "2"], ["2"]]
    call = record.turns[-1].drafts[0].call if record.turns[-1].drafts else None
    assert call and (call.dropped, call.finish, call.attempts) == (1, "stop", 2)
    assert call.usage and call.usage.input_tokens == 14
    assert (await replay(trace(record))).identical


async def test_a_cut_answer_is_kept_if_nothing_can_be_left_out() -> None:
    record, _ = await run([Reply("half a draft", finish="length")], turns=1)
    call = record.turns[0].drafts[0].call if record.turns[0].drafts else None
    assert call and (call.dropped, call.finish) == (0, "context")


async def test_an_overflow_is_an_error_if_nothing_can_be_left_out() -> None:
    with pytest.raises(ContextOverflow, match="longer than the model's context"):
        await run([draft(1), VLLM], turns=2)


async def test_reaching_max_tokens_is_not_an_overflow() -> None:
    full = Reply(" ".join(["word"] * 1024), finish="length")
    record, server = await run([draft(1), draft(2), full], turns=3)
    assert len(server.requests) == 3
    call = record.turns[-1].drafts[0].call if record.turns[-1].drafts else None
    assert call and (call.finish, call.dropped) == ("length", 0)


async def test_earlier_tasks_are_left_out_first_except_their_last_exchange() -> None:
    record, _ = await run([draft(1), draft(2), draft(3)], turns=3)
    second = await run([draft(4), draft(5), draft(6)], turns=3)
    shifted = [
        turn.model_copy(update={"number": turn.number + 3, "task": 2}) for turn in second[0].turns
    ]
    both = Record(
        tasks=(record.task, record.task.model_copy(update={"number": 2, "prompt": "Another."})),
        settings={**record.settings, **second[0].settings},
        texts={**record.texts, **second[0].texts},
        turns=(*record.turns, *shifted),
    )
    assert droppable(both, before=7) == 5
    left = [shown(conversation(both, PROMPTS, before=7, dropped=n)) for n in range(6)]
    assert left == [
        "Print 1 2 3 Another 4 5 6",
        "Print 2 3 Another 4 5 6",
        "Print 3 Another 4 5 6",
        "Another 4 5 6",
        "Another 5 6",
        "Another 6",
    ]


def shown(messages: Sequence[Message]) -> str:
    """Return the tasks and drafts of a conversation in order."""
    found = []
    for message in messages:
        if message.role == "assistant":
            found.append(message.content.split("(")[1].split(")")[0])
        elif "Execution result" not in message.content:
            found.append("Another" if "Another" in message.content else "Print")
    return " ".join(found)
