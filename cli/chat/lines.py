"""Where a chat's lines come from: a person at a terminal, or a pipe or file."""

import asyncio
import sys
import threading
from collections.abc import Sequence
from typing import Protocol


class Lines(Protocol):
    """A source of lines."""

    async def next(self, prompt: str, draft: str = "") -> str:
        """Return the next line; raises EOFError at the end. `draft` is a text to start from."""
        ...

    def remember(self, line: str) -> None:
        """Keep an earlier line where a person can find it again."""
        ...


class TypedLines:
    """Lines that a person edits: history, completion, several lines with Alt-Enter or by paste."""

    def __init__(self, commands: Sequence[str]) -> None:
        # Imported here, because it takes a fifth of a second and only a terminal needs it.
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import NestedCompleter, PathCompleter
        from prompt_toolkit.history import InMemoryHistory
        from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

        keys = KeyBindings()

        @keys.add("escape", "enter")
        def add_line(event: KeyPressEvent) -> None:
            event.current_buffer.insert_text("\n")

        paths = PathCompleter(expanduser=True)
        takes = {name: paths if name in ("/add", "/save") else None for name in commands}
        self._history = InMemoryHistory()
        self._session: PromptSession[str] = PromptSession(
            history=self._history,
            completer=NestedCompleter.from_nested_dict(takes),
            complete_while_typing=False,
            key_bindings=keys,
        )

    async def next(self, prompt: str, draft: str = "") -> str:
        """Ask for a line; Ctrl-C begins it anew, Ctrl-D on an empty one raises EOFError."""
        while True:
            try:
                return await self._session.prompt_async(prompt, default=draft)
            except KeyboardInterrupt:
                draft = ""

    def remember(self, line: str) -> None:
        """Add a line to the history."""
        self._history.append_string(line)


class PipedLines:
    """The lines of standard input that is no terminal; each is shown as it is read.

    They are read in a thread, so that the event loop can watch the sandbox meanwhile.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._read: asyncio.Queue[str] = asyncio.Queue()
        self._asked = threading.Semaphore(0)
        # A daemon, because nothing interrupts a read, and the command must not wait for it.
        threading.Thread(target=self._feed, daemon=True).start()

    async def next(self, prompt: str, draft: str = "") -> str:
        """Return the next line, whose end is taken off; raises EOFError at the end."""
        self._asked.release()
        line = await self._read.get()
        if not line:
            raise EOFError
        return line.rstrip("\r\n")

    def remember(self, line: str) -> None:
        """Do nothing."""

    def _feed(self) -> None:
        while True:
            self._asked.acquire()
            line = sys.stdin.buffer.readline().decode("utf-8", "replace")
            self._loop.call_soon_threadsafe(self._read.put_nowait, line)
