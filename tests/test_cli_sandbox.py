"""`--sandbox`: where code runs is said by whoever runs it, there and then, and by no stored run."""

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.sandbox.opening import SANDBOX_VARIABLE, named_sandbox
from opencodeinterpreter.tools.sandbox.probe import probe
from tests.command import Command, warm
from tests.doubling import PLUS_TWO, RIGHT, draft, solve, write_script
from tests.e2b_fake import KEY, FakeE2B


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
    assert len(fake.sandboxes) == 4, "the candidate and its tests have one each, in both turns"
    assert fake.alive == []
    run = done.stderr.split()[1].rstrip(":")
    shown = await asyncio.to_thread(command, "show", run)
    assert shown.stdout.count("execution (sandbox e2b): ") == 2
    assert (await asyncio.to_thread(command, "replay", run)).status == 0


async def test_doctor_runs_a_line_on_e2b(fake: FakeE2B, tmp_path: Path) -> None:
    command = told_of(fake, tmp_path)
    done = await asyncio.to_thread(command, "doctor", "--sandbox", "e2b")
    assert (done.status, done.stderr) == (0, "")
    assert "sandbox: e2b\n" in done.stdout
    assert "code ran in a sandbox of its own" in done.stdout
    assert fake.alive == []
    wrong = command.with_environment(E2B_API_KEY="e2b_" + "0" * 40)
    done = await asyncio.to_thread(wrong, "doctor", "--sandbox", "e2b")
    assert done.status == 3
    assert "is the key of this account valid?" in done.stdout


def test_e2b_without_a_key_is_refused_in_one_line(tmp_path: Path) -> None:
    done = solve(Command(tmp_path, warm), "--sandbox", "e2b")
    assert (done.status, done.stdout) == (2, "")
    last = done.stderr.splitlines()[-1]
    assert "E2B needs the key of an account: set E2B_API_KEY" in last
    assert "--sandbox e2b" in done.stderr, "what to resume with names the sandbox too"


async def test_the_reduced_tier_is_used_where_it_is_named_and_told_of(tmp_path: Path) -> None:
    tried = await probe(tier="reduced")
    if tried.tier is None:
        pytest.skip(tried.refusal)
    named = Command(tmp_path, warm, {SANDBOX_VARIABLE: "reduced"})
    done = await asyncio.to_thread(solve, named, "--turns", "2")
    assert done.status == 1
    ran = [line for line in done.stderr.splitlines() if "executor" in line]
    assert [line.endswith("(sandbox reduced)") for line in ran] == [True, True]
    assert "sandbox: reduced\n" in (await asyncio.to_thread(named, "doctor")).stdout


def test_a_stored_run_chooses_no_weaker_sandbox(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    done = solve(command, "--set", "sandbox.tier=reduced")
    assert done.status == 2
    assert "sandbox.tier" in done.stderr


@pytest.mark.parametrize("name", ["", "full"])
def test_the_environment_names_the_sandbox_of_a_server(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SANDBOX_VARIABLE, name)
    assert named_sandbox() == "full"


def test_an_unknown_name_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SANDBOX_VARIABLE, "none")
    with pytest.raises(InputError, match="=none: there is no such sandbox; name one of full, redu"):
        named_sandbox()


async def test_several_drafts_share_the_contexts_that_e2b_allows(
    fake: FakeE2B, tmp_path: Path
) -> None:
    command = told_of(fake, tmp_path)
    write_script(tmp_path / "script.toml", [[draft(PLUS_TWO)] * 2 + [draft(RIGHT)]])
    done = await asyncio.to_thread(solve, command, "--sandbox", "e2b", "--drafts", "3")
    assert (done.status, done.stdout) == (0, RIGHT)
    assert fake.most_alive <= 4
    assert fake.alive == []
