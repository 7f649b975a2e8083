"""The loop as a chat, alone and in hosts that share its messages; and its small form."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command

from opencodeinterpreter.graph.build import Seams, build_loop
from opencodeinterpreter.graph.chat import ChatGraph, build_chat
from opencodeinterpreter.graph.checking import check_with
from opencodeinterpreter.graph.narrow import build_solve_code
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.nodes.sources import FixedModels
from opencodeinterpreter.nodes.state import read
from opencodeinterpreter.testing import ScriptedModel, draft
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.runner import open_runner
from tests.scripts import RIGHT, WRONG, World, summary

CONFIG: Any = {"configurable": {"thread_id": "t"}}


def seams(world: World) -> Seams:
    return Seams(FixedModels(world.models), world.runner, world.person)


def chat_of(world: World) -> ChatGraph:
    return build_chat(seams(world), checkpointer=InMemorySaver())


async def say(graph: ChatGraph, *said: Any, **named: Any) -> list[Any]:
    given: Any = {"messages": list(said)}
    found: Any = await graph.ainvoke(given, CONFIG, **named)
    return list(found["messages"])


async def test_a_message_is_answered_with_the_code_and_the_outcome() -> None:
    question, answer = await say(chat_of(World()), ("user", "Add two numbers."))
    assert question.text == "Add two numbers."
    assert answer.type == "ai"
    assert answer.text == "```python\nprint(3)\n```\n\nall 2 tests passed.\n\n" + (
        "Solved: 2 of 2 tests passed"
    )


async def test_a_follow_up_sees_what_was_said_before() -> None:
    world = World(coder=ScriptedModel([draft(RIGHT)] * 2))
    graph = chat_of(world)
    await say(graph, ("user", "Add two numbers."))
    messages = await say(graph, HumanMessage([{"type": "text", "text": "Now without a loop."}]))
    assert [message.type for message in messages] == ["human", "ai", "human", "ai"]
    shown = [message.content for message in world.coder.asked[1].messages]
    assert len(shown) == 3
    assert "Add two numbers." in shown[0]
    assert "print(3)" in shown[1]
    assert "Now without a loop." in shown[2]


async def test_what_was_said_to_another_agent_is_seen_too() -> None:
    world = World(coder=ScriptedModel([draft(RIGHT)]))
    before = [("user", "Add two numbers."), ("ai", f"Here:\n```python\n{WRONG}\n```"), ("ai", "")]
    messages = await say(chat_of(world), *before, ("user", "It must print 3."))
    assert len(messages) == 5
    shown = [message.content for message in world.coder.asked[0].messages]
    assert "Add two numbers." in shown[0]
    assert shown[1].startswith("Here:")
    assert "It must print 3." in shown[2]
    assert "your earlier programs" not in shown[2], "none of them ran here"


KEEP = "n = 20\nopen('kept.txt', 'w').write('a file')\n"
FIND = "print(n + 1, open('kept.txt').read())\n"


async def test_a_program_finds_what_those_before_it_left_also_after_a_restart() -> None:
    model, saver = ScriptedModel([draft(KEEP), draft(FIND)]), InMemorySaver()
    for words in ("Keep 20.", "Now one more."):
        async with open_runner("full") as runner:
            graph = build_chat(Seams(FixedModels({"coder": model}), runner), checkpointer=saver)
            messages = await say(graph, ("user", words))
    assert "21 a file" in messages[-1].text
    assert "your earlier programs" in model.asked[1].messages[-1].content


async def test_a_question_may_be_answered_in_words_alone() -> None:
    world = World(coder=ScriptedModel(["It adds two numbers."]))
    assert (await say(chat_of(world), ("user", "What does it do?")))[-1].text == (
        "It adds two numbers."
    )


@pytest.mark.parametrize(
    "said", [[], [("ai", "Hello.")], [("user", " ")], [("user", [{"type": "image", "url": "x"}])]]
)
async def test_a_chat_without_words_of_a_person_is_told_so(said: Any) -> None:
    with pytest.raises(InputError, match="no message of a person with text"):
        await say(chat_of(World()), *said)


async def test_messages_and_record_of_a_chat_are_stored_and_keep_their_ids(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "runs.sqlite")
    async with open_store(path) as store:
        graph = build_chat(seams(World()), checkpointer=store.saver)
        first = await say(graph, ("user", "Add two numbers."))
    async with open_store(path) as store:
        graph = build_chat(seams(World()), checkpointer=store.saver)
        state = (await graph.aget_state(CONFIG)).values
        assert state["messages"] == first
        assert len(read(state).turns) == 3
        again = await say(graph, ("user", "Again."))
    assert [message.id for message in again[:2]] == [message.id for message in first]
    assert len({message.id for message in again}) == 4


async def test_a_person_in_a_chat_is_asked_and_answers() -> None:
    graph = chat_of(World())
    asked: Any = await graph.ainvoke(
        {"messages": [HumanMessage("Add.")]}, CONFIG, context=World().settings(critic="human")
    )
    assert asked["__interrupt__"][0].value["turn"] == 1
    found: Any = await graph.ainvoke(Command(resume={"action": "approve"}), CONFIG)
    assert found["messages"][-1].text.endswith("Solved: approved by a person")


async def test_a_host_with_messages_takes_the_chat_as_a_node() -> None:
    async def thank(state: MessagesState) -> Any:
        return {"messages": [AIMessage(f"Thanks: {state['messages'][-1].text[:9]}")]}

    host = StateGraph(MessagesState)
    host.add_node("coder", build_chat(seams(World())))
    host.add_node("thank", thank)
    host.add_edge(START, "coder")
    host.add_edge("coder", "thank")
    host.add_edge("thank", END)
    graph = host.compile(checkpointer=InMemorySaver())
    for count in (3, 6):
        given: Any = {"messages": [("user", "Add two numbers.")]}
        found = await graph.ainvoke(given, CONFIG)
        assert len(found["messages"]) == count
        assert found["messages"][-1].text == "Thanks: ```python"


async def test_a_task_and_tests_go_in_and_outcome_and_code_come_out() -> None:
    graph = build_solve_code(seams(World()), checkpointer=InMemorySaver())
    given: Any = {"task": "Add two numbers.", "tests": "from solution import add\nassert add"}
    found: Any = await graph.ainvoke(given, CONFIG)
    assert found == {"outcome": "solved", "reason": "2 of 2 tests passed", "code": RIGHT}
    record = read((await graph.aget_state(CONFIG)).values)
    assert len(summary(record)) == 3
    assert record.task.tests is not None
    again: Any = await graph.ainvoke({"task": "Once more."}, CONFIG)
    assert again["outcome"] == "solved"
    assert read((await graph.aget_state(CONFIG)).values).task.tests is None


def test_the_small_schemas_are_these() -> None:
    graph = build_solve_code(seams(World()))
    schema = graph.get_input_jsonschema()
    assert schema["required"] == ["task"]
    assert set(schema["properties"]) == {"task", "tests", "entry_point"}
    assert all(field["description"] for field in schema["properties"].values())
    assert set(graph.get_output_jsonschema()["properties"]) == {"outcome", "reason", "code"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"prompt": "x"}, "the input holds no task"),
        ({"task": "x", "tests": 3}, "the task's tests"),
    ],
)
async def test_a_wrong_small_input_is_told_in_words(given: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        await build_solve_code(seams(World())).ainvoke(given)


WRONG_TESTS = "from solution import add\n\ndef test_add(sums):\n    assert add(1, 2) == 3\n"


@pytest.mark.parametrize("form", ["the whole record", "the small form"])
async def test_wrong_tests_are_refused_before_the_coder_is_asked(form: str) -> None:
    coder = ScriptedModel([draft(RIGHT)])
    task: Any = {"prompt": "Add two numbers.", "tests": WRONG_TESTS}
    async with open_runner("full") as runner:
        models = FixedModels({"coder": coder})
        wired = Seams(models, runner, check=partial(check_with, runner))
        graph: Any = build_loop(wired)
        given: Any = {"tasks": [task]}
        if form == "the small form":
            graph, given = build_solve_code(wired), {"task": task["prompt"], "tests": WRONG_TESTS}
        with pytest.raises(InputError, match="fixture 'sums' not found"):
            await graph.ainvoke(given)
    assert coder.asked == []
