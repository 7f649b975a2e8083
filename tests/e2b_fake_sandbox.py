"""One sandbox of the fake of E2B: a folder, its kernels and its processes, all of them real.

There is no isolation here: it is for code that the tests wrote themselves.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import uuid
from pathlib import Path
from typing import Any

from tests.e2b_fake_http import Exchange

HOME = "/home/user"
"""What a sandbox calls its home; on this machine it is a folder of the fake's."""
_KERNEL = Path(__file__).with_name("e2b_fake_kernel.py")
_LINE = 1 << 27
_MARK = "E2B_FAKE_SANDBOX"

Events = asyncio.Queue[dict[str, Any] | None]


class FakeKernel:
    """One context: a real Python process that keeps its state between cells."""

    def __init__(self, sandbox: "FakeSandbox") -> None:
        self.id = str(uuid.uuid4())
        self.history: list[str] = []
        """Cells that ended well."""
        self._sandbox = sandbox
        self._cell = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            str(_KERNEL),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=self._sandbox.home,
            env=self._sandbox.environment,
            limit=_LINE,
        )

    async def execute(self, code: str, events: Events) -> None:
        """Run a cell once those before it have ended; its events end with None."""
        async with self._cell:
            if not await self._run(code, events):
                # As the real server does: the cell tells of it, the kernel comes back empty.
                self.history.clear()
                await self.stop()
                if self._sandbox.alive:
                    await self.start()
                lost = {"name": "ContextRestarting", "value": "", "traceback": ""}
                events.put_nowait({"type": "error", **lost})
                events.put_nowait({"type": "end_of_execution"})
        events.put_nowait(None)

    async def _run(self, code: str, events: Events) -> bool:
        """Run a cell; return whether the process lived through it."""
        process = self._process
        assert process and process.stdin and process.stdout
        process.stdin.write(json.dumps({"code": code}).encode() + b"\n")
        failed = False
        while line := await process.stdout.readline():
            event = json.loads(line)
            events.put_nowait(event)
            failed = failed or event["type"] == "error"
            if event["type"] == "end_of_execution":
                self.history += [] if failed else [code]
                return True
        return False

    def interrupt(self) -> None:
        """Send what Ctrl-C sends."""
        if self._process and self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End the process at once."""
        if self._process and self._process.returncode is None:
            self._process.kill()

    async def stop(self) -> None:
        """End the process and see it gone."""
        self.kill()
        if self._process:
            assert self._process.stdin
            self._process.stdin.close()
            await self._process.wait()

    async def restart(self) -> None:
        """Begin anew; a cell under way loses its process, and then it is that which begins."""
        self.history.clear()
        began = self._process
        await self.stop()
        async with self._cell:
            if self._process is began:
                await self.start()


class FakeSandbox:
    """A sandbox; `created` is the request that made it."""

    def __init__(
        self, home: Path, created: dict[str, Any], lifetime: float, died: asyncio.Event
    ) -> None:
        self.id = f"i{uuid.uuid4().hex[:19]}"
        self.created = created
        self.home = home
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            _MARK: self.id,
        }
        self.alive = True
        self.kernels: dict[str, FakeKernel] = {}
        self.commands: list[asyncio.subprocess.Process] = []
        self.exchanges: set[Exchange] = set()
        """Those under way; their lines are cut when the sandbox dies."""
        self._died = died
        self._expiry: asyncio.TimerHandle | None = None
        self.live(lifetime)

    def live(self, seconds: float) -> None:
        """Die `seconds` from now."""
        if self._expiry:
            self._expiry.cancel()
        self.lifetime = seconds
        self._expiry = asyncio.get_running_loop().call_later(seconds, self.kill)

    def kill(self) -> None:
        """End everything at once, as a power cut would."""
        if not self.alive:
            return
        self.alive = False
        assert self._expiry
        self._expiry.cancel()
        for kernel in self.kernels.values():
            kernel.kill()
        self._kill_processes()
        for exchange in self.exchanges:
            exchange.drop()
        self._died.set()

    def _kill_processes(self) -> bool:
        """Kill what runs; return whether something did."""
        # By their groups as well: while a process begins a program, it can't be told whose it is.
        groups = [command.pid for command in self.commands if command.returncode is None]
        running = self.processes()
        for kill, pids in ((os.killpg, groups), (os.kill, running)):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    kill(pid, signal.SIGKILL)
        return bool(groups or running)

    def processes(self) -> list[int]:
        """The ids of all processes that run in this sandbox."""
        mark = f"{_MARK}={self.id}".encode()
        found = []
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if folder.name.isdigit() and mark in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
        return found

    async def close(self) -> None:
        """Kill it and wait for its processes."""
        self.kill()
        for kernel in self.kernels.values():
            await kernel.stop()
        # Some may have been about to start.
        while self._kill_processes():  # noqa: ASYNC110 (the kernel tells nobody)
            await asyncio.sleep(0.02)
        for command in self.commands:
            await command.communicate()

    async def add_kernel(self) -> FakeKernel:
        """Make a context."""
        kernel = FakeKernel(self)
        await kernel.start()
        self.kernels[kernel.id] = kernel
        return kernel

    async def copy_into(self, other: "FakeSandbox") -> None:
        """Make `other` what this is: its kernels by running their cells again, then its files.

        The real one copies the memory.
        """
        for name, kernel in self.kernels.items():
            twin = FakeKernel(other)
            twin.id = name
            other.kernels[name] = twin
            await twin.start()
            for code in kernel.history:
                await twin.execute(code, asyncio.Queue())
        shutil.copytree(self.home, other.home, dirs_exist_ok=True, symlinks=True)

    def real(self, path: str) -> Path:
        """Where a path of the sandbox lies on this machine."""
        return self.home / path.removeprefix(HOME).lstrip("/")

    def named(self, path: Path) -> str:
        """What the sandbox calls a path of this machine."""
        return f"{HOME}/{path.relative_to(self.home)}"
