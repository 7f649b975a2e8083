"""What is looked at before a task's first model call."""

from opencodeinterpreter.nodes.entry_point import entry_point_of
from opencodeinterpreter.nodes.records import Task
from opencodeinterpreter.tools.runner import open_runner
from opencodeinterpreter.tools.sandbox.opening import SandboxName


async def check_task(task: Task, sandbox: SandboxName) -> None:
    """Check a task's tests by themselves and against its reference solution, in a sandbox.

    A fault of the tests is the user's to mend, and no model is asked because of it: raises
    InputError with the file, the line and what to change. Raises SandboxError.
    """
    if task.tests is None:
        return
    entry_point = task.entry_point or entry_point_of(task.prompt, task.tests)
    async with open_runner(sandbox) as runner:
        await runner.check(task.tests, entry_point, task.reference)
