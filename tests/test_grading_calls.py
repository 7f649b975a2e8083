"""Calls of a candidate: what is heard of them, and when."""

import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.grading.calls import Answers, CallLimits, as_texts, call
from opencodeinterpreter.tools.sandbox.local import LocalSandbox, open_local_sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[LocalSandbox]:
    async with open_local_sandbox(concurrency=1) as opened:
        yield opened


def kinds(answers: Answers, count: int) -> list[str]:
    """What came of each call, empty where nothing was heard."""
    return [answer.kind if (answer := answers.answer(at)) else "" for at in range(count)]


async def test_a_run_is_ended_once_enough_was_heard(sandbox: LocalSandbox) -> None:
    code = "import time\ndef f(x):\n    if x == 1: time.sleep(600)\n    return x\n"
    inputs, limits = as_texts([[0], [1], [2]]), CallLimits([1000.0] * 3, 1000.0)
    answers = await call(sandbox, code, "f", inputs, limits, enough=lambda heard: 0 in heard)
    assert kinds(answers, 3) == ["value", "", ""]
    assert answers.ended is None


async def test_a_call_that_takes_too_long_is_ended_alone(sandbox: LocalSandbox) -> None:
    code = (
        "import time\n"
        "def f(x):\n"
        "    if x == 1:\n"
        "        while True: pass\n"
        "    if x == 2: time.sleep(600)\n"
        "    return x\n"
    )
    inputs, limits = as_texts([[0], [1], [2], [3]]), CallLimits([0.1] * 4, 10.0)
    answers = await call(sandbox, code, "f", inputs, limits, stop_early=False)
    assert kinds(answers, 4) == ["value", "timeout", "timeout", "value"]
    assert answers.ended
    assert answers.ended.status == "exited"


async def test_the_limit_of_all_calls_holds_where_a_candidate_evades_that_of_one(
    sandbox: LocalSandbox,
) -> None:
    code = "import signal\nsignal.setitimer = signal.signal = print\n"
    code += "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])\n"
    code += "def f(x):\n    while x: pass\n    return x\n"
    inputs, limits = as_texts([[0], [1]]), CallLimits([0.1] * 2, 1.0)
    answers = await call(sandbox, code, "f", inputs, limits)
    assert kinds(answers, 2)[1] == ""
    assert answers.ended
    assert (answers.ended.status, answers.ended.reason) == ("timeout", "cpu")


async def test_a_run_that_was_heard_of_is_not_done_again() -> None:
    async with open_local_sandbox(concurrency=1) as own:

        def end_all(heard: Answers) -> bool:
            os.kill(own.zygote_pid or 0, signal.SIGKILL)
            return False

        code = "import time\ndef f(x):\n    time.sleep(600 * x)\n    return x\n"
        inputs, limits = as_texts([[0], [1]]), CallLimits([1000.0] * 2, 1000.0)
        with pytest.raises(SandboxError, match="died under a run that was listened to"):
            await call(own, code, "f", inputs, limits, enough=end_all)
