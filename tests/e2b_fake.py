"""A fake of E2B that speaks its protocol, for the unmodified SDK: API, code interpreter, envd.

    async with FakeE2B() as fake, opened(fake) as sandbox:
        fake.fail("execute", Refuse(502), Drop(after=3))
        ...

Sandboxes, kernels and processes are real, and so is what they do; nothing isolates them. Each
fault is met by one request on its route, in their order. The routes are those of `_ROUTES`.
"""

import asyncio
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, unquote

from pydantic import SecretStr

from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.sandbox.e2b.sandbox import E2BSandbox, open_e2b_sandbox
from opencodeinterpreter.tools.sandbox.e2b.settings import E2BSettings
from tests.e2b_fake_envd import serve_envd
from tests.e2b_fake_faults import Drop, Fault, Refuse, Silence
from tests.e2b_fake_http import Exchange, HttpServer
from tests.e2b_fake_interpreter import serve_interpreter
from tests.e2b_fake_sandbox import FakeSandbox

KEY = "e2b_0123456789abcdef0123456789abcdef01234567"
"""The only key that the fake takes."""
_ROUTES = [
    (re.compile(f"{pattern}$"), route)
    for pattern, route in (
        ("POST /v2/sandboxes", "create"),
        ("GET /v2/sandboxes", "list"),
        ("DELETE /sandboxes/[^/]+", "kill"),
        ("POST /sandboxes/[^/]+/timeout", "timeout"),
        ("POST /sandboxes/[^/]+/fork", "fork"),
        ("GET /health", "health"),
        ("POST /execute", "execute"),
        ("(GET|POST) /contexts", "contexts"),
        ("DELETE /contexts/[^/]+", "contexts"),
        ("POST /contexts/[^/]+/restart", "restart"),
        ("POST /files", "write"),
        ("GET /files", "read"),
        ("POST /filesystem.Filesystem/ListDir", "listdir"),
        ("POST /process.Process/Start", "start"),
    )
]
_API = ("create", "list", "kill", "timeout", "fork")
_INTERPRETER = ("execute", "contexts", "restart")
_LIFETIME = 300.0


@asynccontextmanager
async def opened(
    fake: "FakeE2B", *, limits: SandboxLimits | None = None, key: str = KEY, **settings: Any
) -> AsyncIterator[E2BSandbox]:
    """Open the sandbox that is to be tested, on the fake, in no more haste than it is told."""
    wanted = {"creations_per_second": 1000.0, "call_seconds": 20.0, **settings}
    known = E2BSettings(api_url=fake.url, sandbox_url=fake.url, **wanted)
    async with open_e2b_sandbox(known, key=SecretStr(key), limits=limits) as sandbox:
        yield sandbox


