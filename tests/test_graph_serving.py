"""What a server's environment lets a caller choose, and what it opens."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from opencodeinterpreter.graph.serving import CEILINGS, Policy, Served
from opencodeinterpreter.nodes.records import Task
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.program import Program

USUAL = "scripted:usual.toml"
POLICY = Policy(USUAL, frozenset({USUAL, "scripted:other.toml"}), CEILINGS)


def settled(**fields: Any) -> Settings:
    return POLICY.settled(Settings.model_validate(fields))


def test_a_caller_that_names_no_model_gets_the_servers() -> None:
    assert settled(drafts=2).models == {"coder": USUAL}
    assert settled(models=Settings().models).models == {"coder": USUAL}


def test_a_caller_may_name_a_model_that_is_offered() -> None:
    models = {"coder": "scripted:other.toml", "judge": USUAL}
    assert settled(models=models).models == models


def test_versions_are_the_servers() -> None:
    assert settled(versions={"opencodeinterpreter": "99"}).versions == Settings().versions


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"models": {"coder": "scripted:/etc/passwd"}}, "does not offer the model 'scripted:/etc/p"),
    ({"models": {"coder": USUAL, "critic": "openai:x@http://h"}}, "it offers scripted:other.toml"),
    ({"client": {"key_variable": "HOME"}}, "leave `client` out"),
    ({"client": {"retries": 99}}, "leave `client` out"),
    ({"drafts": 9}, "drafts is 9, and this server allows at most 8"),
    ({"retry": {"drafts": 9}}, "retry.drafts is 9"),
    ({"limits": {"turns": 21}}, "limits.turns is 21"),
    ({"sampling": {"critic": {"max_tokens": 5000}}}, "max_tokens is 5000"),
    ({"sandbox": {"wall_seconds": 10.5}}, r"sandbox.wall_seconds is 10.5"),
    ({"sandbox": {"processes": 65}}, "sandbox.processes is 65"),
]


@pytest.mark.parametrize(("fields", "words"), WRONG)
def test_a_caller_that_asks_for_more_is_told_so(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        settled(**fields)
    held = Settings.model_validate({"models": {"coder": USUAL}, **fields})
    with pytest.raises(InputError, match=words):
        POLICY.check(held)


@pytest.mark.parametrize("name", list(CEILINGS))
def test_what_is_at_its_ceiling_is_allowed(name: str) -> None:
    value: Any = int(CEILINGS[name])
    for key in reversed(name.replace("*", "coder").split(".")):
        value = {key: value}
    settled(**value)


def test_the_environment_raises_and_adds_ceilings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCODEINTERPRETER_MODEL", USUAL)
    monkeypatch.setenv("OPENCODEINTERPRETER_MODELS", "scripted:a  scripted:b")
    monkeypatch.setenv("OPENCODEINTERPRETER_CEILINGS", "drafts=16 limits.tokens=1000")
    policy = Policy.of_environment()
    assert policy.models == {USUAL, "scripted:a", "scripted:b"}
    allowed = Settings.model_validate({"drafts": 16, "limits": {"tokens": 1000}})
    assert policy.settled(allowed).drafts == 16
    with pytest.raises(InputError, match=r"limits\.tokens is not set"):
        policy.check(Settings(models={"coder": USUAL}))
    assert policy.settled(Settings()).limits.tokens == 1000


def test_what_a_caller_does_not_choose_is_lowered_to_the_ceilings() -> None:
    low = replace(POLICY, ceilings={**CEILINGS, "sandbox.wall_seconds": 2, "sandbox.memory_mb": 64})
    sandbox = low.settled(Settings()).sandbox
    assert (sandbox.wall_seconds, sandbox.memory_mb, sandbox.disk_mb) == (2, 64, 64)
    less = low.settled(Settings.model_validate({"sandbox": {"memory_mb": 32}})).sandbox
    assert (less.wall_seconds, less.memory_mb) == (2, 32)
    with pytest.raises(InputError, match=r"sandbox\.memory_mb is 65"):
        low.settled(Settings.model_validate({"sandbox": {"memory_mb": 65}}))


async def test_a_task_s_tests_are_checked_within_the_ceilings() -> None:
    """They are a caller's code, as its programs are."""
    task = Task.model_validate(
        {
            "prompt": "Write double(x).",
            "reference": "import time\ndef double(x):\n    time.sleep(1.5)\n    return 2 * x",
            "tests": {
                "kind": "python",
                "source": "from solution import double\nassert double(2) == 4",
            },
        }
    )
    await Served(POLICY, "full").check(task)
    low = replace(POLICY, ceilings={**CEILINGS, "sandbox.wall_seconds": 1})
    with pytest.raises(InputError, match="the reference solution fails its own tests"):
        await Served(low, "full").check(task)


@pytest.mark.parametrize("wrong", ["drafts", "drafts=many", "draughts=3", "critic=3"])
def test_a_ceiling_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("OPENCODEINTERPRETER_CEILINGS", wrong)
    with pytest.raises(InputError, match=f"{wrong!r} is no limit"):
        Policy.of_environment()


async def test_each_event_loop_opens_its_own_sandbox() -> None:
    """As on a server with BG_JOB_ISOLATED_LOOPS."""
    served = Served(POLICY, "full")

    async def told(code: str) -> str:
        return (await served.run(Program(code=code))).logs.stdout

    here = [await told("print(1)")]
    elsewhere = [await asyncio.to_thread(asyncio.run, told(f"print({n})")) for n in (2, 3)]
    assert [*here, *elsewhere, await told("print(4)")] == ["1\n", "2\n", "3\n", "4\n"]
