"""Run Python with the extra `train` on the CPU, in an environment that this makes on first use.

    python scripts/with_train.py FOLDER [python's arguments]

Skips, saying why, where no CPU build of torch is to be had: the usual build brings gigabytes for
GPUs.
"""

import subprocess
import sys
from pathlib import Path

from environment import CONSTRAINTS, ROOT, install_torch, pip_install, python_in

TOOLS = ("pytest>=9", "pytest-asyncio>=1.2", "pytest-xdist>=3.6")


def main() -> int:
    """Make the environment where it is not complete, then run Python in it."""
    python = python_in(Path(sys.argv[1]), install)
    if python is None:
        return 0
    return subprocess.run([python, *sys.argv[2:]], cwd=ROOT).returncode


def install(python: Path) -> str | None:
    """Install all that is needed; return why that is impossible, or None."""
    if (reason := install_torch(python)) is not None:
        return reason
    pip_install(python, "-c", CONSTRAINTS, *TOOLS, "--editable", f"{ROOT}[data,train]")
    return None


if __name__ == "__main__":
    sys.exit(main())
