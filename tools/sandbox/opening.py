"""Opening a sandbox by its name: a tier of the local one, or E2B.

The name is the word of whoever runs the code, where it runs. It is in no run's settings, so that
neither a stored run nor a trace from elsewhere can choose a weaker sandbox.
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
"""Names the sandbox of the command and of the server where they are told of none."""


def usual_sandbox() -> str:
    """Return the name that stands for the sandbox where none is given; it may be unknown."""
    return os.environ.get(SANDBOX_VARIABLE) or DEFAULT_SANDBOX


def named_sandbox() -> SandboxName:
    """Return the sandbox that the environment names; raises InputError for an unknown name."""
    return _checked(usual_sandbox())


def _checked(name: str) -> SandboxName:
    if name not in get_args(SandboxName):
        known = ", ".join(get_args(SandboxName))
        raise InputError(f"sandbox {name!r}: there is none of that name; the names are {known}")
    return cast(SandboxName, name)


@asynccontextmanager
async def open_sandbox(
    name: SandboxName,
    *,
    concurrency: int | None = None,
    preload: str = "std",
    modules: Sequence[ModuleType] = (),
) -> AsyncIterator[ContextSandbox]:
    """Open a sandbox with the defaults of its kind and close it at the end.

    `concurrency`: most runs at once. `preload` and `modules`: see `open_local_sandbox`; on E2B
    packages come from its template and modules with each program. Raises InputError for an
    unknown name, and SandboxError where there is no such sandbox.
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
