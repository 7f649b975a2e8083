"""`kill -9` at any moment: committed parts stay byte for byte and are not made again."""

import asyncio
import json
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.graph.runs import Run, open_run
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import list_runs
from opencodeinterpreter.nodes.records import PARTS, Record
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import trace_of
from tests.command import Command, installed, warm
from tests.doubling import draft, write_script

AT_ONCE = 10
REAL = 10
"""Every so many kills the installed command is hit, not a copy of the warm process."""
NODES = ("coder", "executor", "judge", "critic")
STEP = 0.2
"""Seconds that each node takes at least."""
LANDMARKS = ("run ", *(f"turn {turn}  {node}" for turn in (1, 2, 3) for node in NODES))[:11]
"""What stderr says as a run goes on; a kill comes at random between one and the next."""


def lay_out(folder: Path) -> list[str]:
    """Return the arguments of a run of three turns in which every node takes its time."""
    codes = [f"import time\ntime.sleep({STEP})\nprint('draft {n}')\n" for n in (1, 2, 3)]
    opinions = [{"solved": n == 3, "reason": f"This is draft {n}."} for n in (1, 2, 3)]
    spec = write_script(
        folder / "script.toml",
        [draft(code) for code in codes],
        critic=["I want the second.", "I want the third."],
        judge=[json.dumps(opinion) for opinion in opinions],
        delays=(STEP,),
    )
    models = ("--model", spec, "--model", f"judge={spec}")
    return ["solve", "Print the number of the draft.", *models, "--critic", "simulated"]


@dataclass(frozen=True)
class Killed:
    """One run that was killed and then resumed to its end."""

    landmark: str
    before: Run
    """What the store held right after the kill."""
    after: Run


async def stored(command: Command) -> Run:
    """Return the store's only run; nobody may seem to be working on it."""
    async with open_store(str(command.store)) as store:
        (row,) = await list_runs(store)
        assert row.status != "running"
        return await open_run(store, row.id)


def kill(home: Path, number: int, arguments: Sequence[str]) -> Killed:
    """Kill the number-th run at its random moment, look, and resume it."""
    home.mkdir()
    quick = Command(home, warm)
    command = Command(home, installed) if number % REAL == 0 else quick
    landmark = LANDMARKS[number % len(LANDMARKS)]
    with command.start(*arguments) as running:
        running.wait_for(landmark)
        time.sleep(random.uniform(0, STEP))
        running.signal(signal.SIGKILL)
        assert running.wait().status in (-signal.SIGKILL, 0)  # a late kill finds a run that ended
    before = asyncio.run(stored(command))
    done = quick("resume", before.row.id)
    assert (done.status, done.stdout.count("draft 3")) == (0, 1), done.stderr
    return Killed(landmark, before, asyncio.run(stored(command)))


def parts(record: Record) -> dict[tuple[int, str], str]:
    """Return the bytes of each part of each turn that is there."""
    return {
        (turn.number, part): json.dumps(turn.model_dump(mode="json")[part])
        for turn in record.turns
        for part in PARTS
        if getattr(turn, part) is not None
    }


def untimed(value: Any) -> Any:
    """Return JSON without the seconds that were measured."""
    if isinstance(value, dict):
        return {key: untimed(item) for key, item in value.items() if key != "seconds"}
    return [untimed(item) for item in value] if isinstance(value, list) else value


def story(record: Record) -> Any:
    return untimed(record.model_dump(mode="json"))


@pytest.mark.parametrize(
    "numbers", [range(0, 11, 3), pytest.param(range(30), marks=pytest.mark.slow)]
)
def test_kills_lose_nothing_that_was_committed_and_repeat_none_of_it(
    tmp_path: Path, numbers: range
) -> None:
    arguments = lay_out(tmp_path)
    undisturbed = Command(tmp_path, warm)
    assert undisturbed(*arguments).status == 0
    expected = asyncio.run(stored(undisturbed)).record
    with ThreadPoolExecutor(AT_ONCE) as pool:
        homes = [tmp_path / str(number) for number in numbers]
        killed = list(pool.map(kill, homes, numbers, [arguments] * len(numbers)))
    for one in killed:
        committed, final = parts(one.before.record), parts(one.after.record)
        assert committed.items() <= final.items(), one.landmark
        assert story(one.after.record) == story(expected), one.landmark
        assert asyncio.run(replay(trace_of(one.after))).identical
    hit = Counter(one.before.next for one in killed)
    print(f"killed in: {dict(hit)}; turns: {Counter(len(k.before.record.turns) for k in killed)}")
    assert len(numbers) < 30 or set(NODES) <= set(hit)


def test_a_run_that_was_killed_as_it_began_is_whole_or_not_there(tmp_path: Path) -> None:
    arguments = lay_out(tmp_path)
    for number in range(6):
        command = Command(tmp_path / f"early {number}", warm)
        command.home.mkdir()
        with command.start(*arguments) as running:
            time.sleep(random.uniform(0.0, 0.4))
            running.signal(signal.SIGKILL)
            running.wait()
        listed = command("runs", "--rebuild", "--json")
        assert listed.status == 0, listed.stderr
        for row in json.loads(listed.stdout):
            # On a busy machine the signal may come after the run's end.
            assert row["status"] in ("interrupted", "solved")
            assert command("show", row["id"]).status == 0
