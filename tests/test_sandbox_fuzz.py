"""Whatever bytes a run sends, the host answers in time and blames the run."""

import asyncio
import base64
import random

import pytest

from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.sandbox.inside.frames import pack
from opencodeinterpreter.tools.sandbox.local.drain import FrameReader
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")
ANSWER = pack({"ok": True, "results": [{"text": "1", "is_main_result": True}]})
WALL = 0.6
ENDINGS = {
    "exits": "os._exit(4)",
    "hangs": "time.sleep(60)",
    "closes": "os.close(3); time.sleep(60)",
}
AT_ONCE = asyncio.Semaphore(16)


SANDBOX_SETTINGS = LocalSandboxSettings(concurrency=8)


async def answer(sandbox: LocalSandbox, sent: bytes, ending: str, *, cell: bool) -> Execution:
    """Run code that sends `sent` instead of an answer, then `ending`."""
    code = (
        "import base64, os, time\n"
        f"os.write(3, base64.b64decode({base64.b64encode(sent).decode()!r}))\n{ending}"
    )
    limits = SandboxLimits(wall_seconds=WALL)
    if not cell:
        return await sandbox.run_code(code, limits=limits)
    async with AT_ONCE:
        context = await sandbox.create_context()
        try:
            return await sandbox.run_code(code, limits=limits, context=context)
        finally:
            await sandbox.remove_context(context)


def fits(told: Execution) -> bool:
    """Return whether the answer came in time, with a status that blames the code."""
    in_time = told.seconds < WALL + 2 * 0.25 + 1.5
    return in_time and told.status in ("ok", "exited", "timeout", "crashed", "limit")


@pytest.mark.parametrize("cell", [False, True])
async def test_a_cut_at_every_offset_of_a_frame_is_answered(
    sandbox: LocalSandbox, cell: bool
) -> None:
    runs = (
        answer(sandbox, ANSWER[:cut], ENDINGS["exits"], cell=cell) for cut in range(len(ANSWER))
    )
    for told in await asyncio.gather(*runs):
        assert (told.status, told.exit_code) == ("exited", 4)
        assert fits(told), told


@pytest.mark.parametrize("cell", [False, True])
@pytest.mark.parametrize("ending", ENDINGS)
async def test_random_bytes_are_answered(sandbox: LocalSandbox, ending: str, cell: bool) -> None:
    chance = random.Random(5)
    sent = [chance.randbytes(chance.randrange(1, 300)) for _ in range(6)]
    # Plausible lengths.
    sent += [b"\0\0" + chance.randbytes(chance.randrange(2, 300)) for _ in range(6)]
    sent += [ANSWER[: chance.randrange(len(ANSWER))] for _ in range(4)]
    runs = (answer(sandbox, data, ENDINGS[ending], cell=cell) for data in sent)
    for told in await asyncio.gather(*runs):
        assert fits(told), told
    assert (await sandbox.run_code("print(1)")).logs.stdout == "1\n"


async def test_an_answer_by_the_deadline_and_a_tenth_of_a_second(sandbox: LocalSandbox) -> None:
    """Return the best of several times, since the machine may be busy."""
    late = []
    for _ in range(6):
        told = await answer(sandbox, ANSWER[:7], ENDINGS["hangs"], cell=False)
        assert (told.status, told.reason) == ("timeout", "wall")
        late.append(told.seconds - WALL)
    assert min(late) < 0.1


async def test_frames_are_the_same_however_they_are_cut() -> None:
    chance = random.Random(3)
    messages: list[dict[str, object]] = [{"n": n, "text": "x" * n} for n in range(30)]
    stream = b"".join(pack(message) for message in messages) + b"\0\0\0\x02[]\0\0\0\x03{]}"
    for _ in range(50):
        reader, found, at = FrameReader(1000), [], 0
        while at < len(stream):
            size = chance.randrange(1, 90)
            found += reader.feed(stream[at : at + size])
            at += size
        assert found == [*messages, {}, {}]
        assert not reader.overrun


async def test_a_frame_that_is_too_long_is_an_overrun() -> None:
    reader = FrameReader(10)
    assert reader.feed(b"\0\0\0\xff1234567") == []
    assert not reader.overrun
    assert reader.feed(b"12345") == []
    assert reader.overrun
    assert reader.feed(pack({"ok": True})) == []


@pytest.mark.parametrize("times", [1, 100_000_000])
async def test_answers_that_nobody_asked_for_neither_lift_a_limit_nor_block_the_host(
    sandbox: LocalSandbox, times: int
) -> None:
    """A thread sends answers between cells; the next cell is still stopped in time."""
    context = await sandbox.create_context()
    code = (
        "import os, threading, time\n"
        "def tell():\n"
        "    time.sleep(0.05)\n"
        f"    for _ in range({times}): os.write(3, {pack({'ok': True})!r} * 100)\n"
        "threading.Thread(target=tell, daemon=True).start()"
    )
    assert (await sandbox.run_code(code, context=context)).status == "ok"
    await asyncio.sleep(0.2)
    assert (await sandbox.run_code("print(1)")).logs.stdout == "1\n"
    limits = SandboxLimits(wall_seconds=WALL)
    endless = sandbox.run_code("while True: pass", limits=limits, context=context)
    assert fits(await asyncio.wait_for(endless, 60))
    await sandbox.remove_context(context)


async def test_a_flood_of_answers_within_a_cell_does_not_block_the_host(
    sandbox: LocalSandbox,
) -> None:
    context = await sandbox.create_context()
    code = (
        "import os, threading\n"
        "def tell():\n"
        f"    while True: os.write(3, {pack({'ok': True})!r} * 4000)\n"
        "threading.Thread(target=tell, daemon=True).start()\n"
        "while True: pass"
    )
    assert fits(await asyncio.wait_for(sandbox.run_code(code, context=context), 60))
    await sandbox.remove_context(context)
