"""Set up a kernel in an E2B sandbox before a cell, without a visible cell of its own.

The source is sent as text, followed by a call of `prepare`, and runs in its own namespace.
"""

import builtins
import contextlib
import io
import json
import os
import random
import resource
import shutil
import sys
from pathlib import Path
from typing import Any

_WORK = "work"
"""The work folder, relative to the folder in which a kernel starts."""
_MIB = 1 << 20


def prepare(job: str) -> None:
    """Do what the JSON object `job` requests.

    Its fields: `limits` (for a kernel that just started), `stdin`, `seed`, and `reseed` (for a
    kernel whose memory is a copy).
    """
    wanted = json.loads(job)
    if "limits" in wanted:
        _begin(wanted["limits"])
    if "stdin" in wanted:
        _feed(wanted["stdin"])
    if "seed" in wanted or "reseed" in wanted:
        _seed(wanted.get("seed"))


def _begin(limits: dict[str, Any]) -> None:
    shutil.rmtree(_WORK, ignore_errors=True)
    Path(_WORK).mkdir()
    os.chdir(_WORK)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    address_space = pages * os.sysconf("SC_PAGE_SIZE") + (2 * limits["memory_mb"] + 64) * _MIB
    for name, value in (
        (resource.RLIMIT_AS, address_space),
        (resource.RLIMIT_FSIZE, limits["disk_mb"] * _MIB),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(name)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (bound, bound))


def _feed(text: str) -> None:
    sys.stdin = io.StringIO(text)
    try:
        from IPython import get_ipython  # type: ignore[import-not-found]
    except ImportError:
        builtins.input = _input
    else:
        # Before each cell the kernel replaces `input` by this method; the original fails.
        get_ipython().kernel.raw_input = _input


def _input(prompt: object = "") -> str:
    print(prompt, end="", flush=True)
    line = sys.stdin.readline()
    if not line:
        raise EOFError("EOF when reading a line")
    return line.removesuffix("\n")


def _seed(seed: int | None) -> None:
    random.seed(seed)
    if seed is None and "numpy" not in sys.modules:
        return
    with contextlib.suppress(ImportError):
        import numpy as np

        np.random.seed(None if seed is None else seed % (1 << 32))
