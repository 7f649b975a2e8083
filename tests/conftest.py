"""Fixtures that several test files share."""

import gc
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from opencodeinterpreter.tools.runner import SandboxRunner, open_runner
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox, open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from tests.postgres_server import CannotStartError, postgres_server


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the number of kills be chosen: `pytest -m slow tests/test_kill_batch.py --kills 100`."""
    parser.addoption("--kills", type=int, default=20, help="how often a batch is killed")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[LocalSandbox]:
    """A local sandbox for a whole test file, with the file's `SANDBOX_SETTINGS` if it has them.

    The tests need the same loop: `pytestmark = pytest.mark.asyncio(loop_scope="module")`.
    """
    settings = getattr(request.module, "SANDBOX_SETTINGS", LocalSandboxSettings())
    async with open_local_sandbox(settings) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runner() -> AsyncIterator[SandboxRunner]:
    """A runner for a whole test file, on the same loop as `sandbox`."""
    async with open_runner("full") as opened:
        yield opened


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL server that all tests of one process share."""
    try:
        with postgres_server() as url:
            yield url
    except CannotStartError as error:
        pytest.skip(f"PostgreSQL cannot be started by this user: {error}")


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Let the slow test that left a socket or a transport open fail, and not some later one."""
    if item.get_closest_marker("slow"):
        gc.collect()
