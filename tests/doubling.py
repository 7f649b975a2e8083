"""The task that tests of the command solve: its tests, drafts wrong and right, scripts of them."""

import atexit
import functools
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.command import Command, Done, warm

TASK = "Write a function double(n) that returns twice n."
TESTS = "from solution import double\n\nassert double(2) == 4\nassert double(5) == 10\n"
PLUS_TWO = "def double(n):\n    return n + 2\n"
TRIPLE = "def double(n):\n    return n * 3\n"
RIGHT = "def double(n):\n    return n * 2\n"


def draft(code: str) -> str:
    """Return a coder's reply that holds `code`."""
    return f"Here it is.\n\n```python\n{code}```\n"


THREE_TURNS = (draft(PLUS_TWO), draft(TRIPLE), draft(RIGHT))


def write_script(
    path: Path,
    coder: Sequence[str | Sequence[str]] = THREE_TURNS,
    critic: Sequence[str] = (),
    judge: Sequence[str] = (),
    delays: Sequence[float] = (0.0,),
) -> str:
    """Write a script of these replies; return its spec.

    A role's n-th reply takes the n-th of `delays` in seconds, and those beyond them the last.
    """
    lines: list[str] = []
    for role, replies in (("coder", coder), ("critic", critic), ("judge", judge)):
        for number, reply in enumerate(replies):
            key = "reply" if isinstance(reply, str) else "replies"
            delay = delays[min(number, len(delays) - 1)]
            # A JSON text is a TOML text too, and so is a list of them.
            lines += [f"[[{role}]]", f"{key} = {json.dumps(reply)}", f"delay = {delay}"]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return f"scripted:{path}"


def write(path: Path, text: str) -> str:
    """Write a file; return its path as an argument."""
    path.write_text(text, "utf-8")
    return str(path)


def arguments(command: Command, *options: str) -> list[str]:
    """Return the arguments that solve the task in three turns, its files laid out."""
    script = command.home / "script.toml"
    if not script.exists():
        write_script(script)
    tests = write(command.home / "tests.py", TESTS)
    return ["solve", TASK, "--tests", tests, "--model", f"scripted:{script}", *options]


def solve(command: Command, *options: str) -> Done:
    """Solve the task in three turns, unless `script.toml` in the command's home says otherwise."""
    return command(*arguments(command, *options))


def solved(command: Command, *options: str) -> str:
    """Solve the task; return the run's id."""
    return _stored(command, 0, options)


def waiting(command: Command) -> str:
    """Solve the task up to the first question to a person; return the run's id."""
    return _stored(command, 4, ("--critic", "human"))


def _stored(command: Command, status: int, options: tuple[str, ...]) -> str:
    """Solve the task; where nothing tells it from an earlier run, copy that one's store."""
    empty = not command.home.exists() or not any(command.home.iterdir())
    if not empty or command != Command(command.home, warm):
        return _solved(command, status, options)
    home, run = _solved_before(status, options)
    shutil.copytree(home, command.home, dirs_exist_ok=True)
    return run


@functools.cache
def _solved_before(status: int, options: tuple[str, ...]) -> tuple[Path, str]:
    """Solve the task in a home that is kept until the tests end; return it and the run's id."""
    home = Path(tempfile.mkdtemp(prefix="opencodeinterpreter-tests-"))
    atexit.register(shutil.rmtree, home)
    home.chmod(0o755)  # a copy takes its mode over
    return home, _solved(Command(home, warm), status, options)


def _solved(command: Command, status: int, options: tuple[str, ...]) -> str:
    done = solve(command, "--json", *options)
    assert done.status == status, done.stderr
    return run_id(done)


def run_id(done: Done) -> str:
    """Return the id of the run that a command's JSON tells of."""
    return str(json.loads(done.stdout)["run"]["id"])


def shown(command: Command, target: str) -> dict[str, Any]:
    """Return a run's header and record as `show --json` prints them."""
    done = command("show", target, "--json")
    assert done.status == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def said(found: dict[str, Any], role: str) -> list[str]:
    """Return the texts that were said by a role in what `shown` returned."""
    return [message["content"] for message in found["texts"].values() if message["role"] == role]
