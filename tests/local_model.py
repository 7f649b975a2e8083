"""The embedded model, for tests that ask it."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from opencodeinterpreter.tools.errors import OpenCodeInterpreterError
from opencodeinterpreter.tools.models.llama.catalogue import CATALOGUE
from opencodeinterpreter.tools.models.llama.fetching import fetch_model
from opencodeinterpreter.tools.models.llama.model import check_local

_SERVER = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_parallel, params.n_ctx = 4, 4 * 2048
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.hostnames, params.port = ["127.0.0.1"], 0
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


def require_local_model(name: str = "smollm2") -> Path:
    """Fetch the model if it is not in the user's cache; skip the test if that fails."""
    try:
        check_local(name)
        # In a thread, since an async test has an event loop of its own already.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, fetch_model(CATALOGUE[name])).result()
    except OpenCodeInterpreterError as error:
        pytest.skip(str(error))


@contextmanager
def llama_cpp_server(model: Path) -> Iterator[str]:
    """Run llama.cpp's own server as somebody else would, without a key; yield its URL."""
    command = [sys.executable, "-c", _SERVER, str(model)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=quiet, text=True
    ) as process:
        assert process.stdout
        try:
            yield f"{process.stdout.readline().strip()}/v1"
        finally:
            process.kill()
