"""The runs of a store, for host programs: create, advance, list, branch."""

from collections.abc import Mapping

from opencodeinterpreter.graph.checking import check_with
from opencodeinterpreter.graph.driving import OnEvent
from opencodeinterpreter.graph.runs import (
    Origin,
    Run,
    advance,
    create_run,
    open_run,
    stored_row,
)
from opencodeinterpreter.graph.seeds import Edit, branch_seed, task_seed
from opencodeinterpreter.graph.solve import Solver, task_input
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import Row, find_run, list_runs
from opencodeinterpreter.nodes.records import Task
from opencodeinterpreter.nodes.state import TaskInput
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.person import PersonAnswer


class Runs:
    """Stored runs, and the opened models and sandbox that continue them.

    A run is named by its id, a prefix of it, or `latest`. All methods raise InputError for a run
    that is not there, and StoreError.
    """

    def __init__(self, solver: Solver) -> None:
        """Take a solver that was opened with a store; raises InputError for one without."""
        if solver.store is None:
            raise InputError("this solver has no store; open it with open_solver(…, store=store)")
        self._solver = solver
        self._store: Store = solver.store

    async def create(self, task: str | TaskInput, *, run: str | None = None) -> Run:
        """Store a new run of a task; no model is asked yet.

        With `run`, a UUID, this is its id, and if it is stored already it is returned as it is.
        Raises InputError for a wrong task or wrong tests.
        """
        if run is not None and await stored_row(self._store, run):
            return await open_run(self._store, run)
        seed = task_seed(task_input(task), self._solver.settings)
        await check_with(self._solver.runner, Task.model_validate(seed["tasks"][-1]))
        row = await create_run(self._store, seed, Origin(run=run))
        return await open_run(self._store, row.id)

    async def get(self, run: str) -> Run:
        """Return a run as it is stored now."""
        return await open_run(self._store, (await find_run(self._store, run)).id)

    async def list(self) -> list[Row]:
        """Return a row of every run, newest first."""
        return await list_runs(self._store)

    async def advance(
        self,
        run: str,
        answer: PersonAnswer | Mapping[str, str] | str | None = None,
        *,
        on_event: OnEvent | None = None,
        trust: bool = False,
    ) -> Run:
        """Run until the run ends, asks a person or fails; a run that has ended stays as it is.

        `answer` answers the question that the run waits with. A run that was imported from a trace
        has a stranger's settings, and is refused unless `trust` is true. Raises ModelError or
        SandboxError; the run can then be advanced again, and goes on at the same node.
        """
        found = await self.get(run)
        if found.source == "trace" and not trust:
            raise InputError(
                f"run {found.row.short} was imported, and its settings are not yours; look at "
                "them, then pass trust=True"
            )
        given = None if answer is None else PersonAnswer.model_validate(answer)
        return await advance(
            self._store, self._solver.graph, found.row, answer=given, on_event=on_event
        )

    async def branch(self, run: str, turn: int, edit: Edit) -> Run:
        """Store a new run that leaves another one at a turn, with an edit; see `Edit`.

        The other run stays as it is. Raises InputError for a turn that is not there.
        """
        parent = await self.get(run)
        seed = branch_seed(parent.record, parent.row.short, turn, edit)
        origin = Origin(parent=parent.row.id, parent_turn=turn, source=parent.source)
        row = await create_run(self._store, seed, origin)
        return await open_run(self._store, row.id)
