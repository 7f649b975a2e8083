"""Open a sandbox by name: a tier of the local sandbox, or E2B.

Whoever starts a run chooses its sandbox. The choice is never stored with the run, so that neither
a stored run nor an imported trace can choose a weaker sandbox.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Literal, cast, get_args

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.sandbox.inside.build import PRELOADS
from opencodeinterpreter.tools.sandbox.local.sandbox import open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from opencodeinterpreter.tools.sandbox.protocol import ContextSandbox

SandboxName = Literal["full", "reduced", "e2b"]

DEFAULT_SANDBOX: SandboxName = "full"
SANDBOX_VARIABLE = "OPENCODEINTERPRETER_SANDBOX"
"""Environment variable that names the sandbox if the command or the server is given none."""


PYTHON_VARIABLE = "OPENCODEINTERPRETER_PYTHON"
"""Environment variable that names the Python, or the folder of a venv, of the local sandbox.

Programs can import its packages. Like the sandbox, it is never stored with a run.
"""


def named_python() -> Path | None:
    """Return the Python that the environment names for the local sandbox; `None` if it names none.

    Raises InputError if there is no such Python.
    """
    named = os.environ.get(PYTHON_VARIABLE)
    if not named:
        return None
    path = Path(named).expanduser().absolute()
    python = path / "bin" / "python" if path.is_dir() else path
    if not os.access(python, os.X_OK) or python.is_dir():
        raise InputError(
            f"{PYTHON_VARIABLE} is {named}, which is not a Python; name a venv's folder or its "
            "bin/python"
        )
    return python


def usual_sandbox() -> str:
    """Return the sandbox name to use if none is given. The name is not checked."""
    return os.environ.get(SANDBOX_VARIABLE) or DEFAULT_SANDBOX


def named_sandbox() -> SandboxName:
    """Return the sandbox that the environment or the default names.

    Raises InputError for an unknown name.
    """
    return _checked(usual_sandbox())


def _checked(name: str) -> SandboxName:
    if name not in get_args(SandboxName):
        known = ", ".join(get_args(SandboxName))
        raise InputError(f"unknown sandbox {name!r}; use one of {known}")
    return cast(SandboxName, name)


async def data_modules(python: Path | None) -> tuple[str, ...]:
    """Return those modules for work on data that an interpreter has; `None` is this process's.

    A program would wait seconds for their import, so a session's sandbox imports them once.
    """
    modules = {module.partition(".")[0]: module for module in PRELOADS["data"]}
    code = "import sys, importlib.util as u\nprint(*filter(u.find_spec, sys.argv[1:]))"
    asked = await asyncio.create_subprocess_exec(
        python or sys.executable, "-I", "-c", code, *modules, stdout=PIPE, stderr=DEVNULL
    )
    found, _ = await asked.communicate()
    return tuple(modules[name] for name in found.decode().split() if name in modules)


@asynccontextmanager
async def open_sandbox(
    name: SandboxName,
    *,
    concurrency: int | None = None,
    preload: str | Sequence[str] = "std",
    modules: Sequence[ModuleType] = (),
    python: Path | None = None,
) -> AsyncIterator[ContextSandbox]:
    """Open a sandbox with the default settings of its kind and close it at the end.

    `concurrency`: most runs at once. `preload`, `modules` and `python` (the interpreter): see
    `LocalSandboxSettings`. On E2B they have no effect: packages come from the template, modules
    with each program. Raises InputError for an unknown name, and SandboxError if the sandbox
    cannot be opened.
    """
    _checked(name)
    if name == "e2b":
        from opencodeinterpreter.tools.sandbox.e2b.sandbox import open_e2b_sandbox
        from opencodeinterpreter.tools.sandbox.e2b.settings import E2BSettings

        settings = E2BSettings() if concurrency is None else E2BSettings(concurrency=concurrency)
        async with open_e2b_sandbox(settings) as remote:
            yield remote
    else:
        async with open_local_sandbox(
            LocalSandboxSettings(
                interpreter=python,
                tier=name,
                concurrency=concurrency,
                preload=preload,
                modules=modules,
            )
        ) as local:
            yield local
