"""Nothing is sent to LangSmith unless our own variable asks for it, and never by a replay."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, os, sys
from langchain_core.tracers.langchain import wait_for_all_tracers
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import trace_of
from tests.scripts import World

async def main(path, switch):
    async with open_store(path) as store:
        run = await World().run(store)
    os.environ["LANGSMITH_TRACING"] = switch
    assert (await replay(trace_of(run))).identical

asyncio.run(main(*sys.argv[1:]))
wait_for_all_tracers()
"""
"""Runs a task in a store and replays it: `python -c PROGRAM STORE SWITCH`."""


class Service(BaseHTTPRequestHandler):
    """Takes whatever is sent, and counts the bytes."""

    received = 0

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def do_POST(self) -> None:
        Service.received += len(self.rfile.read(int(self.headers.get("content-length") or 1)))
        self.send_response(202)
        self.end_headers()
        self.wfile.write(b"{}")

    do_PATCH = do_POST

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    Service.received = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("first", "asked", "sent"),
    [("true", "", False), ("true", "langsmith", True), ("", "langsmith", False)],
    ids=["LangSmith's variable alone", "ours as well", "ours, for a replay"],
)
def test_runs_are_traced_only_if_asked_and_replays_never(
    tmp_path: Path, endpoint: str, first: str, asked: str, sent: bool
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "runs.sqlite"), "true"],
        env={
            **os.environ,
            "LANGSMITH_TRACING": first,
            "LANGSMITH_ENDPOINT": endpoint,
            "LANGSMITH_API_KEY": "no key at all",
            "OPENCODEINTERPRETER_TRACING": asked,
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (Service.received > 0) is sent
