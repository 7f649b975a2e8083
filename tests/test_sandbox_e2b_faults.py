"""Faults of E2B: retried if that is safe, else reported as E2B's; nothing hangs."""

import asyncio
import importlib.util
from collections.abc import AsyncIterator

import pytest

from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.sandbox.e2b.calls import E2BTransientError, ask, told
from tests.e2b_fake import KEY, FakeE2B, opened
from tests.e2b_fake_faults import Die, Drop, Fault, Refuse, Silence, Unfinished

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("e2b_code_interpreter") is None, reason="needs the extra e2b"
)
SLOW = "import time\nprint('begun')\ntime.sleep(0.05)\nprint('done')"


@pytest.fixture
async def fake() -> AsyncIterator[FakeE2B]:
    async with FakeE2B() as fake:
        yield fake


@pytest.mark.parametrize(
    ("route", "fault"),
    [
        ("create", Refuse(429)),
        ("create", Refuse(503)),
        ("create", Drop()),
        ("write", Refuse(502)),
        ("write", Drop()),
        ("start", Refuse(502)),
        ("start", Refuse(429)),
        ("start", Drop(after=0)),
        ("start", Drop(after=3)),
        ("start", Die(after=3)),
        ("start", Unfinished(after=3)),
        ("kill", Refuse(500)),
    ],
    ids=repr,
)
async def test_a_run_gets_over_a_passing_fault(fake: FakeE2B, route: str, fault: Fault) -> None:
    fake.fail(route, fault)
    async with opened(fake) as sandbox:
        ended = await sandbox.run_code(SLOW)
    assert (ended.status, ended.logs.stdout) == ("ok", "begun\ndone\n")
    assert not fake.alive


@pytest.mark.parametrize("route", ["create", "write", "start"])
async def test_no_answer_is_given_up_at_our_own_deadline(fake: FakeE2B, route: str) -> None:
    fake.fail(route, Silence())
    seconds = 0.4 if route != "start" else 20.0
    async with opened(fake, call_seconds=seconds) as sandbox:
        running = asyncio.create_task(sandbox.run_code("print(1)"))
        if route == "start":
            # That deadline is the run's own, and long; here only cancelling matters.
            await fake.until(lambda: "start" in fake.asked)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        else:
            assert (await running).status == "ok"
    assert not fake.alive


async def test_a_run_that_could_reach_the_internet_is_not_done_twice(fake: FakeE2B) -> None:
    fake.fail("start", Die(after=2))
    async with opened(fake, internet_access=True) as sandbox:
        with pytest.raises(SandboxError, match="run a program"):
            await sandbox.run_code(SLOW)
        assert fake.asked.count("start") == 1
        assert fake.last.created["allow_internet_access"] is True


async def test_a_fault_that_stays_is_told_after_three_sandboxes(fake: FakeE2B) -> None:
    fake.fail("write", *[Refuse(502)] * 3)
    async with opened(fake) as sandbox:
        with pytest.raises(SandboxError, match="E2B failed to take a run"):
            await sandbox.run_code("print(1)")
    assert len(fake.sandboxes) == 3


async def test_patience_with_a_busy_service_has_an_end(fake: FakeE2B) -> None:
    fake.fail("create", *[Refuse(429)] * 9)
    async with opened(fake, patience_seconds=0.1) as sandbox:
        with pytest.raises(E2BTransientError, match="`concurrency`"):
            await sandbox.run_code("print(1)")
    assert fake.asked.count("create") == 1


async def test_a_lost_answer_leaves_no_second_sandbox(fake: FakeE2B) -> None:
    keys = []
    async with opened(fake) as sandbox:
        fake.fail("create", Drop())
        await sandbox.run_code("print(1)")
        keys = [request["idempotency-key"] for request in fake.creations]
    assert len(keys) == 2
    assert len(set(keys)) == 1


@pytest.mark.parametrize(
    ("fault", "text"), [(Refuse(400), "refused by the test"), (Refuse(404), "make a sandbox")]
)
async def test_what_another_try_would_not_change_is_told_at_once(
    fake: FakeE2B, fault: Refuse, text: str
) -> None:
    fake.fail("create", fault)
    async with opened(fake) as sandbox:
        with pytest.raises(SandboxError, match=text) as raised:
            await sandbox.run_code("print(1)")
    assert not isinstance(raised.value, E2BTransientError)
    assert fake.asked.count("create") == 1


async def test_a_wrong_key_is_told_when_opening_and_never_shown(fake: FakeE2B) -> None:
    wrong = KEY[:-1] + "x"
    with pytest.raises(SandboxError, match="key") as raised:
        async with opened(fake, key=wrong):
            pass
    assert wrong not in str(raised.value)
    assert not isinstance(raised.value, E2BTransientError)


async def test_a_template_without_python_is_told(fake: FakeE2B) -> None:
    async with opened(fake, runs_per_sandbox=2) as sandbox:
        await sandbox.run_code("pass")
        fake.last.environment["PATH"] = "/nonexistent"
        with pytest.raises(SandboxError, match=r"python3.*not found.*3\.11"):
            await sandbox.run_code("pass")


async def test_a_context_gets_over_faults_while_it_is_made(fake: FakeE2B) -> None:
    fake.fail("create", Refuse(503))
    fake.fail("contexts", Refuse(502))
    fake.fail("execute", Drop())
    async with opened(fake) as sandbox:
        with pytest.raises(SandboxError):
            await sandbox.create_context()
        await fake.down_to(0)
        context = await sandbox.create_context()
        assert (await sandbox.run_code("1", context=context)).status == "ok"


async def test_a_restart_of_a_lost_sandbox_gives_an_empty_context(fake: FakeE2B) -> None:
    async with opened(fake) as sandbox:
        context = await sandbox.create_context()
        await sandbox.run_code("x = 1", context=context)
        fake.fail("restart", Refuse(502))
        await sandbox.restart_context(context)
        after = await sandbox.run_code("'x' in dir()", context=context)
        assert (after.results[0].text, after.execution_count) == ("False", 1)


async def test_a_fork_that_fails_leaves_the_context_as_it_was(fake: FakeE2B) -> None:
    async with opened(fake) as sandbox:
        context = await sandbox.create_context()
        await sandbox.run_code("x = 1", context=context)
        fake.fail("fork", Refuse(500))
        with pytest.raises(SandboxError, match="fork a sandbox"):
            await sandbox.fork_context(context)
        after = await sandbox.run_code("x", context=context)
        assert (after.results[0].text, after.state_lost) == ("1", False)


def test_an_sdk_of_another_version_is_told_at_once_with_the_way_out() -> None:
    error = told("make a sandbox", TypeError("unexpected keyword argument 'x'"), 1.0)
    assert str(error) == (
        "E2B's SDK could not make a sandbox: unexpected keyword argument 'x'; "
        "install a version that the extra `e2b` allows"
    )
    assert type(error) is SandboxError


async def test_a_cancellation_that_the_sdk_swallows_is_not_lost() -> None:
    async def swallowing() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "swallowed"
        return "slept"

    asking = asyncio.create_task(ask("wait", swallowing(), 60.0))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await ask("wait", swallowing(), 0.01) == "swallowed"


async def test_a_deadline_that_the_sdk_makes_an_error_of_is_still_a_deadline() -> None:
    async def confusing() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise OSError("the request was cancelled") from None

    with pytest.raises(E2BTransientError, match=r"did not wait within 0\.01 s") as raised:
        await ask("wait", confusing(), 0.01)
    assert isinstance(raised.value.__cause__, TimeoutError)
    asking = asyncio.create_task(ask("wait", confusing(), 60.0))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
