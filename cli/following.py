"""A run in progress and its family, as a page that is open follows and continues them."""

import asyncio
from dataclasses import replace
from typing import Any

from opencodeinterpreter.cli.fetching import fetch_named
from opencodeinterpreter.cli.running import check_trust, settings_of
from opencodeinterpreter.graph.families import Families
from opencodeinterpreter.graph.opening import open_graph
from opencodeinterpreter.graph.runs import Origin, Run, advance, create_run, open_run
from opencodeinterpreter.graph.seeds import Edit, branch_seed, settings_at
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import Row, list_runs
from opencodeinterpreter.tools.errors import InputError, OutsideError
from opencodeinterpreter.tools.person import PersonAnswer
from opencodeinterpreter.tools.sandbox.opening import SandboxName
from opencodeinterpreter.traces.page.document import Page
from opencodeinterpreter.traces.page.packing import packed
from opencodeinterpreter.traces.page.runs import runs_page
from opencodeinterpreter.traces.trace import trace_of

RELATIVES = 8
"""How many runs of a family a page has beside its own."""
_MOST_AT_ONCE = 4


class Following:
    """Reads the runs anew when they changed, and works on those that the page continues."""

    def __init__(self, store: Store, run: str, sandbox: SandboxName, *, trust: bool) -> None:
        self._store = store
        self._run = run
        self._sandbox: SandboxName = sandbox
        self._trust = trust
        self._working: dict[str, asyncio.Task[None]] = {}
        self._problems: dict[str, str] = {}
        self._seen: Any = None
        self._page: Page | None = None
        self._serial = 0
        self._changed: dict[str, int] = {}

    async def page(self) -> Page:
        """Return the page as it is now."""
        await self._refresh()
        assert self._page is not None
        return self._page

    async def news(self, since: int) -> dict[str, Any]:
        """Return the events that changed after the page's state `since`."""
        page = await self.page()
        later = {name for name, serial in self._changed.items() if serial > since}
        events = {name: page.events[name] for name in later if name in page.events}
        return {"serial": self._serial, "events": events, "contents": packed(page.contents)}

    async def answer(self, run: str, turn: int, answer: PersonAnswer) -> None:
        """Answer a run's question about a turn and go on with it.

        Raises InputError if it asks nothing, or about another turn: a second tab may lie behind.
        """
        opened = await open_run(self._store, await self._known(run))
        if not opened.question:
            raise InputError(f"run {opened.row.short} has no question to answer")
        if (asked := opened.record.turns[-1].number) != turn:
            raise InputError(f"the run asks about turn {asked} now, not about turn {turn}")
        if answer.action in ("words", "edit") and not answer.text.strip():
            raise InputError("there are no words; write what the coder should change")
        self._start(opened, answer)

    async def branch(self, run: str, turn: int, edit: Edit) -> str:
        """Branch a run at a turn with an edit, go on with the branch, and return its id."""
        parent = await open_run(self._store, await self._known(run))
        self._check_free(parent)
        if edit == Edit():
            raise InputError("nothing is changed; give words, code or a verdict")
        check_trust(parent, settings_at(parent.record, parent.row.short, turn), self._trust)
        seed = branch_seed(parent.record, parent.row.short, turn, edit)
        origin = Origin(parent=parent.row.id, parent_turn=turn, source=parent.source)
        row = await create_run(self._store, seed, origin)
        self._start(await open_run(self._store, row.id), None)
        return row.id

    async def close(self) -> None:
        """Stop the runs that are under way; they can be resumed."""
        for task in self._working.values():
            task.cancel()
        await asyncio.gather(*self._working.values(), return_exceptions=True)

    async def _known(self, run: str) -> str:
        """Return the full id of a run of the page; raises InputError for any other run."""
        if any(row.id == run for row in await self._rows()):
            return run
        raise InputError("this page has no such run")

    async def _rows(self) -> list[Row]:
        rows = await list_runs(self._store)
        own = [row for row in rows if row.id == self._run]
        return own + list(Families(rows).near(self._run))[:RELATIVES]

    def _check_free(self, run: Run) -> None:
        if len([task for task in self._working.values() if not task.done()]) >= _MOST_AT_ONCE:
            raise InputError(f"{_MOST_AT_ONCE} runs are under way; wait for one to end")
        check_trust(run, settings_of(run), self._trust)

    def _start(self, run: Run, answer: PersonAnswer | None) -> None:
        at = run.row.id
        if at in self._working and not self._working[at].done():
            raise InputError(f"run {run.row.short} is under way already")
        self._check_free(run)
        self._problems.pop(at, None)
        self._working[at] = asyncio.create_task(self._go(run, answer))

    async def _go(self, run: Run, answer: PersonAnswer | None) -> None:
        settings = settings_of(run)
        try:
            await fetch_named(settings.models.values())
            async with open_graph(settings, self._store, sandbox=self._sandbox) as graph:
                await advance(self._store, graph, run.row, answer=answer)
        except (InputError, OutsideError) as error:
            self._problems[run.row.id] = str(error)

    async def _refresh(self) -> None:
        rows = await self._rows()
        states = {row.id: self._state(row) for row in rows}
        seen = [(row, states[row.id], await self._newest(row.id)) for row in rows]
        if seen == self._seen:
            return
        runs = [await open_run(self._store, row.id) for row in rows]
        page = runs_page([trace_of(runs[0])], map(trace_of, runs[1:]), live=True)
        for each, run in zip(page.contents["runs"], runs, strict=False):
            each.update(states[run.row.id], asks=run.question is not None)
        self._serial += 1
        page = replace(page, contents={**page.contents, "serial": self._serial})
        old = self._page.events if self._page else {}
        changed = {name for name, event in page.events.items() if old.get(name) != event}
        self._changed.update(dict.fromkeys(changed, self._serial))
        self._page, self._seen = page, seen

    def _state(self, row: Row) -> dict[str, Any]:
        task = self._working.get(row.id)
        working = row.status == "running" or (task is not None and not task.done())
        status = "running" if working else row.status
        return {"status": status, "problem": self._problems.get(row.id, "")}

    async def _newest(self, run: str) -> Any:
        """Return what changes whenever a node of the run has ended."""
        return await self._store.execute(
            "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ?", [run]
        )
