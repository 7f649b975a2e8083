"""Runs in processes that die at a given statement: `python -m tests.stopped_runs URL STATEMENT …`.

Each statement number has a process and a run of its own, all in one store. SQLite's own trace
tells the process of each statement before it is executed. PostgreSQL's messages pass through a
relay, which kills the process once it has passed a message on.
"""

import asyncio
import gc
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

import aiosqlite

from opencodeinterpreter.graph.runs import Origin, advance, create_run
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.testing import ScriptedModel, draft
from tests.scripts import RIGHT, TASK, WRONG, World

BEGIN = "SELECT 'the run begins here'"
"""The statement after which statements are counted."""
ENDED = 0
"""Exit status of a process that stopped at its statement."""


def world() -> World:
    """Return the seams of the run: its second turn is right."""
    return World(coder=ScriptedModel([draft(WRONG), draft(RIGHT)]))


def run_id(statement: int) -> str:
    """Return the id of the run that stops at this statement."""
    return str(uuid.UUID(int=statement))


def origin(statement: int) -> Origin:
    """Return where that run comes from: nowhere, but its id is known."""
    return Origin(run=run_id(statement))


async def whole_run(url: str, statement: int, countdown: "Countdown | None" = None) -> None:
    """Create a run and carry it to its end; a countdown stops it in SQLite."""
    async with open_store(url) as store:
        if countdown is not None:
            await watch_sqlite(countdown)
        await store.execute(BEGIN)
        row = await create_run(store, task_seed(TASK, world().settings()), origin(statement))
        await advance(store, world().graph(store), row)


class Countdown:
    """Calls `stop` at a statement of this number, counted from 0 after BEGIN."""

    def __init__(self, statement: int, stop: Callable[[], None]) -> None:
        self._left: int | None = None
        self._statement = statement
        self._stop = stop

    def take(self, statement: str) -> None:
        """Count a statement."""
        if self._left is not None:
            if self._left == 0:
                self._stop()
            self._left -= 1
        if BEGIN in statement:
            self._left = self._statement


async def watch_sqlite(countdown: Countdown) -> None:
    """Count the statements of all connections of this process, each before it is executed."""
    for found in gc.get_objects():
        if isinstance(found, aiosqlite.Connection):
            await found.set_trace_callback(countdown.take)


class Relay:
    """Passes messages between a process and a PostgreSQL server; one kills the process.

    Counted are the messages that change something: queries, executions, and the syncs that commit.
    """

    def __init__(self, server: Path, statement: int, child: int) -> None:
        self._server = server
        self._countdown = Countdown(statement, self._kill)
        self._child = child
        self._killed = False

    def _kill(self) -> None:
        os.kill(self._child, signal.SIGKILL)
        self._killed = True

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of the process."""
        answers, questions = await asyncio.open_unix_connection(str(self._server))
        back = asyncio.ensure_future(_pour(answers, writer))
        try:
            questions.write(await _message(reader))
            while not self._killed:
                kind = await reader.readexactly(1)
                message = await _message(reader)
                questions.write(kind + message)
                await questions.drain()
                if kind in b"QPES":
                    self._countdown.take(message.decode(errors="replace") if kind in b"QP" else "")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            questions.close()
            back.cancel()
            writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    length = await reader.readexactly(4)
    return length + await reader.readexactly(int.from_bytes(length) - 4)


async def _pour(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while piece := await source.read(65536):
        target.write(piece)


def child_of(run: Callable[[], None]) -> int:
    """Run something in a process of its own."""
    child = os.fork()
    if child == 0:
        run()
        os._exit(0)
    return child


def stopped_sqlite(url: str, statement: int) -> int:
    """Stop a run before its n-th statement; return how its process ended."""

    def run() -> None:
        countdown = Countdown(statement, lambda: os._exit(9))
        asyncio.run(whole_run(url, statement, countdown))

    return os.waitstatus_to_exitcode(os.waitpid(child_of(run), 0)[1])


def stopped_postgres(url: str, statement: int) -> int:
    """Stop a run after its n-th message; return how its process ended."""
    server = Path(url.partition("host=")[2]) / ".s.PGSQL.5432"
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / server.name
        gate, latch = os.pipe()

        def run() -> None:
            os.read(gate, 1)
            asyncio.run(whole_run(url.replace(str(server.parent), folder), statement))

        child = child_of(run)

        async def relay() -> int:
            relaying = Relay(server, statement, child)
            async with await asyncio.start_unix_server(relaying.connected, socket):
                os.write(latch, b"x")
                return (await asyncio.to_thread(os.waitpid, child, 0))[1]

        return os.waitstatus_to_exitcode(asyncio.run(relay()))


if __name__ == "__main__":
    stopped = stopped_postgres if sys.argv[1].startswith("postgresql") else stopped_sqlite
    print(*(stopped(sys.argv[1], int(statement)) for statement in sys.argv[2:]))
