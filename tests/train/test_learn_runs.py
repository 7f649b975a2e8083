"""The runs that `make learn` learns from: their order, their repairs, and who grades them."""

from itertools import islice

import pytest

from learn.language import Kind, Step, clauses_of, program, tasks
from learn.people import fenced
from learn.running import SharedRunner
from learn.runs import dialogues, measure
from opencodeinterpreter.tools.gathering import all_of
from opencodeinterpreter.tools.grading.tests import CallCase, CaseTests
from opencodeinterpreter.tools.models.protocol import Request, Response
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import SandboxRunner

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES = CaseTests(cases=(CallCase(args=([1, 2],), expected=[2]), CallCase(args=([],), expected=[])))
WRITTEN = {
    "def f(xs):\n    return xs[1:]": ["passed", "passed"],
    "def f(xs):\n    return [2]": ["failed"],
    "def f(xs):\n    return [2] if xs else xs[0]": ["failed"],
    "def g(xs):\n    return xs": ["failed"],
    "def f(xs) return": ["failed"],
}


class Usual:
    """Takes every clause as usual, and never learns."""

    spec = "scripted:usual"

    async def complete(self, request: Request) -> Response:
        steps = tuple(map(Step, clauses_of(request.messages[0].content)))
        return Response(text=fenced(program(steps)), model=self.spec)


async def test_a_dialogue_is_a_run_in_the_order_of_its_task(runner: SandboxRunner) -> None:
    chosen = list(islice(tasks(Kind("train"), "order"), 24))
    found = await dialogues(Usual(), runner, [(task, "execution") for task in chosen])
    assert [each.messages[0].content for each in found] == [task.prompt for task in chosen]
    for dialogue, task in zip(found, chosen, strict=True):
        if dialogue.answers == 2:
            feedback, repair = dialogue.messages[-2:]
            assert feedback.content.startswith("Execution result: 1 of 1 tests did not pass.")
            assert repair.content.endswith(fenced(task.code))
    assert {each.answers for each in found} == {1, 2}


async def test_who_never_learns_repairs_nothing(runner: SandboxRunner) -> None:
    found = await measure(Usual(), runner, list(islice(tasks(Kind("test"), "0"), 24)))
    assert 0 < found.single < found.tasks
    assert set(found.repaired.values()) == {0}


async def test_programs_that_run_together_are_graded_as_alone(runner: SandboxRunner) -> None:
    shared = SharedRunner(runner)
    programs = [Program(code=code, entry_point="f", tests=CASES) for code in WRITTEN]
    together = await all_of([shared.run(each) for each in programs])
    outcomes = [[test.status for test in each.tests or ()] for each in together]
    assert outcomes == list(WRITTEN.values())
    for code, statuses in WRITTEN.items():
        alone = await runner.run(Program(code=code, entry_point="f", tests=CASES))
        passed = all(test.status == "passed" for test in alone.tests or ())
        assert passed == (set(statuses) == {"passed"})
    messages = [test.message for test in together[1].tests or ()]
    assert messages == ["returned [2], expected []"]


async def test_one_that_does_not_end_fails_alone(runner: SandboxRunner) -> None:
    codes = ["def f(xs):\n    while True: pass", *WRITTEN]
    shared = SharedRunner(runner)
    programs = [Program(code=code, entry_point="f", tests=CASES) for code in codes]
    first, *others = await all_of([shared.run(each) for each in programs])
    assert [test.status for test in first.tests or ()] == ["failed"]
    outcomes = [[test.status for test in each.tests or ()] for each in others]
    assert outcomes == list(WRITTEN.values())
