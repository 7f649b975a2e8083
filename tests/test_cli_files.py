"""A program's files: written into a folder, never out of it, never over anything."""

import json
from pathlib import Path

import pytest

from opencodeinterpreter.cli.files import write_folder
from opencodeinterpreter.tools.errors import InputError
from tests.command import Command, warm
from tests.doubling import RIGHT, draft, run_id, solve, write_script

TABLE = "rate,2\n"
ANSWER = f"{draft(RIGHT)}\n\n`data/rates.csv`:\n```csv\n{TABLE}```\n"
FILES = {"solution.py": RIGHT, "data/rates.csv": TABLE.rstrip("\n")}


@pytest.fixture
def command(tmp_path: Path) -> Command:
    write_script(tmp_path / "script.toml", [ANSWER])
    return Command(tmp_path, warm)


def content(folder: Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


@pytest.mark.parametrize("name", ["new/", "empty"])
def test_a_folder_gets_the_code_and_its_files(command: Command, name: str) -> None:
    (command.home / "empty").mkdir()
    done = solve(command, "-o", f"{command.home}/{name}")
    assert (done.status, done.stdout) == (0, "")
    assert content(command.home / name) == FILES


def test_a_folder_that_is_not_empty_is_refused_before_anything_runs(command: Command) -> None:
    folder = command.home / "out"
    folder.mkdir()
    (folder / "solution.py").write_text("mine")
    done = solve(command, "-o", str(folder))
    assert (done.status, done.stdout) == (2, "")
    assert "it is not empty, and nothing is overwritten" in done.stderr
    assert content(folder) == {"solution.py": "mine"}
    assert json.loads(command("runs", "--json").stdout) == []


def test_json_holds_the_files_and_a_pipe_says_how_to_get_them(command: Command) -> None:
    done = solve(command, "--json")
    assert json.loads(done.stdout)["files"] == {"data/rates.csv": FILES["data/rates.csv"]}
    done = solve(command)
    assert done.stdout == RIGHT
    assert "other files (data/rates.csv)" in done.stderr
    assert "--files DIR writes them" in done.stderr


def test_show_writes_the_files_of_a_run_and_of_a_trace(command: Command) -> None:
    run = run_id(solve(command, "--json"))
    trace = str(command.home / "run.jsonl")
    command("export", run, "-o", trace)
    for number, target in enumerate((run, trace)):
        folder = command.home / f"out{number}"
        done = command("show", target, "--files", str(folder))
        assert (done.status, done.stdout) == (0, "")
        assert content(folder) == FILES
        done = command("show", target, "--files", str(folder))
        assert done.status == 2
        assert "nothing is overwritten" in done.stderr


UNSAFE = (
    "../x",
    "a/../../x",
    "/tmp/x",
    "",
    ".",
    "a\\..\\x",
    "C:x",
    "~/x",
    "a\nb",
    "a\0b",
    "a\x1bb",
)


@pytest.mark.parametrize("name", UNSAFE)
def test_a_path_that_leaves_the_folder_is_refused_and_nothing_is_written(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(InputError, match="its path is not safe"):
        write_folder(tmp_path / "out", {"solution.py": RIGHT, name: "x"})
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_no_way_out(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="not a folder"):
        write_folder(tmp_path / "out", {"solution.py": RIGHT})
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("files", [{"a": "1", "a/b": "2"}, {"a/b": "1", "a": "2"}, {"n" * 300: ""}])
def test_files_that_cannot_all_be_written_leave_none(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(InputError, match="cannot write into"):
        write_folder(tmp_path / "out", files)
    assert content(tmp_path) == {}
