"""`export` and `import`: a run becomes a file and a run again, byte for byte."""

import json
import sqlite3
from pathlib import Path

import pytest

from opencodeinterpreter.testing.openai_server import serve
from tests.command import Command, installed, warm
from tests.doubling import RIGHT, arguments, draft, run_id, shown, solve, solved, write


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Return a command with a solved run, a branch of it and a waiting run; tests only read it."""
    made = Command(tmp_path_factory.mktemp("export"), warm)
    parent = solved(made)
    made("branch", parent, "--turn", "1", "--verdict", "stopped")
    solve(made, "--critic", "human")
    return made


@pytest.fixture(scope="module")
def runs(command: Command) -> dict[str, str]:
    """Return the ids by status."""
    return {row["status"]: row["id"] for row in json.loads(command("runs", "--json").stdout)}


def test_a_file_holds_what_stdout_shows_one_object_a_line(
    command: Command, runs: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "run.jsonl"
    done = Command(command.home, installed)("export", runs["solved"], "-o", str(path))
    assert (done.status, done.stdout, done.stderr) == (0, "", "")
    assert path.read_text("utf-8") == command("export", runs["solved"]).stdout
    header, *lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert header["line"] == "header"
    assert (header["version"], header["run"]) == (2, runs["solved"])
    assert [line["line"] for line in lines].count("turn") == 3


@pytest.mark.parametrize("status", ["solved", "unsolved", "waiting"])
def test_a_trace_comes_out_of_another_store_as_it_went_in(
    command: Command, runs: dict[str, str], tmp_path: Path, status: str
) -> None:
    text = command("export", runs[status]).stdout
    path = write(tmp_path / "run.jsonl", text)
    other = Command(tmp_path, warm)
    done = Command(tmp_path, installed)("import", path) if status == "solved" else None
    done = done or other("import", path)
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.startswith(runs[status][:8])
    assert other("export", runs[status]).stdout == text
    assert other("import", path).status == 0
    assert other("export", runs[status]).stdout == text
    assert len(other("runs").stdout.splitlines()) == 1
    assert shown(other, runs[status]) == shown(command, runs[status])


def test_an_imported_run_can_be_branched(
    command: Command, runs: dict[str, str], tmp_path: Path
) -> None:
    other = Command(tmp_path, warm)
    path = write(tmp_path / "run.jsonl", command("export", runs["solved"]).stdout)
    assert run_id_of_import(other, path) == runs["solved"]
    words = ("branch", runs["solved"], "--turn", "1", "--feedback", "By two.", "--json")
    assert other(*words).status == 2
    done = other(*words, "--trust")
    assert done.status == 0
    assert shown(other, run_id(done))["header"]["parent"] == runs["solved"]


def run_id_of_import(command: Command, path: str) -> str:
    return str(json.loads(command("import", path, "--json").stdout)["id"])


def test_a_trace_that_was_changed_since_is_refused(
    command: Command, runs: dict[str, str], tmp_path: Path
) -> None:
    text = command("export", runs["solved"]).stdout
    path = write(tmp_path / "run.jsonl", text.replace("Here it is.", "Here it was.", 1))
    other = Command(tmp_path, warm)
    done = other("import", path)
    assert (done.status, done.stdout) == (2, "")
    assert "the trace was changed after it was written" in done.stderr
    assert other("runs").stdout == ""


def test_an_older_trace_does_not_replace_what_a_run_has_become(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    run = run_id(solve(command, "--critic", "human", "--json"))
    path = write(tmp_path / "waiting.jsonl", command("export", run).stdout)
    assert command("resume", run, "--approve").status == 0
    text = command("export", run).stdout
    done = command("import", path)
    assert (done.status, done.stdout) == (2, "")
    assert f"the store already holds a different run {run[:8]}" in done.stderr
    assert command("export", run).stdout == text


def test_exporting_over_a_file_replaces_it_whole(
    command: Command, runs: dict[str, str], tmp_path: Path
) -> None:
    path = Path(write(tmp_path / "run.jsonl", "what was there before\n" * 10_000))
    assert command("export", runs["solved"], "-o", str(path)).status == 0
    assert path.read_text("utf-8") == command("export", runs["solved"]).stdout
    assert [one.name for one in tmp_path.iterdir()] == ["run.jsonl"]


def test_settings_of_a_strangers_trace_are_used_only_where_they_are_trusted(tmp_path: Path) -> None:
    """They could name any variable of the environment, whose value a server would then get."""
    mine, theirs = Command(tmp_path / "mine", warm), Command(tmp_path / "theirs", warm)
    mine.home.mkdir()
    theirs.home.mkdir()
    with serve([draft(RIGHT)]) as server:
        options = ("--model", f"openai:m@{server.url}", "--set", "client.key_variable=SECRET")
        done = solve(theirs.with_environment(SECRET="theirs"), *options, "--critic", "human")
        asked = len(server.requests)
        run = done.stderr.split()[1].rstrip(":")
        path = write(tmp_path / "run.jsonl", theirs("export", run).stdout)
        assert mine("import", path).status == 0
        for words in (["branch", run, "--critic", "execution"], ["branch", run, "--code", path]):
            refused = mine.with_environment(SECRET="mine-0123456789")(*words)
            assert (refused.status, refused.stdout) == (2, "")
            (line,) = refused.stderr.splitlines()
            assert server.url in line and "SECRET" in line and "--trust" in line
        assert len(server.requests) == asked
    with sqlite3.connect(mine.store) as database:
        database.execute("DELETE FROM opencodeinterpreter_runs")
    assert mine("runs", "--rebuild").status == 0
    assert "--trust" in mine("branch", run, "--critic", "execution").stderr


def test_export_reads_runs_and_no_files(command: Command, runs: dict[str, str]) -> None:
    """Else it would seal a changed trace anew."""
    path = write(command.home / "run.jsonl", command("export", runs["solved"]).stdout)
    done = command("export", path)
    assert (done.status, done.stdout) == (2, "")


def test_a_title_of_a_stranger_commands_no_terminal(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    task = "Print 1.\x1b]0;owned\x07\x9b31m"
    assert command(*arguments(command), "--json").status == 0
    given = ("--draft", write(tmp_path / "one.py", "print(1)"))
    model = f"scripted:{tmp_path / 'script.toml'}"
    run = run_id(command("solve", task, *given, "--model", model, "--json"))
    path = write(tmp_path / "run.jsonl", command("export", run).stdout)
    other = Command(tmp_path / "other", warm)
    other.home.mkdir()
    told = other("import", path).stdout + other("runs", "--json").stdout
    assert "Print 1. ]0;owned" in told
    assert not set("\x1b\x07\x9b") & set(told)


def test_a_branch_names_the_settings_of_its_own_turn_for_trust(tmp_path: Path) -> None:
    mine, theirs = Command(tmp_path / "mine", warm), Command(tmp_path / "theirs", warm)
    mine.home.mkdir()
    theirs.home.mkdir()
    run = solved(theirs)
    options = ("--model", "openai:m@http://127.0.0.1:1/v1", "--set", "client.key_variable=SECRET")
    secret = theirs.with_environment(SECRET="theirs-0123456789")
    mixed = run_id(secret("branch", run, *options, "--json"))
    path = write(tmp_path / "run.jsonl", theirs("export", mixed).stdout)
    assert mine("import", path).status == 0
    early = mine("branch", mixed, "--turn", "1", "--critic", "none")
    late = mine("branch", mixed, "--critic", "none")
    assert (early.status, late.status) == (2, 2)
    assert "coder=scripted:" in early.stderr and "127.0.0.1" not in early.stderr
    assert "127.0.0.1" in late.stderr and "key from SECRET" in late.stderr
    done = mine("branch", mixed, "--turn", "1", "--feedback", "By two.", "--trust", "--json")
    assert done.status == 0, done.stderr
    again = mine("branch", run_id(done), "--critic", "none")
    assert (again.status, "--trust" in again.stderr) == (2, True)


def test_a_dangling_link_is_no_output(
    command: Command, runs: dict[str, str], tmp_path: Path
) -> None:
    link = tmp_path / "link.jsonl"
    link.symlink_to(tmp_path / "elsewhere")
    done = command("export", runs["solved"], "-o", str(link))
    assert (done.status, "does not exist" in done.stderr) == (2, True)
    assert not (tmp_path / "elsewhere").exists()


def test_a_replaced_output_keeps_its_mode(
    command: Command, runs: dict[str, str], tmp_path: Path
) -> None:
    path = Path(write(tmp_path / "run.jsonl", "before"))
    path.chmod(0o600)
    assert command("export", runs["solved"], "-o", str(path)).status == 0
    assert path.stat().st_mode & 0o777 == 0o600
