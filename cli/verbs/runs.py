"""`runs`: list the runs of a store, and remove some."""

import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated

import typer

from opencodeinterpreter.cli.counting import counted
from opencodeinterpreter.cli.grouping import flattened
from opencodeinterpreter.cli.options import RUN_HELP, JsonOption, StoreOption
from opencodeinterpreter.cli.paging import columns, print_paged
from opencodeinterpreter.cli.run_table import piped, table, tree
from opencodeinterpreter.graph.families import Families
from opencodeinterpreter.graph.removing import check_branches, prunable, remove
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import Row, Status, find_run, list_runs, now
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.printable import printable

app = typer.Typer(rich_markup_mode=None, add_completion=False)
_UNDER_WAY = ("running", "interrupted")
"""The graph tells how far these are. Its import takes longer than a list of thousands of runs."""
_SHOWN = 10
"""How many runs are named before they are removed."""


@dataclass(frozen=True, kw_only=True)
class RowFilter:
    """Which runs are listed; all conditions hold together."""

    newest: Annotated[
        int | None, typer.Option("-n", "--newest", min=1, help="Only the newest so many.")
    ] = None
    status: Annotated[
        Status | None, typer.Option(help="Only runs that stand so, as in failed or waiting.")
    ] = None
    query: Annotated[
        str | None, typer.Option(help="Only runs whose task holds this text, in any case.")
    ] = None
    model: Annotated[
        str | None, typer.Option(help="Only runs whose coder's spec holds this text, in any case.")
    ] = None
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="Only runs begun since, in UTC."),
    ] = None

    def pick(self, rows: Iterable[Row]) -> list[Row]:
        """Return the rows that fit, in their order."""
        since = self.since.isoformat() if self.since else ""
        words, model = (self.query or "").casefold(), (self.model or "").casefold()
        fitting = (
            row
            for row in rows
            if self.status in (None, row.status)
            and words in row.title.casefold()
            and model in row.model.casefold()
            and row.created >= since
        )
        return list(islice(fitting, self.newest))


@dataclass(frozen=True, kw_only=True)
class Listing:
    """How runs are listed."""

    tree: Annotated[
        bool, typer.Option("--tree", help="Draw each branch below the run that it was taken from.")
    ] = False
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="First add runs that are missing from the table.")
    ] = False
    as_json: JsonOption = False


def runs(context: typer.Context, store: StoreOption, chosen: RowFilter, listing: Listing) -> None:
    """List runs, newest first; remove some with `rm` or `prune`."""
    if context.invoked_subcommand is None:
        _list(asyncio.run(_rows(store, listing.rebuild)), chosen, listing)
        return
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise InputError(f"write the options of {context.invoked_subcommand} after its name")


app.callback(invoke_without_command=True)(flattened(runs))


def _list(rows: Sequence[Row], chosen: RowFilter, listing: Listing) -> None:
    picked = chosen.pick(rows)
    drawn = list(Families(rows).drawn({row.id for row in picked})) if listing.tree else []
    listed = [each.row for each in drawn] if listing.tree else picked
    if listing.as_json:
        print(json.dumps([asdict(row) for row in listed]))
    elif not sys.stdout.isatty():
        for row in listed:
            print(piped(row))
    elif listing.tree:
        print_paged(tree(drawn, columns(), now()[:5]))
    else:
        print_paged(table(listed, columns(), now()[:5]))


async def _rows(url: str, rebuild: bool) -> list[Row]:
    async with open_store(url) as store:
        if rebuild:
            await _rebuild(store)
        rows = await list_runs(store)
        if not any(row.status in _UNDER_WAY for row in rows):
            return rows
        from opencodeinterpreter.graph.runs import so_far

        return [await so_far(store, row) if row.status in _UNDER_WAY else row for row in rows]


async def _rebuild(store: Store) -> None:
    from opencodeinterpreter.graph.runs import rebuild

    for problem in (await rebuild(store)).problems:
        print(printable(problem), file=sys.stderr)


YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command()
def rm(
    names: Annotated[list[str], typer.Argument(metavar="RUN…", help=RUN_HELP)],
    store: StoreOption,
    yes: YesOption = False,
) -> None:
    """Remove runs. One with a branch that is kept, or that a process works on, is refused."""

    async def go() -> None:
        async with open_store(store) as opened:
            found = {row.id: row for row in [await find_run(opened, name) for name in names]}
            check_branches(await list_runs(opened), found.keys())
            await _remove(opened, list(found.values()), yes)

    asyncio.run(go())


def _age(text: str | None) -> str:
    """Return the time that lies an age like `30d` before now."""
    if text is None:
        return "~"  # after every time
    number, unit = text[:-1], text[-1:]
    units = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
    try:
        then = datetime.now(UTC) - int(number) * units[unit]
    except (ValueError, KeyError, OverflowError):
        raise InputError(f"--older-than {text}: write 12h, 30d or 8w") from None
    return then.isoformat(timespec="milliseconds")


@app.command()
def prune(
    store: StoreOption,
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="Runs unchanged so long: 12h, 30d or 8w.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Keep the newest N, whatever their age.")
    ] = None,
    yes: YesOption = False,
) -> None:
    """Remove old runs.

    Kept are runs that a process works on, and those from which a kept run was branched.
    """
    if older_than is None and keep is None:
        raise InputError("say which runs are old: --older-than 30d, --keep 100, or both")
    before = _age(older_than)

    async def go() -> None:
        async with open_store(store) as opened:
            await _remove(opened, prunable(await list_runs(opened), keep or 0, before), yes)

    asyncio.run(go())


async def _remove(store: Store, rows: Sequence[Row], yes: bool) -> None:
    """Remove runs, after a question; one that a process has begun to work on is left."""
    if not rows:
        print("nothing to remove", file=sys.stderr)
        return
    _confirm(rows, yes)
    left = 0
    for row in rows:
        try:
            await remove(store, row.id)
        except InputError as error:
            left += 1
            print(printable(str(error)), file=sys.stderr)
    print(f"removed {counted(len(rows) - left, 'run')}", file=sys.stderr)
    if left:
        raise InputError(f"{counted(left, 'run')} could not be removed")


def _confirm(rows: Sequence[Row], yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError(f"to remove {counted(len(rows), 'run')} without a question, add --yes")
    for row in rows[:_SHOWN]:
        print(printable(f"{row.short}  {row.status}  {row.title}"), file=sys.stderr)
    if len(rows) > _SHOWN:
        print(f"and {counted(len(rows) - _SHOWN, 'run')} more", file=sys.stderr)
    typer.confirm(f"Remove {counted(len(rows), 'run')}?", abort=True, err=True)
