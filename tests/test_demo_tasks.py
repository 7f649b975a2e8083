"""The demo's tasks: each file is complete, its reference is right, its drafts fail as intended.

Drafts run in plain Python processes: the code is our own, and a guard stands in for the sandbox
where a draft writes outside its folder.
"""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from opencodeinterpreter.nodes.reply_rules import problems

FILES = sorted(Path(__file__).parent.parent.joinpath("cli", "demo_tasks").glob("*.toml"))

KINDS = {
    "changed argument",
    "edge case",
    "endless loop",
    "exception",
    "huge output",
    "name error",
    "never solved",
    "no code",
    "off by one",
    "rounding",
    "solved at once",
    "syntax error",
    "write outside the sandbox",
    "wrong format",
}

SIGNS = {
    "endless loop": "timed out",
    "exception": "Error: ",
    "name error": "NameError: ",
    "no code": "no code block",
    "off by one": "AssertionError",
    "rounding": "AssertionError",
    "syntax error": "SyntaxError: ",
    "write outside the sandbox": "PermissionError: ",
    "wrong format": "AssertionError",
}
"""What the complaint about a draft of some kind must hold."""

SLOW_SECONDS = 30.0
ENDLESS_SECONDS = 1.5

DRIVER = """
import os, runpy, sys
folder = sys.argv[1]
os.chdir(folder)
sys.path.insert(0, folder)

def guard(event, arguments):
    if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if not path.startswith(folder + os.sep):
            raise PermissionError(13, "Permission denied", path)

sys.addaudithook(guard)
for name, value in runpy.run_path("tests.py").items():
    if name.startswith("test_"):
        value()
"""


class Given(BaseModel):
    """The `[task]` table."""

    model_config = ConfigDict(extra="forbid")

    prompt: str
    entry_point: str
    tests: str
    scoring: str
    reference: str


class Scripted(BaseModel):
    """A `[[coder]]` or `[[critic]]` table."""

    model_config = ConfigDict(extra="forbid")

    when: str = ""
    reply: str

    @property
    def code(self) -> str | None:
        """The reply's one Python block."""
        found = re.search(r"^```python\n(.*?)^```$", self.reply, re.DOTALL | re.MULTILINE)
        return found[1] if found else None


class DemoFile(BaseModel):
    """One file of the demo."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=40)
    kinds: list[str] = Field(min_length=1)
    task: Given
    coder: list[Scripted] = Field(min_length=1)
    critic: list[Scripted] = Field(default=[])

    @property
    def wrong(self) -> list[Scripted]:
        """The drafts that must fail."""
        return self.coder if "never solved" in self.kinds else self.coder[:-1]


def read(path: Path) -> DemoFile:
    return DemoFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))


def complaint(code: str | None, tests: str, folder: Path, seconds: float = SLOW_SECONDS) -> str:
    """Run `tests` against `code` and return what went wrong; an empty text if nothing did."""
    if code is None:
        return "no code block"
    folder.joinpath("solution.py").write_text(code, encoding="utf-8")
    folder.joinpath("tests.py").write_text(tests, encoding="utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "-ISB", "-c", DRIVER, str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return "timed out"
    return done.stderr if done.returncode else ""


def assertions(source: str) -> set[str]:
    return {ast.dump(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)}


def stem(path: Path) -> str:
    return path.stem


every_file = pytest.mark.parametrize("path", FILES, ids=stem)


def test_there_are_at_least_twelve_tasks_of_every_kind() -> None:
    files = [read(path) for path in FILES]
    assert len(files) >= 12
    assert {kind for file in files for kind in file.kinds} == KINDS
    assert len({file.title for file in files}) == len(files)


def test_one_task_is_never_solved_and_some_take_three_turns() -> None:
    files = [read(path) for path in FILES]
    assert sum("never solved" in file.kinds for file in files) == 1
    assert sum("solved at once" in file.kinds for file in files) == 1
    assert sum(len(file.coder) == 3 for file in files) >= 3
    assert sum(bool(file.critic) for file in files) == 2


@every_file
def test_a_later_reply_waits_for_its_feedback(path: Path) -> None:
    file = read(path)
    assert not any(reply.when for reply in file.coder[:1])
    assert all(reply.when for reply in file.coder[1:])
    assert not any(reply.when for reply in file.critic), "a critic answers turn by turn"
    assert (len(file.coder) == 1) == ("solved at once" in file.kinds)


@every_file
def test_hidden_tests_are_others_than_the_shown_ones(path: Path) -> None:
    task = read(path).task
    assert len(assertions(task.tests)) >= 2
    assert len(assertions(task.scoring)) >= 3
    assert not assertions(task.tests) & assertions(task.scoring)
    assert all(
        f"from solution import {task.entry_point}" in tests for tests in (task.tests, task.scoring)
    )


@every_file
def test_the_prompt_gives_no_test_away_and_names_the_entry_point(path: Path) -> None:
    task = read(path).task
    assert task.entry_point + "(" in task.prompt
    assert "assert" not in task.prompt


@every_file
def test_the_reference_passes_all_tests(path: Path, tmp_path: Path) -> None:
    task = read(path).task
    assert complaint(task.reference, task.tests + task.scoring, tmp_path) == ""


@every_file
def test_the_last_draft_passes_all_tests_unless_it_is_never_solved(
    path: Path, tmp_path: Path
) -> None:
    file = read(path)
    found = complaint(file.coder[-1].code, file.task.tests + file.task.scoring, tmp_path)
    assert bool(found) == ("never solved" in file.kinds), found


@every_file
def test_an_earlier_draft_fails_as_its_kinds_say_and_as_the_next_reply_waits_for(
    path: Path, tmp_path: Path
) -> None:
    file = read(path)
    seconds = ENDLESS_SECONDS if "endless loop" in file.kinds else SLOW_SECONDS
    all_found = ""
    for draft, following in zip(file.wrong, [*file.coder[1:], file.coder[-1]], strict=False):
        found = complaint(draft.code, file.task.tests, tmp_path, seconds)
        assert found
        assert following.when in found
        all_found += found
    for kind in file.kinds:
        assert SIGNS.get(kind, "") in all_found


@pytest.mark.parametrize("path", [path for path in FILES if read(path).critic], ids=stem)
def test_a_critic_speaks_briefly_and_names_what_the_coder_waits_for(
    path: Path, tmp_path: Path
) -> None:
    file = read(path)
    for draft, words, following in zip(file.wrong, file.critic, file.coder[1:], strict=True):
        assert problems(words.reply) == ()
        assert words.when in complaint(draft.code, file.task.tests, tmp_path)
        assert following.when in words.reply
