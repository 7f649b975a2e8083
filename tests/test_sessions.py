"""Sessions: programs find what the programs before them left, wherever they run."""

import base64

import pytest

from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.program import Program, Step
from opencodeinterpreter.tools.runner import SandboxRunner, open_runner
from opencodeinterpreter.tools.sandbox.opening import data_modules, named_python

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOAD = "rows = open('sales.csv').read().split()\ntotal = len(rows)"
INPUTS = {"sales.csv": "a,1\nb,2\n"}
FAKE_PYPLOT = """
shown = [7]
def get_fignums(): return shown
def close(which): shown.clear()
class figure:
    def __init__(self, number): pass
    def savefig(self, where, **_): where.write(b"a picture")
"""


async def after(runner: SandboxRunner, code: str, *steps: Step, **fields: object) -> Execution:
    return await runner.run(Program.model_validate({"code": code, "before": steps, **fields}))


async def test_a_program_finds_variables_and_files_of_those_before_it(
    runner: SandboxRunner,
) -> None:
    load = Step(code=LOAD, inputs=INPUTS)
    first = await after(runner, LOAD, inputs=INPUTS)
    assert (first.status, first.artifacts, first.state_lost) == ("ok", (), False)
    write = "open('out.txt', 'w').write(str(total))"
    second = await after(runner, write, load)
    assert [each.path for each in second.artifacts] == ["out.txt"]
    third = await after(runner, "open('out.txt').read()", load, Step(code=write))
    assert [each.text for each in third.results] == ["'2'"]
    assert third.artifacts == ()


async def test_the_state_is_made_again_where_it_is_not_at_hand(runner: SandboxRunner) -> None:
    steps = [Step(code="import random\nx = random.random()"), Step(code="y = [x]")]
    told = [await after(runner, "print(x, y)", *steps) for _ in range(2)]
    assert told[0].logs.stdout == told[1].logs.stdout != ""
    assert not any(each.state_lost for each in told)


@pytest.mark.parametrize(
    "failing", ["x = 5\n1 / 0", "x = 5\nwhile True: pass", "import os\nos._exit(3)"]
)
async def test_a_program_that_fails_leaves_nothing_behind(
    runner: SandboxRunner, failing: str
) -> None:
    limits = SandboxLimits(wall_seconds=2)
    steps = [Step(code=f"x = {len(failing)}")]
    told = await after(runner, failing, *steps, limits=limits)
    assert told.status != "ok"
    assert not told.state_lost
    told = await after(runner, "print(x)", *steps, limits=limits)
    assert told.logs.stdout == f"{len(failing)}\n"
    assert not told.state_lost


async def test_drafts_of_one_turn_do_not_meet(runner: SandboxRunner) -> None:
    steps = [Step(code="x = [0]")]
    told = [await after(runner, f"x.append({n})\nprint(x)", *steps) for n in (1, 2)]
    assert [each.logs.stdout for each in told] == ["[0, 1]\n", "[0, 2]\n"]


async def test_a_step_that_fails_when_it_is_run_again_is_told(runner: SandboxRunner) -> None:
    told = await after(runner, "print(x)", Step(code="x = 1"), Step(code="1 / 0"))
    assert (told.logs.stdout, told.state_lost) == ("1\n", True)


async def test_a_given_file_is_an_artifact_once_it_is_changed(runner: SandboxRunner) -> None:
    load = Step(code=LOAD, inputs=INPUTS)
    change = "open('sales.csv', 'a').write('c,3')"
    told = await after(runner, change, load)
    assert [(each.path, each.size) for each in told.artifacts] == [("sales.csv", 11)]
    told = await after(runner, "print(open('sales.csv').read())", load, Step(code=change))
    assert (told.logs.stdout[-4:], told.artifacts) == ("c,3\n", ())


@pytest.mark.parametrize(
    ("saves", "paths"), [("", ["figure-2.png"]), ("open('own.svg', 'w').write('s')", ["own.svg"])]
)
async def test_open_figures_become_files_unless_the_program_saved_its_own(
    runner: SandboxRunner, saves: str, paths: list[str]
) -> None:
    files = {"matplotlib/__init__.py": "", "matplotlib/pyplot.py": FAKE_PYPLOT}
    told = await after(
        runner,
        f"import matplotlib.pyplot\n{saves}\nNone",
        Step(code="", inputs={"a": "b"}),
        files=files,
    )
    assert [each.path for each in told.artifacts] == paths
    if not saves:
        assert base64.b64decode(told.artifacts[0].content or "") == b"a picture"
        assert told.results == ()


async def test_tables_and_plots_are_at_hand_from_message_to_message() -> None:
    modules = await data_modules(named_python())
    if len(modules) < 3:
        pytest.skip("needs numpy, pandas and matplotlib in the Python of the sandbox")
    load = "import pandas as pd\ndf = pd.read_csv('sales.csv', names=['name', 'n'])"
    plot = "df.plot.bar(x='name', title='All')\nimport matplotlib.pyplot as plt\nplt.show()"
    steps = [Step(code=load, inputs=INPUTS), Step(code=plot)]
    async with open_runner("full", modules) as runner:
        drawn = await after(runner, plot, steps[0])
        told = await after(runner, "print(df['n'].sum())", *steps)
    assert [each.path for each in drawn.artifacts] == ["figure-2.png"]
    assert base64.b64decode(drawn.artifacts[0].content or "").startswith(b"\x89PNG")
    assert (told.logs.stdout, told.artifacts) == ("3\n", ())
