"""A chat as a run: each message is a task of its thread, and a session joins their programs.

A message is stored before a node works on it, so a killed chat goes on with it. Nothing is taken
back in a run: a chat without its last messages is a branch, and the run that has them stays.
"""

from typing import Any, cast

from opencodeinterpreter.graph.entry import checked_task
from opencodeinterpreter.graph.runs import Origin, create_run, open_run, write_state
from opencodeinterpreter.graph.seeds import stem_seed, task_seed
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import Row
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import Input
from opencodeinterpreter.tools.errors import InputError

Files = dict[str, Any]
"""Files of a message as a record holds them, by name."""


async def begin_chat(store: Store, settings: Settings, message: str, files: Files) -> Row:
    """Store a new run whose first task is `message`; raises InputError if it is invalid."""
    return await create_run(store, task_seed(_task(message, files), settings))


async def follow_up(store: Store, row: Row, message: str, files: Files) -> Row:
    """Add a message to a run that has ended, as its next task; no node runs yet.

    Raises InputError if the run has not ended or the message is invalid.
    """
    async with store.claim(row.id):
        run = await open_run(store, row.id)
        if run.next != "end":
            raise InputError(f"run {row.short} has not ended; resume it first")
        task = {**_task(message, files), "number": len(run.record.tasks) + 1}
        checked = checked_task(task).model_dump(mode="json")
        return await write_state(store, run, cast(Input, {"tasks": [checked]}))


async def branch_after(store: Store, row: Row, message: int) -> Row:
    """Store a branch of a run that ends with its message of this number.

    Raises InputError if there is none.
    """
    run = await open_run(store, row.id)
    seed = stem_seed(run.record, row.short, message)
    turns = len(seed.get("turns", ()))
    origin = Origin(parent=row.id, parent_turn=turns, source=run.source)
    return await create_run(store, seed, origin)


def _task(message: str, files: Files) -> dict[str, Any]:
    return {"prompt": message, "files": files, "session": True}
