"""`vllm-serve:MODEL`: a vLLM server that is started, watched and restarted when it dies."""

import asyncio
import contextlib
import json
import logging
import math
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pydantic import SecretStr

from opencodeinterpreter.tools.errors import ModelError
from opencodeinterpreter.tools.models.breaker import Breaker
from opencodeinterpreter.tools.models.endpoint import Endpoint, OpenAIModel, open_chat
from opencodeinterpreter.tools.models.faults import AttemptFailed, Fault
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.spec import Spec
from opencodeinterpreter.tools.models.vllm.options import (
    VLLMOptions,
    server_arguments,
    server_environment,
    vllm_options,
)

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

_START_SECONDS = 1800.0
"""Reading a large model from a slow disk takes many minutes."""
_END_SECONDS = 15.0
_POLL_SECONDS = 0.25
_RESTARTS = 3
"""Failed restarts in a row after which the server is given up."""

log = logging.getLogger("opencodeinterpreter")


class Server:
    """A vLLM server in its own process group; restarts keep its URL and key."""

    def __init__(self, spec: str, options: VLLMOptions) -> None:
        self.spec = spec
        self.name = Path(options.model).name
        self.key = secrets.token_urlsafe(24)
        self.starts = 0
        self._port = _free_port()
        self._arguments = server_arguments(options, self.name, self._port)
        self._process: asyncio.subprocess.Process | None = None
        self._healthy = asyncio.Event()
        self._given_up: Fault | None = None

    @property
    def url(self) -> str:
        """The base URL of its OpenAI API."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def pid(self) -> int:
        """The id of the process and of its group."""
        assert self._process is not None, "the server is not started"
        return self._process.pid

    async def ready(self) -> None:
        """Wait until the server answers; raises AttemptFailed once it has been given up."""
        await self._healthy.wait()
        if self._given_up:
            raise AttemptFailed(self._given_up)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the server up until the context ends.

        Raises ModelError if the first start fails.
        """
        # An unlinked file: nothing is left behind, however this process ends.
        output = await asyncio.to_thread(tempfile.TemporaryFile)
        watching: asyncio.Task[None] | None = None
        try:
            if not await self._start(output):
                said = await asyncio.to_thread(_last_of, output)
                raise ModelError(f"{self.spec}: vLLM's server did not start: {said}")
            watching = asyncio.create_task(self._watch(output))
            yield
        finally:
            if watching:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            await self._end()
            output.close()

    async def _watch(self, output: IO[bytes]) -> None:
        """Restart the server whenever it ends, until it is given up."""
        while self._process is not None:
            await self._process.wait()
            self._healthy.clear()
            log.warning("%s: the server ended (%s); restarting it", self.spec, self._status())
            for _ in range(_RESTARTS):
                await self._end()
                if await self._start(output):
                    break
            else:
                said = await asyncio.to_thread(_last_of, output)
                self._given_up = Fault(
                    text=f"vLLM's server ended and did not restart: {said}",
                    advice="check memory and that nothing kills it; then resume the run",
                    transient=False,
                )
                self._healthy.set()
                return

    async def _start(self, output: IO[bytes]) -> bool:
        """Start the process and wait until it is healthy; return whether it is."""
        self.starts += 1
        await asyncio.to_thread(_emptied, output)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "opencodeinterpreter.tools.models.vllm.server_process",
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=server_environment(self.key),
            start_new_session=True,
        )
        assert self._process.stdin
        self._process.stdin.write(json.dumps(self._arguments).encode() + b"\n")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_SECONDS):
                while self._process.returncode is None:
                    if await self._answers():
                        self._healthy.set()
                        return True
                    await asyncio.sleep(_POLL_SECONDS)
        return False

    async def _answers(self) -> bool:
        """Return whether GET /health answers 200."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        try:
            writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b" 200 " in await reader.readline()
        except OSError:
            return False
        finally:
            writer.close()

    async def _end(self) -> None:
        """Stop the process and its whole group."""
        process = self._process
        if process is None:
            return
        assert process.stdin
        process.stdin.close()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await process.wait()
        except TimeoutError:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    def _status(self) -> str:
        code = self._process.returncode if self._process else None
        return f"signal {-code}" if code is not None and code < 0 else f"status {code}"


class ServedModel(OpenAIModel):
    """The model of a supervised server; an attempt waits while the server restarts."""

    def __init__(
        self, chat: "ChatOpenAI", endpoint: Endpoint, options: ModelOptions, server: Server
    ) -> None:
        super().__init__(chat, endpoint, options)
        self._server = server
        self._breaker = Breaker(failures=math.inf)  # the supervisor knows whether it is down

    async def ready(self) -> None:
        """Wait until the server answers; raises AttemptFailed once it has been given up."""
        await self._server.ready()


@asynccontextmanager
async def open_served(spec: Spec, options: ModelOptions) -> AsyncIterator[ServedModel]:
    """Yield the model of a vLLM server that runs until the context ends.

    Raises InputError if an option is invalid, ModelError if the server does not start.
    """
    server = Server(spec.text, vllm_options(spec.name, options.engine))
    async with server.running():
        endpoint = Endpoint(
            spec=spec.text,
            name=server.name,
            url=server.url,
            key=SecretStr(server.key),
            through_proxy=False,
        )
        async with open_chat(endpoint, options) as chat:
            yield ServedModel(chat, endpoint, options, server)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _emptied(output: IO[bytes]) -> None:
    output.seek(0)  # the server's file descriptor shares this position
    output.truncate()


def _last_of(output: IO[bytes]) -> str:
    """Return the last line with an error, or the last line, of the server's output."""
    output.seek(0)
    said = output.read().decode(errors="replace").strip().splitlines()
    errors = [line for line in said if "Error" in line]
    return (errors or said or ["no output"])[-1].strip()[:400]