class FakeE2B:
    """The fake; see the module's text."""

    def __init__(self) -> None:
        self.sandboxes: dict[str, FakeSandbox] = {}
        """All that ever were, by id, the oldest first."""
        self.asked: list[str] = []
        """The route of each request."""
        self.created_at: list[float] = []
        """The loop's time of each request to create, refused ones included."""
        self.creations: list[dict[str, str]] = []
        """The headers of those requests."""
        self.most_alive = 0
        self._faults: dict[str, list[Fault]] = defaultdict(list)
        self._server = HttpServer(self._serve)
        self._keys: dict[str, FakeSandbox] = {}
        self._changed = asyncio.Event()
        """Set at each request and when a sandbox dies."""

    @property
    def url(self) -> str:
        """Where it listens: the API and the sandboxes alike."""
        return self._server.url

    @property
    def alive(self) -> list[FakeSandbox]:
        """The sandboxes that run."""
        return [sandbox for sandbox in self.sandboxes.values() if sandbox.alive]

    @property
    def last(self) -> FakeSandbox:
        """The newest sandbox."""
        return list(self.sandboxes.values())[-1]

    def fail(self, route: str, *faults: Fault) -> None:
        """Let the next requests on `route` meet `faults`."""
        assert route in {name for _, name in _ROUTES}
        self._faults[route] += faults

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once `holds` does; raises TimeoutError if that takes too long."""
        async with asyncio.timeout(20):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def down_to(self, count: int) -> None:
        """Return once no more than `count` sandboxes run."""
        await self.until(lambda: len(self.alive) <= count)

    async def quiet(self) -> None:
        """Return once no process runs in a sandbox that died; raises TimeoutError."""
        dead = [sandbox for sandbox in self.sandboxes.values() if not sandbox.alive]
        async with asyncio.timeout(20):
            while any(sandbox.processes() for sandbox in dead):  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.02)

    async def __aenter__(self) -> Self:
        self._folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="e2b-fake-"))
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._server.__aexit__()
        finally:
            for sandbox in self.sandboxes.values():
                await sandbox.close()
            await asyncio.to_thread(shutil.rmtree, self._folder)

    def add(self, created: dict[str, Any]) -> FakeSandbox:
        """Make a sandbox, as a request to create does."""
        home = self._folder / f"{len(self.sandboxes)}"
        home.mkdir()
        sandbox = FakeSandbox(home, created, created.get("timeout", _LIFETIME), self._changed)
        self.sandboxes[sandbox.id] = sandbox
        self.most_alive = max(self.most_alive, len(self.alive))
        return sandbox

    async def _serve(self, exchange: Exchange) -> None:
        asked = f"{exchange.request.method} {exchange.request.path}"
        route = next((name for pattern, name in _ROUTES if pattern.match(asked)), asked)
        self.asked.append(route)
        self._changed.set()
        if route == "create":
            self.created_at.append(asyncio.get_running_loop().time())
            self.creations.append(exchange.request.headers)
        fault = self._faults[route].pop(0) if self._faults[route] else None
        streamed = route in ("execute", "start")
        if isinstance(fault, Refuse):
            message = f"{route} was refused by the test"
            await exchange.reply(fault.status, {"code": fault.status, "message": message})
        elif isinstance(fault, Silence) and route != "execute":
            await exchange.gone()
        elif isinstance(fault, Drop) and not streamed:
            exchange.drop()
        elif route in _API:
            await self._api(exchange, route)
        else:
            await self._sandbox(exchange, route, fault)

    async def _sandbox(self, exchange: Exchange, route: str, fault: Fault | None) -> None:
        name = exchange.request.headers.get("e2b-sandbox-id", "")
        sandbox = self.sandboxes.get(name)
        if sandbox is None or not sandbox.alive:
            gone = {"sandboxId": name, "message": "The sandbox was not found", "code": 502}
            await exchange.reply(502, gone)
            return
        serve = serve_interpreter if route in _INTERPRETER else serve_envd
        sandbox.exchanges.add(exchange)
        try:
            await serve(sandbox, exchange, route, fault)
        finally:
            sandbox.exchanges.discard(exchange)

    async def _api(self, exchange: Exchange, route: str) -> None:
        if exchange.request.headers.get("x-api-key") != KEY:
            await exchange.reply(401, {"code": 401, "message": "Invalid API key"})
        elif route == "create":
            await exchange.reply(201, _described(self._create(exchange)))
        elif route == "list":
            await exchange.reply(200, self._list(exchange.request.query.get("metadata", "")))
        else:
            await self._one(exchange, route)

    def _create(self, exchange: Exchange) -> FakeSandbox:
        key = exchange.request.headers.get("idempotency-key", "")
        if key not in self._keys:
            self._keys[key] = self.add(exchange.request.json())
        return self._keys[key]

    def _list(self, query: str) -> list[dict[str, Any]]:
        wanted = {unquote(name): unquote(value) for name, value in parse_qsl(query)}
        return [
            _described(sandbox)
            for sandbox in self.alive
            if wanted.items() <= sandbox.created.get("metadata", {}).items()
        ]

    async def _one(self, exchange: Exchange, route: str) -> None:
        sandbox = self.sandboxes.get(exchange.request.path.split("/")[2])
        if sandbox is None or not sandbox.alive:
            await exchange.reply(404, {"code": 404, "message": "sandbox not found"})
            return
        wanted = exchange.request.json()
        if route == "kill":
            sandbox.kill()
            await exchange.reply(204)
        elif route == "timeout":
            sandbox.live(wanted["timeout"])
            await exchange.reply(204)
        else:
            twin = self.add({**sandbox.created, **wanted})
            await sandbox.copy_into(twin)
            await exchange.reply(201, [{"sandbox": _described(twin)}])


def _described(sandbox: FakeSandbox) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "templateID": sandbox.created.get("templateID", "code-interpreter-v1"),
        "sandboxID": sandbox.id,
        "clientID": "fake",
        "envdVersion": "0.6.4",
        "envdAccessToken": "secret",
        "metadata": sandbox.created.get("metadata", {}),
        "startedAt": now.isoformat(),
        "endAt": (now + timedelta(seconds=sandbox.lifetime)).isoformat(),
        "cpuCount": 2,
        "memoryMB": 512,
        "diskSizeMB": 1024,
        "state": "running",
    }
