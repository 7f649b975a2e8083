"""A very small HTTP/1.1 server for fakes: one request a connection, streams, dropped lines."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes

    def json(self) -> Any:
        """The body's value, `{}` where it is empty."""
        return json.loads(self.body or b"{}")


class Exchange:
    """One request and the line to whoever made it."""

    def __init__(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.request = request
        self._reader = reader
        self._writer = writer

    async def gone(self) -> None:
        """Return when the client has hung up."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(4096):
                pass

    async def reply(self, status: int, value: Any = None, kind: str = "application/json") -> None:
        """Answer in one piece: bytes and text as they are, anything else as JSON."""
        body = value if isinstance(value, bytes) else b""
        if isinstance(value, str):
            body = value.encode()
        elif value is not None and not isinstance(value, bytes):
            body = json.dumps(value).encode()
        length = [] if status == 204 else [f"Content-Length: {len(body)}"]
        self._writer.write(_head(status, [f"Content-Type: {kind}", *length]) + body)
        await self._writer.drain()

    async def stream(self, kind: str) -> None:
        """Begin an answer that comes in chunks."""
        self._writer.write(_head(200, [f"Content-Type: {kind}", "Transfer-Encoding: chunked"]))
        await self._writer.drain()

    async def chunk(self, data: bytes) -> None:
        """Send one chunk of a stream."""
        self._writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await self._writer.drain()

    async def end(self) -> None:
        """End a stream as it should end."""
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    def drop(self) -> None:
        """Cut the line, within a stream or before any answer."""
        self._writer.transport.abort()


class HttpServer:
    """Serves `handle` on a free port of this machine, for as long as the context is open."""

    def __init__(self, handle: Callable[[Exchange], Awaitable[None]]) -> None:
        self._handle = handle
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: list[Exception] = []
        """What was the fake's own fault."""
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        if self._broken:
            raise ExceptionGroup("the fake broke", self._broken)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            await self._handle(Exchange(await _received(reader), reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # The client left, or the server closes.
            pass
        except Exception as error:
            self._broken.append(error)
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def _received(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    fields = [line.partition(":") for line in head[1:] if line]
    headers = {name.lower(): value.strip() for name, _, value in fields}
    if headers.get("transfer-encoding") == "chunked":
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return Request(method, unquote(parts.path), query, headers, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size + 2)
        body = body[:-2]
    await reader.readuntil(b"\r\n")
    return body


def _head(status: int, fields: list[str]) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *fields, "Connection: close", "", ""]
    return "\r\n".join(lines).encode()
