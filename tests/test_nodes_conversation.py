"""The coder's conversation has the format of the paper."""

import pytest

from opencodeinterpreter.nodes.conversation import task_message
from opencodeinterpreter.nodes.prompts import installed_prompts
from opencodeinterpreter.nodes.records import Task
from opencodeinterpreter.nodes.stub import is_stub
from opencodeinterpreter.testing import ScriptedModel, ScriptedPerson, draft, graded
from opencodeinterpreter.tools.grading.tests import CallCase, CaseTests, PythonTests, StdinCase
from opencodeinterpreter.tools.models.protocol import Message
from opencodeinterpreter.tools.person import PersonAnswer
from tests.scripts import BETTER, RIGHT, TASK, THREE_TURNS, WRONG, World

STUB = 'def double(n):\n    """Return twice n."""\n'
PROMPTS = installed_prompts()


def roles(messages: tuple[Message, ...]) -> str:
    """Return the first letters of the messages' roles."""
    return "".join(message.role[0] for message in messages)


async def test_task_response_and_result_take_turns() -> None:
    world = World()
    await world.solve()
    asked = [request.messages for request in world.coder.asked]
    assert [roles(messages) for messages in asked] == ["u", "uau", "uauau"]
    assert "Add two numbers." in asked[0][0].content
    assert [message.content for message in asked[2][1::2]] == list(THREE_TURNS[:2])


async def test_each_question_extends_the_one_before() -> None:
    world = World()
    await world.solve()
    first, second, third = (request.messages for request in world.coder.asked)
    assert second[: len(first)] == first
    assert third[: len(second)] == second


async def test_the_execution_critic_hands_over_the_result_verbatim() -> None:
    world = World()
    await world.solve()
    assert world.coder.asked[1].messages[-1].content == (
        "Execution result: 2 of 2 tests did not pass.\n"
        "- test 1: failed\n  expected 4, got 5\n- test 2: failed\n  expected 4, got 5"
    )


async def test_a_simulated_critics_words_come_before_the_result() -> None:
    world = World(critic=ScriptedModel(["It is wrong for 2."]))
    await world.solve(critic="simulated")
    said = world.coder.asked[1].messages[-1].content
    assert said.startswith("It is wrong for 2.\n\nWhat happened when it ran: 2 of 2 tests")


async def test_a_persons_edit_appears_as_the_coders_own_answer() -> None:
    person = ScriptedPerson(
        PersonAnswer(action="edit", text=BETTER), PersonAnswer(action="words", text="More.")
    )
    world = World(person=person)
    await world.solve(critic="human")
    messages = world.coder.asked[1].messages
    assert roles(messages) == "uauau"
    assert messages[2].content == PROMPTS["edited_code"]
    assert messages[3].content == f"```python\n{BETTER}\n```"
    assert messages[4].content == "More."


async def test_a_response_without_code_is_part_of_the_conversation() -> None:
    world = World(coder=ScriptedModel(["I would rather not.", draft(RIGHT)]))
    await world.solve()
    messages = world.coder.asked[1].messages
    assert messages[1].content == "I would rather not."
    assert messages[2].content.startswith("Execution result: no code block was found")


async def test_of_several_drafts_the_chosen_one_is_shown() -> None:
    drafts = [draft(WRONG), draft(BETTER)]
    world = World(coder=ScriptedModel([drafts, draft(RIGHT)]))
    await world.solve(drafts=2)
    assert world.coder.asked[2].messages[1].content == draft(BETTER)


async def test_earlier_tasks_of_a_thread_come_first() -> None:
    coder = ScriptedModel([draft(WRONG), draft(RIGHT), draft("print(4)")])
    world = World(coder=coder)
    first = await world.solve()
    tasks = [*(task.model_dump(mode="json") for task in first.tasks), {"prompt": "Now three."}]
    record = await world.drive({**first.model_dump(mode="json"), "tasks": tasks})
    messages = coder.asked[-1].messages
    assert roles(messages) == "uauau"
    assert "Add two numbers." in messages[0].content
    assert messages[3].content == draft(RIGHT)
    assert "Now three." in messages[4].content
    assert [turn.task for turn in record.turns] == [1, 1, 2]


async def test_a_system_prompt_comes_first_where_there_is_one() -> None:
    world = World()
    await world.solve(prompts={**PROMPTS, "coder_system": "You write Python."})
    assert [roles(request.messages) for request in world.coder.asked] == ["su", "suau", "suauau"]


