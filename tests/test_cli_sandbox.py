"""`--sandbox`: whoever starts a run chooses the sandbox; a stored run never does."""

import asyncio
import importlib.util
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio

from opencodeinterpreter.graph.solve import solve as solve_task
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.sandbox.inside.build import LAYERS, Build
from opencodeinterpreter.tools.sandbox.local.sandbox import open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from opencodeinterpreter.tools.sandbox.opening import SANDBOX_VARIABLE, named_sandbox, open_sandbox
from opencodeinterpreter.tools.sandbox.probe import probe
from tests.command import Command, warm
from tests.doubling import PLUS_TWO, RIGHT, draft, solve, write, write_script
from tests.e2b_fake import KEY, FakeE2B
from tests.test_cli_grade import MBPP, lines


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeE2B]:
    if importlib.util.find_spec("e2b_code_interpreter") is None:
        pytest.skip("needs the extra e2b")
    async with FakeE2B() as serving:
        yield serving


def told_of(fake: FakeE2B, home: Path) -> Command:
    """Return a command whose environment leads to the fake, as it would to an E2B of one's own."""
    urls = {"E2B_API_URL": fake.url, "E2B_SANDBOX_URL": fake.url}
    return Command(home, warm, {"E2B_API_KEY": KEY, **urls})


async def test_a_task_is_solved_and_graded_on_e2b(fake: FakeE2B, tmp_path: Path) -> None:
    command = told_of(fake, tmp_path)
    write_script(tmp_path / "script.toml", [draft(PLUS_TWO), draft(RIGHT)])
    done = await asyncio.to_thread(solve, command, "--sandbox", "e2b")
    assert (done.status, done.stdout) == (0, RIGHT)
    ran = [line for line in done.stderr.splitlines() if "executor" in line]
    assert [line.endswith("(sandbox e2b)") for line in ran] == [True, True]
    about = "one for the check of the tests, two a turn, one for the second run of what passed"
    assert len(fake.sandboxes) == 6, about
    assert fake.alive == []
    run = done.stderr.split()[1].rstrip(":")
    shown = await asyncio.to_thread(command, "show", run)
    assert shown.stdout.count("execution (sandbox e2b): ") == 2
    assert (await asyncio.to_thread(command, "replay", run)).status == 0
    # The run keeps what it did, and no word of where the next code is to run.
    edit = ("--turn", "1", "--code", write(tmp_path / "edit.py", RIGHT), "--json")
    branched = await asyncio.to_thread(command, "branch", run, *edit)
    assert branched.status == 0
    assert json.loads(branched.stdout)["sandboxes"] == ["full"]


async def test_doctor_runs_a_line_on_e2b(fake: FakeE2B, tmp_path: Path) -> None:
    command = told_of(fake, tmp_path)
    done = await asyncio.to_thread(command, "doctor", "--sandbox", "e2b")
    assert (done.status, done.stderr) == (0, "")
    assert "sandbox: e2b\n" in done.stdout
    assert "code ran in its own sandbox" in done.stdout
    assert fake.alive == []
    wrong = command.with_environment(E2B_API_KEY="e2b_" + "0" * 40)
    done = await asyncio.to_thread(wrong, "doctor", "--sandbox", "e2b")
    assert done.status == 3
    assert "check that the API key is valid" in done.stdout


def test_e2b_without_a_key_is_refused_in_one_line(tmp_path: Path) -> None:
    done = solve(Command(tmp_path, warm), "--sandbox", "e2b")
    assert (done.status, done.stdout) == (2, "")
    last = done.stderr.splitlines()[-1]
    assert "E2B needs an API key: set E2B_API_KEY" in last


async def test_the_reduced_tier_is_used_where_it_is_named_and_told_of(tmp_path: Path) -> None:
    tried = await probe(tier="reduced")
    if tried.tier is None:
        pytest.skip(tried.refusal)
    named = Command(tmp_path, warm, {SANDBOX_VARIABLE: "reduced"})
    done = await asyncio.to_thread(solve, named, "--turns", "2")
    assert done.status == 1
    ran = [line for line in done.stderr.splitlines() if "executor" in line]
    assert [line.endswith("(sandbox reduced)") for line in ran] == [True, True]
    told = (await asyncio.to_thread(named, "doctor")).stdout
    assert "sandbox: reduced\n" in told
    assert "namespace" not in told


