"""`local:NAME` and `local:PATH.gguf`: a model on this machine's processor, without a service.

It is served by llama.cpp (extra `local`) in a child process and asked by the same client as any
server. One and the same request gets one and the same text, greedy or with a seed, alone or
beside others.
"""

import asyncio
import contextlib
import importlib.util
import json
import os
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from pydantic import SecretStr

from opencodeinterpreter.tools.errors import InputError, ModelError
from opencodeinterpreter.tools.models.endpoint import Endpoint, OpenAIModel, open_endpoint
from opencodeinterpreter.tools.models.llama.catalogue import CATALOGUE
from opencodeinterpreter.tools.models.llama.fetching import fetch_model
from opencodeinterpreter.tools.models.options import ModelOptions

_SLOTS = 4
_FILE_CONTEXT = 4096
"""Tokens of one conversation, answer included, of a model that is not in the catalogue."""
_MOST_THREADS = 8
_NO_SPINNING = {"OMP_WAIT_POLICY": "PASSIVE"}
"""llama.cpp's threads wait for each other after each of a token's hundreds of steps, by OpenMP.

Those that spin meanwhile keep the one they wait for off its core: with anything else running on
the machine, an answer takes many times as long.
"""
_START_SECONDS = 120.0
_END_SECONDS = 5.0


def check_local(name: str) -> None:
    """Raise InputError where `local:name` cannot be opened on this machine."""
    if name not in CATALOGUE:
        _check_file(Path(name))
    if importlib.util.find_spec("xllamacpp") is None:
        raise InputError(
            f"local:{name} needs the extra `local`: pip install 'opencodeinterpreter[local]' "
            "(or uv pip install 'opencodeinterpreter[local]'); or name another model, "
            "as in openai:NAME@URL"
        )


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise InputError(
            f"local:{path} cannot be read ({error.strerror}); "
            f"name a GGUF file, or one of {', '.join(CATALOGUE)}"
        ) from None
    if magic != b"GGUF":
        raise InputError(f"local:{path} is not a GGUF file: it does not begin with GGUF")


@asynccontextmanager
async def open_local(name: str, options: ModelOptions) -> AsyncIterator[OpenAIModel]:
    """Yield the model that `local:name` means, served for as long as the context is open.

    Raises InputError where the extra or the file is missing, and ModelError where the embedded
    model cannot be fetched or the server does not start.
    """
    await asyncio.to_thread(check_local, name)
    known = CATALOGUE.get(name)
    path = await fetch_model(known) if known else Path(name)
    context = known.context if known else _FILE_CONTEXT
    async with _served(path, context) as (url, key):
        endpoint = Endpoint(
            spec=f"local:{name}", name=path.name, url=url, key=key, through_proxy=False
        )
        async with open_endpoint(endpoint, options) as model:
            yield model


@asynccontextmanager
async def _served(path: Path, context: int) -> AsyncIterator[tuple[str, SecretStr]]:
    """Yield the URL and key of a server of the file at `path`; the server ends with the context."""
    key = secrets.token_urlsafe(24)
    log = await asyncio.to_thread(tempfile.TemporaryFile)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "opencodeinterpreter.tools.models.llama.server_process",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
        env={**_NO_SPINNING, **os.environ},
        start_new_session=True,  # Ctrl-C is for the parent, which then closes its child
    )
    try:
        url = await _started(process, path, context, key)
        if url is None:
            raise ModelError(await asyncio.to_thread(_complaint, path, log))
        yield url, SecretStr(key)
    finally:
        await _end(process)
        log.close()


async def _started(
    process: asyncio.subprocess.Process, path: Path, context: int, key: str
) -> str | None:
    """Tell a new server what to serve; return its URL, or None where it does not start."""
    assert process.stdin and process.stdout
    wanted = {
        "path": str(path),
        "name": path.name,
        "slots": _SLOTS,
        "context": context,
        "threads": _threads(),
        "key": key,
    }
    process.stdin.write(json.dumps(wanted).encode() + b"\n")
    try:
        async with asyncio.timeout(_START_SECONDS):
            line = await process.stdout.readline()
    except TimeoutError:
        return None
    return str(json.loads(line)["url"]) if line else None


def _complaint(path: Path, log: IO[bytes]) -> str:
    log.seek(0)
    said = log.read().decode(errors="replace").strip().splitlines()
    why = said[-1] if said else "it said nothing"
    cure = "check that the file is whole and that memory suffices"
    if "cannot open shared object file" in why:
        # Slim images leave out what compiled code needs.
        cure = "install that library of the system's (libgomp1 on Debian and Ubuntu)"
    return f"llama.cpp did not start with {path}: {why}; {cure}"


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdin
    process.stdin.close()
    try:
        async with asyncio.timeout(_END_SECONDS):
            await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _threads() -> int:
    """Return how many threads compute: one for each core that this process may use, at most eight.

    Writing tokens is bound by memory, which more threads do not make faster.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores or 1, _MOST_THREADS)