def test_a_function_stub_is_completed_and_words_are_a_task() -> None:
    assert is_stub(STUB)
    assert is_stub(f"import math\n\n{STUB}")
    assert not is_stub("Add two numbers.")
    assert not is_stub("print")
    assert STUB in task_message(Task(prompt=STUB), PROMPTS)
    assert "Complete this Python function." in task_message(Task(prompt=STUB), PROMPTS)


def test_words_come_with_the_tests_that_must_hold() -> None:
    tests = PythonTests(source="assert add(1, 2) == 3\n")
    message = task_message(Task(prompt="Add two numbers.", tests=tests), PROMPTS)
    assert "Add two numbers." in message
    assert "assert add(1, 2) == 3" in message


SHOWN = "The code must satisfy this, which is run separately, so leave it out of your reply:"
AS_ASSERTIONS = {
    "assertions at the top": "from solution import f\n\nassert f(1) == 2\nassert f(2) == 3\n",
    "one line": "from solution import f; assert f(1) == 2; assert f(2) == 3",
    "test functions": (
        "from solution import f\n\ndef test_one():\n    assert f(1) == 2\n\n"
        "def test_two():\n    'Two.'\n    assert f(2) == 3\n"
    ),
    "imports": "import math\nfrom solution import f\n\nassert f(1) == 2\nassert f(2) == 3\n",
}
AS_THEY_STAND = {
    "another name": "from solution import f as g\nassert g(1) == 2\n",
    "a value before": "from solution import f\n\nx = 1\nassert f(x) == 2\n",
    "a fixture": "from solution import f\n\ndef test_one(tmp_path):\n    assert f(tmp_path)\n",
    "a decorator": "import pytest\n\n@pytest.mark.slow\ndef test_one():\n    assert f(1)\n",
    "a loop": "from solution import f\n\nfor n in range(3):\n    assert f(n) == n + 1\n",
    "an exception": "def test_one():\n    with pytest.raises(ValueError):\n        f(-1)\n",
    "a class": "class TestF:\n    def test_one(self):\n        assert f(1) == 2\n",
    "a long sum": f"assert f() == {' + '.join(['1'] * 3000)}\n",
}


@pytest.mark.parametrize("kind", AS_ASSERTIONS)
def test_a_test_file_of_assertions_is_shown_as_assertions(kind: str) -> None:
    task = Task(prompt="Write f.", tests=PythonTests(source=AS_ASSERTIONS[kind]))
    shown = task_message(task, PROMPTS).partition(SHOWN)[2]
    assert shown == "\n\n```\nassert f(1) == 2\nassert f(2) == 3\n```"


@pytest.mark.parametrize("kind", AS_THEY_STAND)
def test_a_test_file_with_more_is_shown_as_it_stands(kind: str) -> None:
    task = Task(prompt="Write f.", tests=PythonTests(source=AS_THEY_STAND[kind]))
    shown = task_message(task, PROMPTS).partition(SHOWN)[2]
    assert shown == f"\n\n```\n{AS_THEY_STAND[kind].strip()}\n```"


def test_a_recorded_prompt_shows_the_whole_test_file_as_before() -> None:
    source = AS_ASSERTIONS["test functions"]
    prompts = {**PROMPTS, "task_examples": "\n$examples"}
    message = task_message(Task(prompt="Write f.", tests=PythonTests(source=source)), prompts)
    assert message.endswith(f"\n{source.strip()}")


def test_some_call_cases_are_shown_as_calls_of_the_entry_point() -> None:
    cases = tuple(CallCase(args=(number, "x"), expected=[number]) for number in range(5))
    task = Task(prompt="Do it.", entry_point="f", tests=CaseTests(cases=cases))
    message = task_message(task, PROMPTS)
    assert "f(0, 'x') == [0]" in message
    assert message.count("f(") == 3


def test_some_stdin_cases_are_shown_as_input_and_output() -> None:
    tests = CaseTests(cases=(StdinCase(stdin="1 2\n", stdout="3\n"),))
    message = task_message(Task(prompt="Do it.", tests=tests), PROMPTS)
    assert 'input "1 2\\n" prints "3\\n"' in message


async def test_what_the_task_shows_reaches_the_coder_and_the_runner_alike() -> None:
    tests = {"kind": "python", "source": "assert add(1, 2) == 3"}
    world = World(coder=ScriptedModel([draft(RIGHT)]))
    record = await world.solve({**TASK, "tests": tests, "entry_point": "add"})
    assert "assert add(1, 2) == 3" in world.coder.asked[0].messages[0].content
    assert record.turns[0].execution == graded(True, True)
    assert record.task.entry_point == "add"
