"""The code interpreter of the fake of E2B: contexts, and cells whose events are streamed."""

import asyncio
import json
from typing import Any

from tests.e2b_fake_faults import Fault, Silence, Stream
from tests.e2b_fake_http import Exchange
from tests.e2b_fake_sandbox import HOME, FakeKernel, FakeSandbox

_KEEPALIVE_SECONDS = 0.2
"""Shorter than the real server's five, so that tests see some."""
_KEEPALIVE = {"type": "keepalive"}


async def serve_interpreter(
    sandbox: FakeSandbox, exchange: Exchange, route: str, fault: Fault | None
) -> None:
    """Answer one request to a sandbox's code interpreter."""
    request = exchange.request
    if route == "execute":
        await _execute(sandbox, exchange, Stream(exchange, fault, sandbox.kill), fault)
        return
    if request.path == "/contexts":
        if request.method == "POST":
            await exchange.reply(200, _described(await sandbox.add_kernel()))
        else:
            await exchange.reply(200, [_described(kernel) for kernel in sandbox.kernels.values()])
        return
    kernel = sandbox.kernels.get(request.path.split("/")[2])
    if kernel is None:
        await exchange.reply(404, "Context not found", "text/plain")
    elif route == "restart":
        await kernel.restart()
        await exchange.reply(200, {})
    else:
        del sandbox.kernels[kernel.id]
        await kernel.stop()
        await exchange.reply(204)


def _described(kernel: FakeKernel) -> dict[str, str]:
    return {"id": kernel.id, "language": "python", "cwd": HOME}


async def _execute(
    sandbox: FakeSandbox, exchange: Exchange, stream: Stream, fault: Fault | None
) -> None:
    wanted = exchange.request.json()
    kernel = sandbox.kernels.get(wanted["context_id"])
    if kernel is None:
        await exchange.reply(404, f"Context {wanted['context_id']} not found", "text/plain")
        return
    events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    gone = asyncio.create_task(exchange.gone())
    telling = asyncio.create_task(_tell(events, stream))
    cell = None
    if not isinstance(fault, Silence):
        cell = asyncio.create_task(kernel.execute(wanted["code"], events))
    try:
        await asyncio.wait({telling, gone}, return_when=asyncio.FIRST_COMPLETED)
        if cell and not cell.done():
            kernel.interrupt()
            # The context is busy until the cell has ended, however long it fights the interrupt.
            await cell
    finally:
        for task in (gone, telling, cell):
            if task:
                task.cancel()
        await asyncio.gather(gone, telling, return_exceptions=True)


async def _tell(events: asyncio.Queue[dict[str, Any] | None], stream: Stream) -> None:
    await stream.begin("application/x-ndjson")
    while True:
        try:
            async with asyncio.timeout(_KEEPALIVE_SECONDS):
                event = await events.get()
        except TimeoutError:
            event = _KEEPALIVE
        if event is None:
            break
        await stream.send(json.dumps(event).encode() + b"\n")
    await stream.end()
