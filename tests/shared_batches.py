"""A shared batch of one job, `double`, laid in a store as `batch --store` would."""

from pathlib import Path

from opencodeinterpreter.graph.batch import Job
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.shared import stored_jobs
from opencodeinterpreter.graph.store.jobs import StoredBatch, add_batch
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.nodes.settings import Settings
from tests.doubling import RIGHT, TASK, TESTS, draft, write_script


async def add(
    store: Store, home: Path, delay: float = 0.0, deadline: float | None = None
) -> StoredBatch:
    """Add the batch `b`, whose model answers rightly after so many seconds."""
    spec = write_script(home / "script.toml", [draft(RIGHT)], delays=(delay,))
    return await add_with(store, spec, deadline)


async def add_with(store: Store, spec: str, deadline: float | None = None) -> StoredBatch:
    """Add the batch `b` with this model."""
    settings = Settings(models={"coder": spec})
    batch = StoredBatch("b", settings.model_dump_json(), deadline)
    job = Job("double", task_seed({"prompt": TASK, "tests": TESTS}, settings))
    await add_batch(store, batch, stored_jobs(batch.name, [job]))
    return batch


async def deaths(store: Store) -> int:
    """Return how many processes are held to have died of the job, or to work on it."""
    ((number,),) = await store.execute("SELECT deaths FROM opencodeinterpreter_jobs")
    return int(number)
