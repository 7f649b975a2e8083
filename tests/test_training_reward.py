"""The reward of a run: 1 if its tests solved it, and nothing that a program does changes that."""

from pathlib import Path

import pytest

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.nodes.settings import Limits, Settings
from opencodeinterpreter.nodes.state import TaskInput, read
from opencodeinterpreter.testing import ScriptedModel
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.runner import SandboxRunner
from opencodeinterpreter.traces.training.grpo import check_tested, reward_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHEATS = Path(__file__).parent / "cheats"
TESTS = "from solution import total\nassert total([1, 2, 3]) == 14\nassert total([5]) == 25\n"
TASK: TaskInput = {"prompt": "Write total(numbers), the sum of squares.", "tests": TESTS}
RIGHT = "def total(numbers):\n    return sum(number * number for number in numbers)\n"


async def record_of(runner: SandboxRunner, task: TaskInput, *drafts: str) -> Record:
    replies = [f"```python\n{draft}\n```" for draft in drafts]
    graph = build_graph({"coder": ScriptedModel(replies)}, runner)
    settings = Settings(critic="execution", limits=Limits(turns=2))
    return read(await graph.ainvoke(task_seed(task, settings)))


async def test_a_right_draft_and_a_repaired_one_are_rewarded(runner: SandboxRunner) -> None:
    assert reward_of(await record_of(runner, TASK, RIGHT)) == 1
    assert reward_of(await record_of(runner, TASK, "total = len", RIGHT)) == 1


@pytest.mark.parametrize(
    "name", ["equal_any", "equal_object", "exit_at_import", "exit_in_call", "detects_checker"]
)
async def test_a_cheat_is_not_rewarded(runner: SandboxRunner, name: str) -> None:
    cheat = (CHEATS / f"{name}.py").read_text("utf-8")
    assert reward_of(await record_of(runner, TASK, cheat)) == 0


async def test_a_test_that_the_program_s_own_operator_passes_is_not_rewarded(
    runner: SandboxRunner,
) -> None:
    """A person may accept it; a policy would learn to write `__eq__`."""
    tests = "from solution import Vector\nassert Vector(1, 2) == Vector(1, 2)\n"
    code = "class Vector:\n    def __init__(self, *_): pass\n    def __eq__(self, _): return True\n"
    record = await record_of(runner, {"prompt": "Write Vector.", "tests": tests}, code)
    assert record.solved
    assert reward_of(record) == 0


async def test_a_clean_run_that_nothing_checked_is_not_rewarded(runner: SandboxRunner) -> None:
    record = await record_of(runner, {"prompt": "Write total."}, RIGHT)
    assert record.solved
    assert reward_of(record) == 0
    with pytest.raises(InputError, match="task 'sum' has no tests"):
        check_tested({"sum": {"prompt": "Write total."}})
