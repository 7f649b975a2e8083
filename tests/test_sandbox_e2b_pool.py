"""The number of E2B sandboxes, how fast they are created, and that none is left behind."""

import asyncio
import importlib.util
import random
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.sandbox.e2b.calls import E2BTransientError
from opencodeinterpreter.tools.sandbox.e2b.pool import Rate
from tests.e2b_fake import FakeE2B, opened
from tests.e2b_fake_faults import Refuse

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("e2b_code_interpreter") is None, reason="needs the extra e2b"
)


@pytest.fixture
async def fake() -> AsyncIterator[FakeE2B]:
    async with FakeE2B() as fake:
        yield fake


async def test_tokens_come_no_faster_than_the_rate() -> None:
    clock = asyncio.get_running_loop().time
    rate = Rate(50)
    began = clock()
    await asyncio.gather(*(rate.take() for _ in range(6)))
    assert clock() - began >= 0.099
    await asyncio.sleep(0.1)
    # Unused time does not accumulate tokens.
    began = clock()
    for _ in range(3):
        await rate.take()
    assert clock() - began >= 0.039


async def test_sandboxes_are_made_no_faster_than_the_plan_allows_refused_ones_included(
    fake: FakeE2B,
) -> None:
    fake.fail("create", Refuse(429))
    async with opened(fake, creations_per_second=10.0) as sandbox:
        await asyncio.gather(*(sandbox.run_code("pass") for _ in range(3)))
    assert len(fake.created_at) == 4
    # Requests leave at the rate; they may arrive slightly closer together.
    assert fake.created_at[-1] - fake.created_at[0] >= 0.25


async def test_no_more_run_at_once_than_settings_say(fake: FakeE2B) -> None:
    async with opened(fake, concurrency=2) as sandbox:
        told = await asyncio.gather(*(sandbox.run_code(f"print({n})") for n in range(6)))
    assert [run.logs.stdout for run in told] == [f"{n}\n" for n in range(6)]
    assert fake.most_alive <= 2
    assert len(fake.sandboxes) == 6


async def test_a_used_sandbox_lives_on_for_a_long_run_and_is_replaced_when_it_died(
    fake: FakeE2B,
) -> None:
    async with opened(fake, runs_per_sandbox=9, lifetime_seconds=60) as sandbox:
        await sandbox.run_code("pass")
        assert "timeout" not in fake.asked
        await sandbox.run_code("pass", limits=SandboxLimits(wall_seconds=100))
        assert fake.last.lifetime >= 100
        assert len(fake.sandboxes) == 1
        fake.last.kill()
        assert (await sandbox.run_code("pass")).status == "ok"
        assert len(fake.sandboxes) == 2


async def test_the_internet_is_off_and_the_sandbox_is_labelled(fake: FakeE2B) -> None:
    async with opened(fake, template="mine", lifetime_seconds=77) as sandbox:
        await sandbox.run_code("pass")
    created = fake.last.created
    assert created["allow_internet_access"] is False
    assert (created["templateID"], created["timeout"]) == ("mine", 77)
    assert set(created["metadata"]) == {"opencodeinterpreter", "process"}


async def test_sandboxes_of_programs_that_died_are_ended_and_no_others(fake: FakeE2B) -> None:
    async with opened(fake) as sandbox:
        await sandbox.run_code("pass")
    ours = fake.last.created["metadata"]
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=-1)
    dead = {**ours, "process": gone.stdout.decode().strip()}
    orphan = fake.add({"metadata": dead})
    kept = [
        fake.add({"metadata": metadata})
        for metadata in (
            {},
            ours,
            {**dead, "opencodeinterpreter": "elsewhere"},
            {**ours, "process": "?"},
        )
    ]
    async with opened(fake):
        assert not orphan.alive
        assert all(sandbox.alive for sandbox in kept)


async def test_cancelling_at_any_moment_leaves_nothing(fake: FakeE2B) -> None:
    code = "import subprocess; subprocess.run(['sleep', '0.1'])"
    moments = random.Random(7)
    async with opened(fake, concurrency=6) as sandbox:
        context = await sandbox.create_context()
        runs = [
            asyncio.create_task(sandbox.run_code(code, context=context if at % 4 == 0 else None))
            for at in range(24)
        ]
        for run in runs:
            await asyncio.sleep(moments.uniform(0, 0.05))
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)
        # It still works, and all slots are free again.
        again = [sandbox.run_code("pass") for _ in range(6)]
        assert {told.status for told in await asyncio.gather(*again)} == {"ok"}
        assert (await sandbox.run_code("1", context=context)).status == "ok"
    assert not fake.alive
    await fake.quiet()


async def test_closing_ends_runs_and_contexts_under_way(fake: FakeE2B) -> None:
    async with opened(fake) as sandbox:
        context = await sandbox.create_context()
        endless = "import time; time.sleep(600)"
        limits = SandboxLimits(wall_seconds=600)
        runs = [
            asyncio.create_task(sandbox.run_code(endless, limits=limits)),
            asyncio.create_task(sandbox.run_code(endless, limits=limits, context=context)),
        ]
        await fake.until(lambda: "start" in fake.asked and fake.asked.count("execute") > 1)
    ended = await asyncio.gather(*runs, return_exceptions=True)
    assert [type(error) for error in ended] == [SandboxError, E2BTransientError]
    assert not fake.alive
    with pytest.raises(SandboxError, match="closed"):
        await sandbox.run_code("pass")
