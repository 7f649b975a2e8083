"""A full disk: one line, exit status 3; stored turns are kept and the run can be resumed."""

import json
import os
import random
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.command import INSTALLED, Command, Done, installed, warm
from tests.doubling import (
    PLUS_TWO,
    RIGHT,
    TESTS,
    TRIPLE,
    arguments,
    draft,
    run_id,
    shown,
    solve,
    solved,
    write_script,
)


def bulky(code: str) -> str:
    """Return a reply whose code is some kilobytes of comment longer."""
    noise = random.Random(code).randbytes(4000).hex()
    return draft(code + "".join(f"# {noise[at : at + 80]}\n" for at in range(0, 8000, 80)))


def lay_out(command: Command) -> None:
    write_script(command.home / "script.toml", [bulky(code) for code in (PLUS_TWO, TRIPLE, RIGHT)])


def failed(command: Command, done: Done) -> None:
    """Check that the store's failure was told in one line."""
    assert (done.status, done.stdout) == (3, ""), done.stderr
    assert "Traceback" not in done.stderr
    *progress, last = done.stderr.splitlines()
    assert last.startswith("opencodeinterpreter: store: ")
    assert str(command.store) in last
    assert not [line for line in progress if line.startswith("opencodeinterpreter: ")]


def test_committed_turns_stay_and_the_run_resumes_when_there_is_room(tmp_path: Path) -> None:
    command = Command(tmp_path, installed, file_bytes=240_000)
    lay_out(command)
    failed(command, solve(command))
    roomy = Command(tmp_path, warm)
    run = roomy("runs").stdout.split("\t")[0]
    before = shown(roomy, run)["turns"]
    assert 1 <= len(before) < 3
    done = roomy("resume", run)
    assert done.status == 0
    assert done.stdout.startswith(RIGHT)
    assert shown(roomy, run)["turns"][0] == before[0]
    assert roomy("replay", run).status == 0


@pytest.mark.parametrize("pages", range(8, 52, 4))
def test_wherever_the_store_is_full_it_is_told_in_one_line(tmp_path: Path, pages: int) -> None:
    roomy = Command(tmp_path, warm)
    lay_out(roomy)
    command = replace(roomy, file_bytes=pages * 4096 + 320)
    failed(command, solve(command))
    assert roomy("runs").status == 0


@pytest.mark.parametrize("pages", (8, 20, 22, 40))
def test_a_batch_on_a_full_disk_is_an_outside_failure(tmp_path: Path, pages: int) -> None:
    roomy = Command(tmp_path, warm)
    lay_out(roomy)
    line = {"id": "double", "prompt": "Write double(n).", "tests": TESTS}
    (tmp_path / "tasks.jsonl").write_text(json.dumps(line), "utf-8")
    spec = f"scripted:{tmp_path / 'script.toml'}"
    command = replace(roomy, file_bytes=pages * 4096 + 320)
    done = command("batch", "tasks.jsonl", "--model", spec, "--out", "out")
    assert done.status == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert "runs.sqlite: d" in done.stderr  # disk I/O error, database or disk is full
    assert roomy("batch", "tasks.jsonl", "--model", spec, "--out", "out").status == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")
def test_a_disk_that_has_no_room_for_a_store_is_an_outside_failure(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o nr_inodes=1 none {tmp_path} && "
    command = [str(INSTALLED), "runs", "--store", str(tmp_path / "new" / "runs.sqlite")]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount + shlex.join(command)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert "runs.sqlite: No space left on device; what it held before is safe" in done.stderr


def test_a_full_store_can_still_be_read(tmp_path: Path) -> None:
    roomy = Command(tmp_path, warm)
    run = solved(roomy)
    branch = run_id(roomy(*arguments(roomy, "--critic", "human", "--json")))
    full = replace(roomy, file_bytes=roomy.store.stat().st_size)
    assert full("show", run).stdout == roomy("show", run).stdout
    assert full("export", branch).stdout == roomy("export", branch).stdout
