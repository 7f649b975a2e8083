"""The real LangGraph development server on `langgraph.json`, with a scripted model."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent
START_SECONDS = 120.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A server whose state is in a folder; it can be killed and started again."""

    folder: Path
    environment: dict[str, str]
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> str:
        """The store, as for the command."""
        return str(self.folder / "runs.sqlite")

    def start(self) -> None:
        command = [str(Path(sys.executable).with_name("langgraph")), "dev"]
        options = ["--no-browser", "--no-reload", "--n-jobs-per-worker", "10"]
        config = ["--port", str(self.port), "--config", str(ROOT / "langgraph.json")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *options, *config],
                env=self.environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        began = time.monotonic()
        while time.monotonic() - began < START_SECONDS:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            try:
                if httpx.get(f"{self.url}/ok").status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.2)
        raise AssertionError((self.folder / "log").read_text())

    def kill(self) -> None:
        """Kill the server and all that it started, as `kill -9` does."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """Stop the server as SIGTERM does."""
        if self.process is not None:
            os.kill(self.process.pid, signal.SIGTERM)
            self.process.wait(60)
            self.kill_rest()

    def kill_rest(self) -> None:
        self.process = None


@contextmanager
def serving(folder: Path, model: str, **environment: str) -> Iterator[Server]:
    """Start a server whose usual model is `model`; kill it at the end."""
    server = Server(
        folder,
        {
            **os.environ,
            "OPENCODEINTERPRETER_MODEL": model,
            "OPENCODEINTERPRETER_STORE": str(folder / "runs.sqlite"),
            "LANGGRAPH_CLI_NO_ANALYTICS": "1",
            "LANGGRAPH_NO_VERSION_CHECK": "true",
            **environment,
        },
        free_port(),
    )
    try:
        server.start()
        yield server
    finally:
        server.kill()
