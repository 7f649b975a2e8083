"""Preloaded modules, figures, data frames and random numbers."""

import base64
from collections.abc import AsyncIterator
from importlib.util import find_spec

import pytest
import pytest_asyncio

from opencodeinterpreter.tools.errors import InputError, SandboxError
from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox, open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from opencodeinterpreter.tools.sandbox.protocol import RunExtras

pytestmark = pytest.mark.asyncio(loop_scope="module")
needs_data = pytest.mark.skipif(
    not all(map(find_spec, ("numpy", "pandas", "matplotlib"))),
    reason="needs numpy, pandas and matplotlib beside this project",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def data() -> AsyncIterator[LocalSandbox]:
    async with open_local_sandbox(LocalSandboxSettings(preload="data", concurrency=2)) as opened:
        yield opened


async def test_named_modules_are_there_before_a_run_asks_for_them() -> None:
    async with open_local_sandbox(
        LocalSandboxSettings(preload=["sqlite3", "html.parser"])
    ) as sandbox:
        told = await sandbox.run_code("import sys; print('sqlite3' in sys.modules)")
    assert told.logs.stdout == "True\n"


@pytest.mark.parametrize(
    ("module", "why"), [("no_such_module", "ModuleNotFoundError"), ("antigravity.x", "not a pack")]
)
async def test_a_module_that_cannot_be_imported_is_named(module: str, why: str) -> None:
    with pytest.raises(SandboxError, match=rf"step `import {module}` failed.*{why}"):
        async with open_local_sandbox(LocalSandboxSettings(preload=[module])):
            raise AssertionError("opened")


async def test_an_unknown_set_is_named() -> None:
    with pytest.raises(InputError, match=r"preload 'nump': not a set \(std, numpy, data\)"):
        async with open_local_sandbox(LocalSandboxSettings(preload="nump")):
            raise AssertionError("opened")


@needs_data
async def test_open_figures_are_shown_as_images(data: LocalSandbox) -> None:
    context = await data.create_context()
    code = (
        "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.figure(); plt.bar([1], [2])\n"
        "'after'"
    )
    told = await data.run_code(code, context=context, limits=SandboxLimits(wall_seconds=30))
    value, one, two = told.results
    assert (value.text, value.is_main_result, value.png) == ("'after'", True, None)
    for figure in (one, two):
        assert base64.b64decode(figure.png or "").startswith(b"\x89PNG")
        assert not figure.is_main_result
    # Figures are shown once.
    (only,) = (await data.run_code("1", context=context)).results
    assert only.text == "1"


@needs_data
async def test_a_frame_of_data_is_shown_as_html(data: LocalSandbox) -> None:
    context = await data.create_context()
    code = "import pandas\npandas.DataFrame({'a': [1, 2]})"
    (result,) = (await data.run_code(code, context=context)).results
    assert "<table" in (result.html or "")
    assert "a" in (result.text or "")


@needs_data
async def test_numpys_numbers_differ_from_run_to_run_but_for_a_seed(data: LocalSandbox) -> None:
    code = "import numpy, random; print(numpy.random.rand(), random.random())"
    drawn = [
        (await data.run_code(code, extras=RunExtras(seed=seed))).logs.stdout
        for seed in (7, 7, None, None)
    ]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 3
    code = "import numpy; print((numpy.ones((300, 300)) @ numpy.ones((300, 300))).sum())"
    assert (await data.run_code(code)).logs.stdout == "27000000.0\n"