def test_no_setting_names_the_sandbox(tmp_path: Path) -> None:
    done = solve(Command(tmp_path, warm), "--set", "sandbox.tier=reduced")
    assert done.status == 2
    assert "sandbox.tier" in done.stderr


@pytest.mark.parametrize(
    ("usual", "named", "told"),
    [("", "full", False), ("e2b", "full", True), ("full", "full", False)],
)
def test_what_to_resume_with_names_a_sandbox_that_is_not_the_usual_one(
    tmp_path: Path, usual: str, named: str, told: bool
) -> None:
    command = Command(tmp_path, warm, {SANDBOX_VARIABLE: usual})
    done = solve(command, "--sandbox", named, "--critic", "human")
    assert done.status == 4
    assert (f" --sandbox {named} --approve" in done.stderr) == told


@pytest.mark.parametrize("name", ["full", "reduced", "e2b"])
def test_the_environment_names_the_sandbox_of_a_server(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SANDBOX_VARIABLE, name)
    assert named_sandbox() == name
    monkeypatch.setenv(SANDBOX_VARIABLE, "")
    assert named_sandbox() == "full"


def test_an_unknown_name_in_the_environment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SANDBOX_VARIABLE, "none")
    with pytest.raises(InputError, match="unknown sandbox 'none'; use one of full, reduced, e2b"):
        named_sandbox()
    done = Command(tmp_path, warm, {SANDBOX_VARIABLE: "none"})("doctor")
    assert done.status == 2
    assert "'none' is not one of" in done.stderr


@pytest.mark.parametrize("name", ["Full", "E2B", "reduced ", ""])
async def test_a_program_that_misspells_it_gets_no_sandbox(name: Any) -> None:
    with pytest.raises(InputError, match="unknown sandbox"):
        async with open_sandbox(name):
            raise AssertionError("opened")
    with pytest.raises(InputError, match="the tiers are full, reduced"):
        async with open_local_sandbox(LocalSandboxSettings(tier=name)):
            raise AssertionError("opened")
    with pytest.raises(InputError, match="the profiles pure, proc"):
        async with open_local_sandbox(LocalSandboxSettings(profile=name)):
            raise AssertionError("opened")
    assert Build(tier=name).layers == frozenset(LAYERS)


async def test_a_task_is_solved_in_the_sandbox_that_a_program_names(
    fake: FakeE2B, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in told_of(fake, tmp_path).environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings(
        models={"coder": write_script(tmp_path / "one.toml", [draft("print(1)\n")])}
    )
    record = await solve_task("Print 1.", settings, sandbox="e2b")
    (execution,) = cast("tuple[Execution]", record.turns[-1].executions)
    assert (execution.tier, execution.logs.stdout) == ("e2b", "1\n")


async def test_several_drafts_share_the_contexts_that_e2b_allows(
    fake: FakeE2B, tmp_path: Path
) -> None:
    command = told_of(fake, tmp_path)
    write_script(tmp_path / "script.toml", [[draft(PLUS_TWO)] * 2 + [draft(RIGHT)]])
    done = await asyncio.to_thread(solve, command, "--sandbox", "e2b", "--drafts", "3")
    assert (done.status, done.stdout) == (0, RIGHT)
    assert fake.most_alive <= 4
    assert fake.alive == []


async def test_grading_says_where_it_was_done(fake: FakeE2B, tmp_path: Path) -> None:
    command = told_of(fake, tmp_path)
    data = lines(tmp_path / "mbpp.jsonl", [MBPP])
    samples = [{"task_id": "Mbpp/7", "solution": f"def double(x):\n    return {x}"} for x in "xy2"]
    path = str(
        lines(tmp_path / "s.jsonl", [*samples[:2], {**samples[0], "solution": MBPP["code"]}])
    )
    grade = ("grade", path, "--benchmark", "mbpp", "--data", str(data))
    done = await asyncio.to_thread(command, *grade, "--sandbox", "e2b")
    assert done.status == 0, done.stderr
    assert done.stdout.splitlines()[0] == "mbpp: 3 samples of 1 tasks (sandbox e2b)"
    assert done.stdout.splitlines()[2].split() == ["base", "0.333"]
    assert fake.most_alive <= 4
    assert json.loads((tmp_path / "s_eval_results.json").read_text())["sandbox"] == "e2b"
    here = await asyncio.to_thread(command, *grade)
    assert here.status == 2
    assert "its results are from the sandbox e2b; remove it" in here.stderr
