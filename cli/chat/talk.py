"""A chat in progress: its run, the files that wait for the next message, and what can be done."""

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from opencodeinterpreter.cli.chat.showing import Showing
from opencodeinterpreter.cli.files import is_safe, write_folder
from opencodeinterpreter.cli.live import LiveAnswer
from opencodeinterpreter.cli.words import node_line
from opencodeinterpreter.graph.build import Graph
from opencodeinterpreter.graph.follow_up import Files, begin_chat, branch_after, follow_up
from opencodeinterpreter.graph.runs import Run, advance, open_run
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.nodes.records import Record, Turn
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import Artifact
from opencodeinterpreter.tools.input_files import Binary, read_files, size_of
from opencodeinterpreter.tools.printable import printable

PROGRAM_NAME = "chat.py"
"""The file that `/save` writes the programs to, in the order in which they ran."""


class Stopped(Exception):
    """A person has stopped the work on a message."""


@dataclass
class Talk:
    """A chat over an opened graph; `run` is `None` until its first message."""

    store: Store
    graph: Graph
    settings: Settings
    showing: Showing
    progress: Console
    """For what is no part of the conversation."""
    at_terminal: bool
    run: Run | None = None
    waiting: Files = field(default_factory=dict[str, Any])
    """Files that go with the next message."""

    @property
    def messages(self) -> int:
        """The number of messages so far."""
        return len(self.run.record.tasks) if self.run else 0

    @property
    def unfinished(self) -> bool:
        """Whether the last message still has to be worked on."""
        return self.run is not None and self.run.next != "end"

    async def say(self, message: str) -> None:
        """Store a message with the files that wait, and work on it."""
        if self.run is None:
            row = await begin_chat(self.store, self.settings, message, self.waiting)
            self.progress.print(f"run {row.short}")
        elif self.unfinished:
            raise InputError(
                "the last message is not finished; /retry goes on, /undo takes it back"
            )
        else:
            row = await follow_up(self.store, self.run.row, message, self.waiting)
        self.waiting = {}
        self.run = await open_run(self.store, row.id)
        await self.work()

    async def work(self) -> None:
        """Work on the last message until it is answered; Ctrl-C raises Stopped at a terminal."""
        if self.run is None or not self.unfinished:
            raise InputError("there is no unfinished message")
        row, record = self.run.row, self.run.record
        with self.showing.console.status("working …") as status:
            live = LiveAnswer(status)

            def took(made: Record) -> None:
                nonlocal record
                record = made

            def watch(node: str, turn: Turn) -> None:
                live.end(f"after {node} …")
                self._show(node, record, turn)

            hear = live.hear if self.at_terminal else None
            working = asyncio.ensure_future(
                advance(self.store, self.graph, row, watch=watch, hear=hear, on_record=took)
            )
            try:
                with _ctrl_c_cancels(working, self.at_terminal):
                    await working
            finally:
                self.run = await open_run(self.store, row.id)
        self.showing.draw()
        self.showing.console.print()

    def _show(self, node: str, record: Record, turn: Turn) -> None:
        if not self.at_terminal:
            self.progress.print(node_line(node, turn), markup=False)
        if node == "coder":
            self.showing.drafted(record, turn)
        elif node == "executor":
            self.showing.ran(record, turn)
        elif node == "judge":
            self.showing.judged(turn)

    def add(self, paths: Sequence[str]) -> str:
        """Read files that go with the next message; return one line about them."""
        if not paths:
            raise InputError("name a file: /add FILE…")
        found = read_files([Path(path).expanduser() for path in paths])
        self.waiting = {**self.waiting, **found}
        named = ", ".join(f"{name} ({_size(content):,} bytes)" for name, content in found.items())
        return f"with the next message: {named}"

    def files(self) -> Iterator[str]:
        """Yield a line for each file of the session, the newest of each name."""
        lines: dict[str, str] = {}
        for task in self.run.record.tasks if self.run else ():
            for name, content in task.files.items():
                lines[name] = f"{size_of(content):>12,}  came with message {task.number}"
            for written in _written(self.run.record, task.number) if self.run else ():
                lines[written.path] = f"{written.size:>12,}  written in message {task.number}"
        for name, content in self.waiting.items():
            lines[name] = f"{_size(content):>12,}  goes with the next message"
        width = max(map(len, lines), default=0)
        yield from (f"{name:<{width}}  {line}" for name, line in lines.items())
        if not lines:
            yield "no files yet; /add FILE brings one"

    def save(self, name: str) -> str:
        """Write the programs and the newest of each file that they wrote into a new folder."""
        folder = Path(name).expanduser()
        if self.run is None:
            raise InputError("there is nothing to save yet")
        record = self.run.record
        files: dict[str, str | bytes] = {}
        left_out: list[str] = []
        for task in record.tasks:
            for written in _written(record, task.number):
                content = record.artifact(written.sha256) if written.sha256 else None
                if content is None or not is_safe(written.path):
                    left_out.append(written.path)
                else:
                    files[written.path] = content
        files[PROGRAM_NAME] = _programs(record)
        write_folder(folder, files)
        missing = f"; not kept: {', '.join(left_out)}" if left_out else ""
        return f"{len(files)} files in {folder}{missing}"

    async def branch(self, message: int) -> str:
        """Go on in a branch that ends after this message; return one line about it."""
        if self.run is None:
            raise InputError("there is nothing to branch yet")
        before = self.run.row
        row = await branch_after(self.store, before, message)
        self.run = await open_run(self.store, row.id)
        return f"run {row.short}, a branch of {before.short} after message {message}"

    async def undo(self) -> tuple[str, str]:
        """Go on without the last message, whose files wait again; return a line and its text."""
        if self.run is None:
            raise InputError("there is no message to take back")
        last, before = self.run.record.task, self.run.row
        files = {
            name: content.model_dump() if isinstance(content, Binary) else content
            for name, content in last.files.items()
        }
        told = f"message {last.number} is taken back; it stays in run {before.short}"
        if last.number == 1:
            self.run = None
        else:
            told += f"\n{await self.branch(last.number - 1)}"
        self.waiting = {**files, **self.waiting}
        return told, last.prompt


def _size(content: Any) -> int:
    return size_of(content if isinstance(content, str) else Binary.model_validate(content))


def _last_turn(record: Record, number: int) -> Turn | None:
    turns = record.turns_of(record.tasks[number - 1])
    return turns[-1] if turns else None


def _written(record: Record, number: int) -> tuple[Artifact, ...]:
    """Return the files that a message's program wrote and that the session keeps."""
    turn = _last_turn(record, number)
    run = turn.execution if turn else None
    return run.artifacts if run and run.status == "ok" else ()


def _programs(record: Record) -> str:
    parts = []
    for task in record.tasks:
        turn = _last_turn(record, task.number)
        if turn and turn.code and turn.execution and turn.execution.status == "ok":
            heading = printable(" ".join(task.prompt.split()))
            parts.append(f"# {task.number}> {heading}\n{turn.code.strip()}\n")
    return "\n".join(parts)


@contextmanager
def _ctrl_c_cancels(working: "asyncio.Future[Run]", at_terminal: bool) -> Iterator[None]:
    """Make Ctrl-C stop the work on a message and not the chat; raises Stopped then."""
    if not at_terminal:
        yield
        return
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGINT)
    pressed = False

    def press() -> None:
        nonlocal pressed
        pressed = True
        working.cancel()

    loop.add_signal_handler(signal.SIGINT, press)
    try:
        yield
    except asyncio.CancelledError:
        if pressed:
            raise Stopped from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)
