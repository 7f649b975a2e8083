"""Environments of their own for tests that need what nobody else does, made on first use."""

import subprocess
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
TORCH = "torch==2.13.0+cpu"


def python_in(folder: Path, install: Callable[[Path], str | None]) -> Path | None:
    """Return the Python of an environment, which is made where it is not complete.

    `install` gets the Python of a new one and returns why it cannot fill it, or None. If it
    cannot, this says that the tests are skipped, and why.
    """
    python, done = folder / "bin" / "python", folder / ".complete"
    if not done.is_file():
        venv.create(folder, with_pip=True, clear=True)
        if (reason := install(python)) is not None:
            print(f"skipped: {reason}")
            return None
        done.touch()
    return python


def pip_install(python: Path, *what: str | Path) -> None:
    """Install packages; raises subprocess.CalledProcessError."""
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *what], check=True)


def install_torch(python: Path) -> str | None:
    """Install the build of torch for processors; return why that is impossible, or None."""
    try:
        pip_install(python, TORCH)
    except subprocess.CalledProcessError:
        return (
            f"pip finds no {TORCH}, the build for processors; "
            "tell it where one is, with PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL"
        )
    return None
