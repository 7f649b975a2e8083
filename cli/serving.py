"""A server for one page on this machine's own address, for who knows its token.

Any page that a browser shows can send requests to this machine. So a request needs the token, the
server's own address in `Host` (a stranger's name may resolve to it), and no other `Origin`.
"""

import asyncio
import hmac
import json
import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import ValidationError

from opencodeinterpreter.cli.following import Following
from opencodeinterpreter.graph.seeds import Edit
from opencodeinterpreter.nodes.records import Decision
from opencodeinterpreter.tools.errors import InputError, OutsideError
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.person import PersonAnswer
from opencodeinterpreter.tools.validation import first_problem
from opencodeinterpreter.traces.page.document import html, policy

_MOST_BYTES = 1_000_000
_PATIENCE = 60.0


class _Answer(Frozen):
    run: str
    turn: int
    answer: PersonAnswer


class _Branch(Frozen):
    run: str
    turn: int
    feedback: str | None = None
    code: str | None = None
    verdict: Decision | None = None


@dataclass(frozen=True)
class Site:
    """What is served, and to whom."""

    following: Following
    loop: asyncio.AbstractEventLoop
    """The loop on which runs are read and continued."""
    token: str
    port: int

    def awaited(self, work: Any) -> Any:
        """Run a coroutine on the loop and return what it gives."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(_PATIENCE)

    def get(self, path: str, query: dict[str, list[str]]) -> tuple[str, bytes] | None:
        """Return the type and content of a path; `None` for an unknown one."""
        if path == "/":
            return "text/html; charset=utf-8", html(self.awaited(self.following.page())).encode()
        if path == "/news":
            text = query.get("since", ["0"])[0]
            since = int(text) if text.isdecimal() and len(text) < 15 else 0
            return "application/json", _json(self.awaited(self.following.news(since)))
        return None

    def post(self, path: str, body: bytes) -> bytes | None:
        """Do what a path names and return the answer; raises InputError, ValidationError."""
        if path == "/answer":
            asked = _Answer.model_validate_json(body)
            self.awaited(self.following.answer(asked.run, asked.turn, asked.answer))
            return _json({})
        if path == "/branch":
            wanted = _Branch.model_validate_json(body)
            edit = Edit(feedback=wanted.feedback, code=wanted.code, verdict=wanted.verdict)
            return _json(
                {"run": self.awaited(self.following.branch(wanted.run, wanted.turn, edit))}
            )
        return None


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


class _Handler(BaseHTTPRequestHandler):
    site: Site
    server_version = "opencodeinterpreter"
    sys_version = ""

    def do_GET(self) -> None:
        if (query := self._allowed()) is not None:
            try:
                found = self.site.get(urlsplit(self.path).path, query)
            except (InputError, OutsideError) as error:
                return self._refuse(error)
            kind, body = found or ("text/plain", b"not found")
            self._send(kind, body, 200 if found else 404)
        return None

    def do_POST(self) -> None:
        if self._allowed() is None:
            return None
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _MOST_BYTES:
            return self._send("text/plain", b"too long", 413)
        if self.headers.get("Content-Type") != "application/json":
            return self._send("text/plain", b"send JSON", 415)
        try:
            done = self.site.post(urlsplit(self.path).path, self.rfile.read(int(length)))
        except ValidationError as error:
            return self._send(
                "application/json", _json({"problem": str(first_problem(error))}), 400
            )
        except (InputError, OutsideError) as error:
            return self._send("application/json", _json({"problem": str(error)}), 400)
        return self._send("application/json", done or _json({}), 200 if done is not None else 404)

    def _allowed(self) -> dict[str, list[str]] | None:
        """Return the request's query, or refuse it and return `None`."""
        query = parse_qs(urlsplit(self.path).query)
        token = self.headers.get("X-Token") or query.get("token", [""])[0]
        port = self.site.port
        hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in hosts:
            self._send("text/plain", b"this is not the server's address", 403)
        elif origin is not None and origin.removeprefix("http://") not in hosts:
            self._send("text/plain", b"another page may not ask", 403)
        elif not hmac.compare_digest(token.encode(), self.site.token.encode()):
            self._send("text/plain", b"open the address that `view --serve` printed", 403)
        else:
            return query
        return None

    def _refuse(self, why: object) -> None:
        self._send("application/json", _json({"problem": str(why)}), 400)

    def _send(self, kind: str, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": f"{policy(live=True)}; frame-ancestors 'none'",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a method or a request that is none, in plain text."""
        self.close_connection = True
        self._send("text/plain", f"{code} {message or 'not understood'}".encode(), code)

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log: addresses hold the token."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let a browser go that closed its page before the answer; other errors are shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving(following: Following, port: int) -> Iterator[str]:
    """Serve a page on this machine; yield its address. Must be called on the loop of the runs.

    Raises InputError if the port is taken.
    """
    try:
        server = _Server(("127.0.0.1", port), _Handler)
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"--port {port}: {why}; leave it out to get a free one") from None
    token, found = secrets.token_urlsafe(24), int(server.server_address[1])
    site = Site(following, asyncio.get_running_loop(), token, found)
    server.RequestHandlerClass = type("Handler", (_Handler,), {"site": site})
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    thread.start()
    try:
        yield f"http://127.0.0.1:{found}/?token={token}"
    finally:
        # Not awaited by `with`: its requests run on this loop, which is on its way out.
        server.shutdown()
        thread.join()
        server.server_close()
