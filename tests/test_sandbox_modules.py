"""Which modules untrusted code finds loaded: none of the host's side."""

import json

import pytest

from opencodeinterpreter.tools.grading.inside import wire
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox, open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from opencodeinterpreter.tools.sandbox.protocol import ContextSandbox, Tier
from tests.e2b_fake import FakeE2B, opened
from tests.sandbox_host import DEBIAN, REDUCED, serves

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIST_OURS = """
import json, sys
print(json.dumps(sorted(name for name in sys.modules if name.startswith("opencodeinterpreter"))))
"""


async def modules_of_ours(sandbox: ContextSandbox) -> list[str]:
    """Return the modules of this package that a run finds in `sys.modules`."""
    execution = await sandbox.run_code(LIST_OURS)
    assert execution.status == "ok", execution
    found: list[str] = json.loads(execution.logs.stdout)
    return found


@pytest.mark.parametrize("tier", ["full", REDUCED])
async def test_a_run_finds_no_module_of_ours_but_those_the_sandbox_was_given(tier: Tier) -> None:
    python = DEBIAN if serves(DEBIAN) else None
    given = LocalSandboxSettings(interpreter=python, tier=tier, concurrency=1, modules=[wire])
    async with open_local_sandbox(given) as sandbox:
        assert await modules_of_ours(sandbox) == [wire.__name__]


async def test_neither_a_run_nor_a_cell_finds_a_module_of_ours(sandbox: LocalSandbox) -> None:
    assert await modules_of_ours(sandbox) == []
    told = await sandbox.run_code(LIST_OURS, context=await sandbox.create_context())
    assert told.logs.stdout == "[]\n"


async def test_a_run_on_e2b_finds_no_module_of_the_host_side() -> None:
    pytest.importorskip("e2b_code_interpreter")
    async with FakeE2B() as fake, opened(fake) as sandbox:
        found = await modules_of_ours(sandbox)
    # The packages around them came as empty files.
    leaves = [name for name in found if not any(o.startswith(f"{name}.") for o in found)]
    assert leaves
    assert all(".inside." in name for name in leaves), leaves
