"""Let other tools read what `export` and `evaluate` write, in an environment that this makes.

    python scripts/test_formats.py FOLDER [pytest's arguments]

Harbor needs Python 3.12 or later, so the newest Python found is taken: on the path, or one of
pyenv's. With an older one, Harbor's test is skipped and says so.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
READERS = ("inspect-ai", "arize-phoenix", "datasets")
HARBOR = "harbor"
"""Installed where Python is new enough."""
EVALPLUS = "evalplus"
"""Installed alone: most of what it requires serves its own models, and weighs gigabytes."""
CHECKER = ["appdirs", "datasets", "fire", "multipledispatch", "numpy", "psutil", "rich", "tempdir"]
CHECKER += ["termcolor", "tqdm", "tree_sitter", "tree_sitter_python", "wget"]
"""What EvalPlus's checker imports."""


def main() -> int:
    """Make the environment where it is not complete, then run the tests in the project's own."""
    folder = Path(sys.argv[1])
    done = folder / ".complete"
    if not done.is_file():
        subprocess.run([newest_python(), "-m", "venv", "--clear", folder], check=True)
        install(folder / "bin" / "python")
        done.touch()
    tests = [ROOT / "tests" / f"test_{name}_readers.py" for name in ("exporting", "evaluation")]
    command = [sys.executable, "-m", "pytest", "-rs", *tests, *sys.argv[2:]]
    return subprocess.run(command, cwd=ROOT).returncode


def newest_python() -> str:
    """Return the newest Python that starts; this one if there is no other."""
    return max([sys.executable, *pythons()], key=version_of)


def pythons() -> Iterator[str]:
    """Yield Pythons of usual names and places."""
    for minor in (12, 13, 14):
        yield f"python3.{minor}"
        yield from map(str, Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"))


def version_of(python: str) -> tuple[int, ...]:
    """Return the version of a Python, and nothing if it does not start."""
    script = "import sys; print(*sys.version_info[:3])"
    try:
        told = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):  # One of pyenv's names may lead nowhere.
        return ()
    return tuple(map(int, told.stdout.split()))


def install(python: Path) -> None:
    """Install the other tools."""
    readers = (*READERS, HARBOR) if version_of(str(python)) >= (3, 12) else READERS
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *readers, *CHECKER], check=True)
    subprocess.run([*pip, "--no-deps", EVALPLUS], check=True)


if __name__ == "__main__":
    sys.exit(main())
