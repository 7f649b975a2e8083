"""A chat as a run: messages are tasks, its session is made again, branches keep the stem."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.graph.follow_up import begin_chat, branch_after, follow_up
from opencodeinterpreter.graph.runs import Run, advance, create_run, open_run
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import Row
from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.testing import ScriptedModel, draft
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.protocol import Model
from opencodeinterpreter.tools.runner import SandboxRunner
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox
from opencodeinterpreter.traces.importing import import_trace
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import read_trace, trace_of
from tests.chatting import CHAT, RATES, REPLIES, SALES, TOLD

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = Settings(models={"coder": "scripted:test"})
FILES: dict[int, dict[str, str]] = {0: {"sales.csv": SALES}, 5: {"rates.csv": RATES}}


class Killed(BaseException):
    """Stands for the death of the process: no code of ours handles it."""


@dataclass
class Chatting:
    """A chat over a store, whose graph is made anew for each message, as after a crash."""

    store: Store
    sandbox: LocalSandbox
    model: Model = field(default_factory=lambda: ScriptedModel(REPLIES))
    row: Row | None = None

    def __post_init__(self) -> None:
        self.runner = SandboxRunner(self.sandbox)

    async def say(self, message: str, files: dict[str, Any] | None = None) -> Run:
        if self.row is None:
            self.row = await begin_chat(self.store, SETTINGS, message, files or {})
        else:
            self.row = await follow_up(self.store, self.row, message, files or {})
        return await self.go_on()

    async def go_on(self, on_record: Callable[[Record], None] | None = None) -> Run:
        assert self.row
        graph = build_graph({"coder": self.model}, self.runner, checkpointer=self.store.saver)
        return await advance(self.store, graph, self.row, on_record=on_record)

    async def whole(self, messages: int = len(CHAT)) -> Run:
        for number, (message, _) in enumerate(CHAT[:messages]):
            run = await self.say(message, FILES.get(number))
        return run


@pytest_asyncio.fixture(loop_scope="module")
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(str(tmp_path / "runs.sqlite")) as opened:
        yield opened


@pytest.fixture
def chat(store: Store, sandbox: LocalSandbox) -> Chatting:
    return Chatting(store, sandbox)


def told(record: Record) -> list[Any]:
    """Return what each turn did: its task, code, end, output and files."""
    return [
        (
            turn.task,
            turn.code,
            run and run.status,
            run and run.logs.stdout,
            run and [(each.path, each.sha256) for each in run.artifacts],
            turn.outcome and turn.outcome.decision,
        )
        for turn in record.turns
        for run in [turn.execution]
    ]


async def test_ten_messages_share_variables_and_files_and_replay(chat: Chatting) -> None:
    run = await chat.whole()
    assert (run.row.status, len(run.record.tasks), len(run.record.turns)) == ("solved", 10, 11)
    printed = [turn.execution and turn.execution.logs.stdout for turn in run.record.turns]
    for text, wanted in zip(printed, TOLD, strict=True):
        assert wanted is ... or text == wanted
    replayed = await replay(trace_of(run))
    assert replayed.identical, replayed


async def test_the_coder_sees_what_was_said_and_what_the_programs_gave(chat: Chatting) -> None:
    await chat.whole(6)
    assert isinstance(chat.model, ScriptedModel)
    last = [message.content for message in chat.model.asked[-1].messages]
    assert last[1] == REPLIES[0]
    assert last[2].startswith("Execution result: The program's output:\n4 rows\n\nTotal by month.")
    assert "The program wrote: months.png" in last[6]
    assert last[8].startswith("Now only Europe.")  # words gave no result
    assert "KeyError: 'continent'" in last[10]
    assert "rates.csv (30 bytes)" in last[-1]


@pytest.mark.parametrize("parts", range(1, 8))
async def test_a_chat_that_is_cut_after_any_node_goes_on_to_the_same_end(
    store: Store, sandbox: LocalSandbox, parts: int
) -> None:
    """The fifth message has two turns and seven parts; its session is made again each time."""
    whole = await Chatting(store, sandbox).whole()
    cut = Chatting(store, sandbox)
    await cut.whole(4)
    assert cut.row
    cut.row = await follow_up(store, cut.row, CHAT[4][0], {})
    left = parts

    def kill(_: Record) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed

    with pytest.raises(Killed):
        await cut.go_on(kill)
    cut.runner = SandboxRunner(sandbox)  # it has no contexts of the programs before
    await cut.go_on()
    for number, (message, _) in enumerate(CHAT[5:], 5):
        run = await cut.say(message, FILES.get(number))
    assert told(run.record) == told(whole.record)
    assert (await replay(trace_of(run))).identical


async def test_a_branch_keeps_the_stem_and_the_session_and_leaves_its_parent(
    chat: Chatting, store: Store
) -> None:
    parent = await chat.whole(6)
    for message in (1, 3, 5):
        row = await branch_after(store, parent.row, message)
        assert (row.parent, row.status) == (parent.row.id, "solved")
        stem = (await open_run(store, row.id)).record
        assert told(stem) == told(parent.record)[: len(stem.turns)]
        coder = ScriptedModel([draft(f"print(len(rows), {message})")])
        run = await Chatting(store, chat.sandbox, coder, row).say("And how many?")
        assert run.record.turns[-1].execution
        assert run.record.turns[-1].execution.logs.stdout == f"4 {message}\n"
        assert (await replay(trace_of(run))).identical
    assert (await open_run(store, parent.row.id)).record == parent.record
    for message in (0, 7):
        with pytest.raises(InputError, match=f"has no message {message}; it has 6"):
            await branch_after(store, parent.row, message)


async def test_a_chat_travels_as_a_trace(chat: Chatting, store: Store, tmp_path: Path) -> None:
    run = await chat.whole(6)
    lines = list(trace_of(run).lines())
    assert read_trace(lines, "trace").record == run.record
    async with open_store(str(tmp_path / "other.sqlite")) as other:
        row = await import_trace(other, read_trace(lines, "trace"))
        there = Chatting(other, chat.sandbox, row=row)
        more = await there.say(*CHAT[6][:1])
        assert more.record.turns[-1].execution
        assert more.record.turns[-1].execution.status == "ok"


async def test_a_message_on_a_run_that_has_not_ended_is_refused(
    chat: Chatting, store: Store
) -> None:
    row = await begin_chat(store, SETTINGS, "Load.", {})
    with pytest.raises(InputError, match=f"run {row.short} has not ended"):
        await follow_up(store, row, "And?", {})
    assert (await open_run(store, row.id)).record.tasks[-1].number == 1


async def test_any_run_can_be_talked_to(store: Store, sandbox: LocalSandbox) -> None:
    row = await create_run(store, task_seed({"prompt": "Define f."}, SETTINGS))
    chat = Chatting(store, sandbox, ScriptedModel([draft("f = 5"), draft("print(f)")]), row)
    await chat.go_on()
    run = await chat.say("Print it.")
    assert run.record.turns[-1].execution
    assert run.record.turns[-1].execution.logs.stdout == "5\n"
    assert (await replay(trace_of(run))).identical


async def test_words_answer_a_message_but_not_an_error(store: Store, sandbox: LocalSandbox) -> None:
    said = ["Hello.", draft("x = 1 / 0"), "I cannot.", draft("print(1)")]
    chat = Chatting(store, sandbox, ScriptedModel(said))
    run = await chat.say("Hello?")
    assert run.record.solved
    run = await chat.say("Divide.")
    assert [turn.outcome and turn.outcome.decision for turn in run.record.current] == [
        "revise",
        "revise",
        "solved",
    ]
