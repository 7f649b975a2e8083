"""No attack reaches the host, in any tier and profile, as root or as an ordinary user.

Each is judged by what became of the host's files, sockets and processes, never by what the
code says of itself.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from opencodeinterpreter.tools.sandbox.local.sandbox import open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings
from opencodeinterpreter.tools.sandbox.protocol import Profile, Tier
from tests.sandbox_attacks import ATTACKS, LIMITS, Attack, launch
from tests.sandbox_host import (
    DEBIAN,
    Host,
    needs_reduced,
    readable_by_all,
    serves,
    start_sibling,
    user_of,
)

_SETTINGS: list[tuple[Tier, Profile]] = [("full", "pure"), ("full", "proc"), ("reduced", "pure")]
_ALL = [pytest.param(*s, marks=[needs_reduced] * (s[0] == "reduced")) for s in _SETTINGS]


def _quickly(*quick: str) -> list[object]:
    """Yield all settings; `make test` runs only the first."""
    slow = pytest.mark.slow
    return [
        pytest.param(*setting.values, marks=[*setting.marks, *[slow] * (setting.values != quick)])
        for setting in _ALL
    ]


async def assault(tier: Tier, profile: Profile, attacks: Iterable[Attack]) -> dict[str, str]:
    """Launch all attacks; return those that had an effect on the host, with the effect."""
    escaped: dict[str, str] = {}
    async with open_local_sandbox(
        LocalSandboxSettings(
            interpreter=DEBIAN, tier=tier, profile=profile, concurrency=3, limits=LIMITS
        )
    ) as sandbox:
        keeper = sandbox.zygote_pid
        assert keeper is not None
        with tempfile.TemporaryDirectory() as folder:
            host = Host(Path(folder), user_of(keeper))
            sibling = await start_sibling(sandbox, host)
            assert host.sibling
            try:
                for attack in attacks:
                    ended = await launch(sandbox, attack, host.told())
                    found = host.effects(ended.model_dump_json())
                    if sandbox.zygote_pid != keeper:
                        found.add("zygote dead")
                    if ended.seconds > 9:
                        found.add(f"answered after {ended.seconds} s")
                    if ended.tier != tier:
                        found.add("tier")
                    if found:
                        escaped[attack.name] = ", ".join(sorted(found))
                # A signal takes a moment to arrive.
                await asyncio.sleep(0.5)
                if late := host.effects(""):
                    escaped["one of them"] = ", ".join(sorted(late))
            finally:
                sibling.cancel()
                host.close()
    return escaped


async def _all(tier: Tier, profile: Profile, *, slow: bool) -> dict[str, str]:
    return await assault(tier, profile, [attack for attack in ATTACKS if attack.slow == slow])


def as_user(tier: Tier, profile: Profile, *, slow: bool) -> dict[str, str]:
    """Launch the attacks in another process, which is not root."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user; this process is one already")
    if not readable_by_all(Path(__file__)) or not serves(DEBIAN):
        pytest.skip("the checkout or the system's Python can't be read by other users")
    command = [sys.executable, "-c", _AS_USER, tier, profile, str(int(slow))]
    root = Path(__file__).parent.parent
    told = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=root
    )
    assert told.returncode == 0, told.stderr
    return dict(json.loads(told.stdout))


# Import everything before giving up root: the environment may be readable by root alone.
_AS_USER = """
import asyncio, concurrent.futures.thread, json, os, sys
sys.path.insert(0, os.getcwd())
import tests.test_sandbox_attacks as table
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
tier, profile, slow = sys.argv[1:]
print(json.dumps(asyncio.run(table._all(tier, profile, slow=bool(int(slow))))))
"""


def test_the_table_holds_what_it_should() -> None:
    names = [attack.name for attack in ATTACKS]
    assert len(names) == len(set(names)) >= 94


@pytest.mark.skipif(not serves(DEBIAN), reason="needs a system Python of 3.11 or newer")
@pytest.mark.parametrize(("tier", "profile"), _quickly("full", "pure"))
async def test_no_attack_reaches_the_host(tier: Tier, profile: Profile) -> None:
    assert await _all(tier, profile, slow=False) == {}


@pytest.mark.parametrize(("tier", "profile"), _quickly("reduced", "pure"))
def test_no_attack_reaches_the_host_of_an_ordinary_user(tier: Tier, profile: Profile) -> None:
    assert as_user(tier, profile, slow=False) == {}


@pytest.mark.slow
@pytest.mark.skipif(not serves(DEBIAN), reason="needs a system Python of 3.11 or newer")
@pytest.mark.parametrize(("tier", "profile"), _ALL)
async def test_no_attack_that_runs_into_a_limit_reaches_the_host(
    tier: Tier, profile: Profile
) -> None:
    assert await _all(tier, profile, slow=True) == {}
    assert await asyncio.to_thread(as_user, tier, profile, slow=True) == {}
