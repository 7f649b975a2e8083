"""Fixtures that several test files share."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox, open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[LocalSandbox]:
    """A local sandbox for a whole test file, with the file's `SANDBOX_SETTINGS` if it has them.

    The tests need the same loop: `pytestmark = pytest.mark.asyncio(loop_scope="module")`.
    """
    settings = getattr(request.module, "SANDBOX_SETTINGS", LocalSandboxSettings())
    async with open_local_sandbox(settings) as opened:
        yield opened
