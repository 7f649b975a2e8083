"""`demo`: what it shows, how it ends, and what it leaves out if something is missing."""

import re
import shutil
import subprocess
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from opencodeinterpreter.cli.demo_task import demo_tasks
from tests.command import Command, Done, installed, warm
from tests.local_model import require_local_model

SCRIPTED = {task.name for task in demo_tasks("demo_tasks")}
LIVE = {task.name for task in demo_tasks("demo_live")}
BRANCHES = 2
EXAMPLES = sorted((Path(__file__).parent.parent / "traces" / "examples").glob("*.jsonl"))

NO_NAMESPACES = """
echo 0 > /proc/sys/user/max_user_namespaces
echo 0 > /proc/sys/user/max_mnt_namespaces
exec "$@"
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def scripted(home: Path) -> Done:
    """Return how the demo ended where there is no embedded model and none can be fetched."""
    nowhere = {"XDG_CACHE_HOME": str(home / "cache"), "PIP_NO_INDEX": "1", "UV_OFFLINE": "1"}
    done = Command(home, warm, nowhere)("demo")
    assert (done.status, done.stderr) == (0, "")
    return done


def part(done: Done, heading: str) -> list[str]:
    """Return the lines below a heading, up to the next."""
    (found,) = [text for text in done.stdout.split("\n\n") if text.lstrip().startswith(heading)]
    return found.strip().splitlines()[1:]


def table(done: Done) -> dict[str, list[str]]:
    """Return the cells of the closing table by task; where a cell has two lines, of the first."""
    heading, *rows = [re.split(r"\s{2,}", line) for line in part(done, "RESULT")]
    assert [heading[0], heading[1]] == ["run", "task"]
    assert {"model", "turns", "verdict", "tokens", "seconds"} <= set(heading)
    return {row[1]: row for row in rows if len(row) == len(heading)}


def test_the_scripted_part_needs_no_model_and_says_what_is_scripted(scripted: Done) -> None:
    assert part(scripted, "LIVE: local:qwen2.5-coder-0.5b, a real model")[0].startswith(
        "left out: "
    )
    assert "SCRIPTED: drafts and critics come from files" in scripted.stdout
    rows = table(scripted)
    assert len(rows) == len(SCRIPTED) + BRANCHES
    assert {row[2] for row in rows.values()} == {"scripted"}
    endings = Counter(tuple(rows[name][4:6]) for name in SCRIPTED)
    assert endings == {("solved", "passed"): len(SCRIPTED) - 1, ("unsolved", "failed"): 1}
    replays = part(scripted, "REPLAYS")
    assert len(replays) == len(rows)
    assert all(line.endswith(": identical") for line in replays)


def test_what_it_tells_to_go_on_with_works(scripted: Done, home: Path) -> None:
    command = Command(home, warm)
    lines = [line.split() for line in part(scripted, "NEXT, TRY")]
    assert [words[1] for words in lines] == ["runs", "show", "replay", "export", "solve"]
    for _, *arguments in lines[:-1]:
        ended = command(*arguments)
        assert (ended.status, ended.stderr) == (0, ""), arguments
    listed = command(*lines[0][1:]).stdout.splitlines()
    assert len(listed) == len(SCRIPTED) + BRANCHES


@pytest.mark.slow
def test_the_embedded_model_repairs_drafts_of_its_own_live(tmp_path: Path) -> None:
    require_local_model("qwen2.5-coder-0.5b")
    done = Command(tmp_path, installed)("demo", timeout=400)
    assert (done.status, done.stderr) == (0, "")
    rows = table(done)
    assert set(rows) >= SCRIPTED | LIVE
    assert {rows[name][2] for name in LIVE} == {"local"}
    repaired = [name for name in LIVE if rows[name][4] == "solved" and int(rows[name][3]) > 1]
    assert len(repaired) >= 2, rows
    assert all(line.endswith(": identical") for line in part(done, "REPLAYS"))


def refusing() -> list[str]:
    """Return a program that starts others where no sandbox can be made; skips without one."""
    prefix = ["unshare", "-r", "sh", "-ec", NO_NAMESPACES, "sh"]
    if not shutil.which("unshare") or subprocess.run([*prefix, "true"]).returncode:
        pytest.skip("no user namespace can be made here, in which others could be forbidden")
    return prefix


@pytest.fixture
def unsafe(tmp_path: Path) -> Command:
    """Return a command where no namespace can be made, so that the sandbox refuses."""
    return Command(tmp_path, partial(installed, prefix=refusing()))


def test_json_is_the_table_and_the_story_goes_to_stderr(unsafe: Command) -> None:
    done = unsafe("demo", "--json")
    assert (done.status, done.stdout) == (0, "[]\n")
    assert "The sandbox refuses" in done.stderr


def test_where_the_sandbox_refuses_cause_and_cure_are_told_and_examples_replayed(
    unsafe: Command,
) -> None:
    done = unsafe("demo")
    assert (done.status, done.stderr) == (0, "")
    assert "The sandbox refuses, so no code is run here." in done.stdout
    assert "max_user_namespaces is 0, which forbids namespaces" in done.stdout
    assert "sudo sysctl -w user.max_user_namespaces=" in done.stdout
    assert "Left out: the live and the scripted tasks, and the branches." in done.stdout
    replays = part(done, "Left out")[1:]
    assert len(EXAMPLES) >= 3
    assert [line.partition(":")[0] for line in replays] == [path.stem for path in EXAMPLES]
    assert all(line.endswith(", identical") for line in replays)


@pytest.mark.slow
def test_where_the_sandbox_refuses_nothing_is_solved_and_doctor_says_why(unsafe: Command) -> None:
    done = unsafe("solve", "Print 1.", "--draft", str(Path(__file__)))
    assert (done.status, done.stdout) == (3, "")
    assert done.stderr.splitlines()[-1].startswith("opencodeinterpreter: sandbox: ")
    done = unsafe("doctor")
    assert done.status == 3
    assert "sandbox: refuses" in done.stdout
    assert "sudo sysctl -w user.max_user_namespaces=" in done.stdout
