"""Open a sandbox by name: a tier of the local sandbox, or E2B.

Whoever starts a run chooses its sandbox. The choice is never stored with the run, so that neither
a stored run nor an imported trace can choose a weaker sandbox.
"""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Literal, cast, get_args

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.sandbox.local.sandbox import open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from opencodeinterpreter.tools.sandbox.protocol import ContextSandbox

SandboxName = Literal["full", "reduced", "e2b"]

DEFAULT_SANDBOX: SandboxName = "full"
SANDBOX_VARIABLE = "OPENCODEINTERPRETER_SANDBOX"
"""Environment variable that names the sandbox if the command or the server is given none."""


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


@asynccontextmanager
async def open_sandbox(
    name: SandboxName,
    *,
    concurrency: int | None = None,
    preload: str = "std",
    modules: Sequence[ModuleType] = (),
) -> AsyncIterator[ContextSandbox]:
    """Open a sandbox with the default settings of its kind and close it at the end.

    `concurrency`: most runs at once. `preload` and `modules`: see `LocalSandboxSettings`. On E2B
    they have no effect: packages come from the template, modules with each program. Raises
    InputError for an unknown name, and SandboxError if the sandbox cannot be opened.
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
                tier=name, concurrency=concurrency, preload=preload, modules=modules
            )
        ) as local:
            yield local
