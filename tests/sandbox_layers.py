"""Find which layer of the `full` tier contains which attack when all others are off.

Run as a program, this prints the table for `docs/security.md`.
"""

import asyncio
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.sandbox.inside.build import LAYERS, Build
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox
from tests.sandbox_attacks import ATTACKS, LIMITS, launch
from tests.sandbox_host import DEBIAN, Host, start_sibling, user_of

PLAYED = (
    "read: a secret file",
    "write: a file anybody may write",
    "write: the mode of an own file",
    "talk: TCP",
    "talk: abstract stream",
    "talk: a pair's datagram by path",
    "signal: kill to victim",
    "kernel: a daemon",
    "kernel: another program",
    "kernel: a sibling's mounts",
    # Last, since it may kill everything.
    "signal: the own group",
)
# These two protect the run's own mounts, so they are tried together with mount.
_WITH_MOUNTS = ("capabilities", "user")
COLUMNS: dict[str, tuple[str, ...]] = {
    "none": (),
    **{layer: (("mount",) if layer in _WITH_MOUNTS else ()) + (layer,) for layer in LAYERS},
    "all": LAYERS,
}
_SETTLE_SECONDS = 0.2
Contained = dict[str, dict[str, bool]]
"""By attack, then by column: whether the attack was contained."""


async def play(standing: Iterable[str]) -> dict[str, bool]:
    """Launch every attack at a sandbox with only these layers; return which it contained."""
    without = tuple(layer for layer in LAYERS if layer not in set(standing))
    attacks = {attack.name: attack for attack in ATTACKS}
    sandbox = LocalSandbox(DEBIAN, Build(runs=3, without=without), LIMITS)
    try:
        await sandbox.run_code("pass")
        keeper = sandbox.zygote_pid
        assert keeper is not None
        with tempfile.TemporaryDirectory() as folder:
            host = Host(Path(folder), user_of(keeper))
            sibling = await start_sibling(sandbox, host)
            contained = {}
            for name in PLAYED:
                told = ""
                # An attack may kill the zygote.
                with suppress(SandboxError):
                    told = (await launch(sandbox, attacks[name], host.told())).model_dump_json()
                # A signal takes a moment to arrive.
                await asyncio.sleep(_SETTLE_SECONDS)
                contained[name] = not host.effects(told)
            sibling.cancel()
            with suppress(SandboxError, asyncio.CancelledError):
                await sibling
            host.close()
            return contained
    finally:
        await sandbox.close()


async def play_all() -> Contained:
    """Return the whole table."""
    at_once = asyncio.Semaphore(4)

    async def column(standing: Iterable[str]) -> dict[str, bool]:
        async with at_once:
            return await play(standing)

    played = await asyncio.gather(*map(column, COLUMNS.values()))
    columns = dict(zip(COLUMNS, played, strict=True))
    return {attack: {name: columns[name][attack] for name in COLUMNS} for attack in PLAYED}


def table(contained: Contained) -> str:
    """Return the table as Markdown, as in the documentation."""
    lines = [f"| attack | {' | '.join(COLUMNS)} |", "| --- " * (len(COLUMNS) + 1) + "|"]
    for attack, columns in contained.items():
        marks = " | ".join("held" if columns[name] else "-" for name in COLUMNS)
        lines.append(f"| {attack} | {marks} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(asyncio.run(play_all())))
