"""Import modules once in the zygote, so that every run finds them there."""

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
    """Load modules, given by name and file, each of which may import those before it."""
    for name, path in modules:
        module = sys.modules[name] = types.ModuleType(name)
        source = Path(path).read_text(encoding="utf-8")
        exec(compile(source, name, "exec", dont_inherit=True), module.__dict__)  # noqa: S102


def load(names: Iterable[str], proc: int) -> None:
    """Import `names`; raises StepFailedError for one that fails or leaves a thread running.

    A thread would not live on in a forked child, and whatever lock it held would never open.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException as error:
            raise StepFailedError(f"import {name}", 0, f"{type(error).__name__}: {error}") from None
        if _threads(proc) > 1:
            raise StepFailedError(f"import {name}", 0, "it starts a thread, and runs are forked")
    _draw_once()


def _threads(proc: int) -> int:
    folder = os.open("self/task", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=proc)
    try:
        return len(os.listdir(folder))  # noqa: PTH208 - a descriptor is no path
    finally:
        os.close(folder)


def _draw_once() -> None:
    """Draw a figure, so that fonts are found and loaded before the first run."""
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
    """Drop what points into the folder in which the modules were imported."""
    tempfile.tempdir = None
    sys.path_importer_cache.clear()
    os.environ.pop("MPLCONFIGDIR", None)


def settle(folder: str) -> None:
    """Give the modules a folder to write to while they are imported."""
    os.environ["TMPDIR"] = os.environ["HOME"] = os.environ["MPLCONFIGDIR"] = folder
    tempfile.tempdir = None
    os.chdir(Path(folder))
