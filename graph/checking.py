"""Check a task's tests before its first model call."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from opencodeinterpreter.nodes.entry_point import entry_point_of
from opencodeinterpreter.nodes.records import Task
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import USUAL_LIMITS, SandboxLimits
from opencodeinterpreter.tools.gathering import all_of
from opencodeinterpreter.tools.runner import SandboxRunner, open_runner
from opencodeinterpreter.tools.sandbox.opening import SandboxName

_AT_ONCE = 4
"""Most tasks that are checked at a time."""


@asynccontextmanager
async def checked(task: Task, sandbox: SandboxName) -> AsyncIterator[SandboxRunner | None]:
    """Check a task's tests: on their own, and against its reference solution.

    Yields the runner that checked them, so that the task can be solved in the same sandbox; `None`
    for a task without tests. Raises InputError if the tests are wrong, with the file, the line and
    what to change, so that no model call is spent on them; raises SandboxError.
    """
    if task.tests is None:
        yield None
        return
    async with open_runner(sandbox) as runner:
        await check_with(runner, task)
        yield runner


async def check_tasks(tasks: Mapping[str, Task], sandbox: SandboxName) -> None:
    """Check the tests of several tasks, by their names, as `checked` does.

    Raises InputError that names the task.
    """
    tested = {name: task for name, task in tasks.items() if task.tests is not None}
    if not tested:
        return
    slots = asyncio.Semaphore(_AT_ONCE)
    async with open_runner(sandbox) as runner:

        async def one(name: str, task: Task) -> None:
            async with slots:
                try:
                    await check_with(runner, task)
                except InputError as error:
                    raise InputError(f"task {name}: {error}") from None

        await all_of([one(name, task) for name, task in tested.items()])


async def check_with(
    runner: SandboxRunner, task: Task, limits: SandboxLimits = USUAL_LIMITS
) -> None:
    """Check a task's tests, if it has any, in an opened sandbox, as `checked` does.

    `limits` are those of the reference solution.
    """
    if task.tests is not None:
        entry_point = task.entry_point or entry_point_of(task.prompt, task.tests)
        await runner.check(task.tests, entry_point, task.reference, task.files, limits)
