"""Run Python with the extra `train` on the CPU, in an environment that this makes on first use.

    python scripts/with_train.py FOLDER [python's arguments]

Skips, saying why, where no CPU build of torch is to be had: the usual build brings gigabytes for
GPUs.
"""

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
TORCH = "torch==2.13.0+cpu"
TOOLS = ("pytest>=9", "pytest-asyncio>=1.2", "pytest-xdist>=3.6")


def main() -> int:
    """Make the environment where it is not complete, then run Python in it."""
    folder = Path(sys.argv[1])
    python = folder / "bin" / "python"
    done = folder / ".complete"
    if not done.is_file():
        venv.create(folder, with_pip=True, clear=True)
        if not installed(python):
            print(
                f"skipped: pip finds no {TORCH}, the build for processors; "
                "tell it where one is, with PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL"
            )
            return 0
        done.touch()
    return subprocess.run([python, *sys.argv[2:]], cwd=ROOT).returncode


def installed(python: Path) -> bool:
    """Install all that is needed; return whether there was a torch to install."""
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*pip, TORCH]).returncode != 0:
        return False
    pinned = ["-c", ROOT / "constraints.txt"]
    subprocess.run([*pip, *pinned, *TOOLS, "--editable", f"{ROOT}[data,train]"], check=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
