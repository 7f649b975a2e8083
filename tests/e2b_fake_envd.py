"""envd in the fake of E2B: files and commands, in Connect's JSON form."""

import asyncio
import base64
import json
import re
import signal
from pathlib import Path
from typing import Any

from tests.e2b_fake_faults import Fault, Stream
from tests.e2b_fake_http import Exchange
from tests.e2b_fake_sandbox import HOME, FakeSandbox

_END = 2
"""The flag of a Connect stream's last envelope."""


async def serve_envd(
    sandbox: FakeSandbox, exchange: Exchange, route: str, fault: Fault | None
) -> None:
    """Answer one request to a sandbox's envd."""
    match route:
        case "health":
            await exchange.reply(204)
        case "write":
            await _write(sandbox, exchange)
        case "read":
            await _read(sandbox, exchange)
        case "listdir":
            await _list(sandbox, exchange)
        case "start":
            await _start(sandbox, exchange, Stream(exchange, fault, sandbox.kill))
        case _:
            await exchange.reply(501, {"code": "unimplemented", "message": route})


async def _write(sandbox: FakeSandbox, exchange: Exchange) -> None:
    request = exchange.request
    if request.headers["content-type"] == "application/octet-stream":
        parts = {request.query["path"]: request.body}
    else:
        parts = _parts(request.headers["content-type"], request.body)
        if "path" in request.query:
            parts = {request.query["path"]: next(iter(parts.values()))}
    told = []
    for path, data in parts.items():
        real = sandbox.real(path)
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_bytes(data)
        told.append({"name": real.name, "type": "file", "path": sandbox.named(real)})
    await exchange.reply(200, told)


def _parts(kind: str, body: bytes) -> dict[str, bytes]:
    """Return the files of a multipart body by their names."""
    boundary = b"--" + kind.partition("boundary=")[2].encode()
    found = {}
    for part in body.split(boundary)[1:-1]:
        head, _, data = part.partition(b"\r\n\r\n")
        name = re.search(rb'filename="([^"]*)"', head)
        assert name
        found[name[1].decode()] = data.removesuffix(b"\r\n")
    return found


async def _read(sandbox: FakeSandbox, exchange: Exchange) -> None:
    path = sandbox.real(exchange.request.query["path"])
    if not path.is_file():
        await exchange.reply(404, {"code": 404, "message": f"path '{path}' does not exist"})
        return
    await exchange.reply(200, path.read_bytes(), "application/octet-stream")


async def _list(sandbox: FakeSandbox, exchange: Exchange) -> None:
    wanted = exchange.request.json()
    folder = sandbox.real(wanted["path"])
    if not folder.is_dir():
        await exchange.reply(404, {"code": "not_found", "message": "path not found"})
        return
    depth = int(wanted.get("depth", 1))
    inner = sorted(path for path in folder.rglob("*") if _depth(path, folder) <= depth)
    await exchange.reply(200, {"entries": [_entry(sandbox, path) for path in inner]})


def _depth(path: Path, folder: Path) -> int:
    return len(path.relative_to(folder).parts)


def _entry(sandbox: FakeSandbox, path: Path) -> dict[str, Any]:
    told = path.lstat()
    kind = "FILE_TYPE_DIRECTORY" if path.is_dir() else "FILE_TYPE_FILE"
    entry: dict[str, Any] = {
        "name": path.name,
        "type": kind if path.is_dir() or path.is_file() else "FILE_TYPE_UNSPECIFIED",
        "path": sandbox.named(path),
        "size": str(told.st_size),
        "mode": told.st_mode & 0o777,
        "modifiedTime": "2026-01-01T00:00:00Z",
    }
    if path.is_symlink():
        entry |= {"isSymlink": True, "symlinkTarget": str(path.readlink())}
    return entry


async def _start(sandbox: FakeSandbox, exchange: Exchange, stream: Stream) -> None:
    """Run a command; like the real one it outlives a client that goes away."""
    wanted = json.loads(exchange.request.body[5:])["process"]
    process = await asyncio.create_subprocess_exec(
        wanted["cmd"],
        *[argument for argument in wanted["args"] if argument != "-l"],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=sandbox.real(wanted.get("cwd", HOME)),
        env={**sandbox.environment, **wanted.get("envs", {})},
        start_new_session=True,
    )
    sandbox.commands.append(process)
    assert process.stdout and process.stderr
    try:
        await stream.begin("application/connect+json")
        await stream.send(_event("start", {"pid": process.pid}))
        async with asyncio.TaskGroup() as group:
            group.create_task(_relay(process.stdout, "stdout", stream))
            group.create_task(_relay(process.stderr, "stderr", stream))
        await stream.send(_event("end", _ending(await process.wait())))
        await stream.send(_envelope(_END, {}))
        await stream.end()
    except* ConnectionError:
        pass


async def _relay(source: asyncio.StreamReader, name: str, stream: Stream) -> None:
    while data := await source.read(1 << 15):
        await stream.send(_event("data", {name: base64.b64encode(data).decode()}))


def _ending(code: int) -> dict[str, Any]:
    if code < 0:
        status = f"signal: {signal.Signals(-code).name}"
        return {"exitCode": -1, "exited": False, "status": status, "error": status}
    ending: dict[str, Any] = {"exitCode": code, "exited": True, "status": f"exit status {code}"}
    return {**ending, "error": ending["status"]} if code else ending


def _event(kind: str, value: dict[str, Any]) -> bytes:
    return _envelope(0, {"event": {kind: value}})


def _envelope(flags: int, value: dict[str, Any]) -> bytes:
    body = json.dumps(value).encode()
    return bytes([flags]) + len(body).to_bytes(4, "big") + body
