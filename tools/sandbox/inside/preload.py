"""Import modules once in the zygote, so that every run finds them imported."""

import importlib
import os
import sys
import tempfile
import types
from collections.abc import Iterable
from pathlib import Path

from opencodeinterpreter.tools.sandbox.inside.syscalls import StepFailedError

_STANDARD = """
abc ast base64 bisect collections contextlib copy csv dataclasses datetime decimal enum
fractions functools hashlib heapq inspect io itertools json math operator os pathlib random re
statistics string tempfile textwrap threading time traceback typing unicodedata uuid
"""
STANDARD = tuple(_STANDARD.split())
"""Modules that every zygote imports."""


def load_files(modules: Iterable[tuple[str, str]]) -> None:
    """Load modules by name and file; each may import those before it.

    One that needs a package which this interpreter lacks is left out.
    """
    for name, path in modules:
        module = sys.modules[name] = types.ModuleType(name)
        source = Path(path).read_text(encoding="utf-8")
        try:
            exec(compile(source, name, "exec", dont_inherit=True), module.__dict__)  # noqa: S102
        except ImportError:
            del sys.modules[name]


def load(names: Iterable[str], proc: int) -> None:
    """Import `names`; raises StepFailedError if one fails or leaves a thread running.

    A thread does not survive a fork, and a lock that it held would stay locked.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException as error:
            raise StepFailedError(f"import {name}", 0, f"{type(error).__name__}: {error}") from None
        if _threads(proc) > 1:
            raise StepFailedError(
                f"import {name}", 0, "it starts a thread, which is lost in a fork"
            )
    _draw_once()


def _threads(proc: int) -> int:
    folder = os.open("self/task", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=proc)
    try:
        return len(os.listdir(folder))  # noqa: PTH208 - a descriptor, not a path
    finally:
        os.close(folder)


def _draw_once() -> None:
    """Draw a figure, so that fonts are loaded before the first run."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    pyplot.switch_backend("agg")
    figure = pyplot.figure()
    figure.add_subplot().set_title("x")
    with tempfile.TemporaryFile() as file:
        figure.savefig(file, format="png")
    pyplot.close(figure)


def forget_folder() -> None:
    """Drop references to the folder in which the modules were imported."""
    tempfile.tempdir = None
    sys.path_importer_cache.clear()
    os.environ.pop("MPLCONFIGDIR", None)


def settle(folder: str) -> None:
    """Let modules write to `folder` while they are imported."""
    os.environ["TMPDIR"] = os.environ["HOME"] = os.environ["MPLCONFIGDIR"] = folder
    tempfile.tempdir = None
    os.chdir(Path(folder))
