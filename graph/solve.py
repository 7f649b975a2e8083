"""One task, start to end, in one call."""

from opencodeinterpreter.graph.checking import check_task
from opencodeinterpreter.graph.opening import open_graph
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.nodes.records import Record, Task
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import TaskInput, read
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX, SandboxName


async def solve(
    task: str | TaskInput,
    settings: Settings | None = None,
    *,
    sandbox: SandboxName = DEFAULT_SANDBOX,
) -> Record:
    """Solve a task and return the record of all its turns; nothing is stored.

    `task` is a prompt, or a mapping with `prompt` and optionally `entry_point`, `tests` and
    `reference` (see `nodes.records.Task`); `sandbox`: see `open_graph`. Raises InputError,
    ModelError or SandboxError.
    """
    chosen = settings or Settings()
    given: TaskInput = {"prompt": task} if isinstance(task, str) else task
    seed = task_seed(given, chosen)
    await check_task(Task.model_validate(seed["tasks"][-1]), sandbox)
    async with open_graph(chosen, sandbox=sandbox) as graph:
        return read(await graph.ainvoke(seed))
