"""Import a trace into a store as a run with the same id."""

from typing import cast

from opencodeinterpreter.graph.runs import Origin, create_run, open_run, stored_row
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import Row
from opencodeinterpreter.nodes.state import Input
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.traces.trace import Trace, trace_of


async def import_trace(store: Store, trace: Trace) -> Row:
    """Store a trace's run; its export is the trace again, save for a failure in its header.

    Importing it twice changes nothing.

    Raises InputError where the store holds another run of that id, or where the trace was changed
    after it was written.
    """
    if trace.changed is not None:
        raise InputError("the trace was changed after it was written; `replay FILE` shows where")
    header = trace.header
    async with store.claim(header.run):
        if known := await stored_row(store, header.run):
            if trace_of(await open_run(store, known.id)).record == trace.record:
                return known
            raise InputError(f"the store already holds a different run {known.short}")
        origin = Origin(header.run, header.parent, header.parent_turn, header.created, "trace")
        seed = cast(Input, trace.record.model_dump(mode="json"))
        return await create_run(store, seed, origin)
