"""`show`: a run or a trace file turn by turn."""

import json
from pathlib import Path

import pytest

from tests.command import Command, installed, warm
from tests.doubling import PLUS_TWO, RIGHT, TASK, TRIPLE, draft, shown, solved, write, write_script
from tests.sampling import every
from tests.terminal import Terminal


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Return a command with one solved run; tests only read it."""
    made = Command(tmp_path_factory.mktemp("show"), warm)
    solved(made)
    return made


@pytest.fixture(scope="module")
def run(command: Command) -> str:
    (row,) = json.loads(command("runs", "--json").stdout)
    return str(row["id"])


def test_a_run_is_told_turn_by_turn(command: Command, run: str) -> None:
    done = Command(command.home, installed)("show", run[:8])
    assert (done.status, done.stderr) == (0, "")
    text = done.stdout
    places = [
        text.index(piece)
        for piece in (f"run {run}", TASK, "turn 1", PLUS_TWO, "turn 2", TRIPLE, "turn 3", RIGHT)
    ]
    assert places == sorted(places)
    assert "verdict: solved by tests" in text
    assert text.count("critic: execution feedback") == 2
    assert "Expected: 10" in text


def test_a_file_is_told_like_the_run_it_came_from(command: Command, run: str) -> None:
    path = str(command.home / "run.jsonl")
    assert command("export", run, "-o", path).status == 0
    assert command("show", path).stdout == command("show", run).stdout


def test_one_turn_can_be_asked_for(command: Command, run: str) -> None:
    done = command("show", run, "--turn", "2")
    assert TRIPLE in done.stdout
    assert PLUS_TWO not in done.stdout
    assert RIGHT not in done.stdout
    assert [turn["number"] for turn in shown(command, run)["turns"]] == [1, 2, 3]


def test_a_turn_that_is_not_there_is_refused(command: Command, run: str) -> None:
    done = command("show", run, "--turn", "4")
    assert (done.status, done.stdout) == (2, "")
    assert "has no turn 4; it has 3" in done.stderr


def test_json_holds_header_and_record(command: Command, run: str) -> None:
    found = shown(command, run)
    assert found["header"]["run"] == run
    assert {"tasks", "settings", "texts", "turns"} <= found.keys()


def test_a_run_that_failed_says_where_whose_and_why(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    spec = write_script(tmp_path / "mute.toml", [draft(PLUS_TWO)])  # it has no critic's replies
    done = command("solve", TASK, "-m", spec, "-m", f"judge={spec}", "--json")
    assert done.status == 3
    ended = json.loads(done.stdout)
    assert (ended["run"]["status"], ended["failure"]["node"]) == ("failed", "judge")
    last = done.stderr.splitlines()[-1]
    assert last == f"opencodeinterpreter: model: {ended['failure']['message']}"
    (row,) = json.loads(command("runs", "--json").stdout)
    assert row["status"] == "failed"
    text = command("show", row["id"]).stdout
    assert "failed at judge: model: " in text
    assert "the file has no [[judge]] entries" in text
    failure = shown(command, row["id"])["header"]["failure"]
    assert (failure["node"], failure["owner"]) == ("judge", "model")


def test_several_drafts_show_which_one_was_chosen(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    spec = write_script(tmp_path / "s.toml", [[draft(TRIPLE), draft(RIGHT)]])
    text = command("show", solved(command, "--drafts", "2", "--model", spec)).stdout
    assert "draft 1:" in text
    assert "draft 2 (chosen):" in text


@pytest.fixture(scope="module")
def two_drafts(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Return a command with one run whose first draft lost; tests only read it."""
    made = Command(tmp_path_factory.mktemp("drafts"), warm)
    spec = write_script(made.home / "s.toml", [[draft(TRIPLE), draft(RIGHT)]])
    solved(made, "--drafts", "2", "--model", spec)
    return made


def test_a_losing_draft_is_one_line_unless_it_is_asked_for(two_drafts: Command) -> None:
    text = two_drafts("show", "latest").stdout
    assert TRIPLE not in text
    assert "draft 1: 2 lines, ok, 0 of 2 tests passed\n" in text
    assert "draft 2 (chosen):\n" + RIGHT in text
    assert "draft 1:\n" + TRIPLE in two_drafts("show", "latest", "--drafts").stdout


def test_the_first_failing_test_is_told_whole_and_others_by_name(
    command: Command, run: str
) -> None:
    text = command("show", run, "--turn", "2").stdout
    told = text[text.index("execution: ") : text.index("verdict: ")]
    assert told.startswith("execution: ok, 0 of 2 tests passed\nfirst failing test: ")
    assert told.count("Expected: ") == 1
    assert told.splitlines()[-1].startswith("failing too: ")


def test_code_is_printed_bare(command: Command, run: str) -> None:
    assert command("show", run, "--code").stdout == RIGHT
    assert command("show", run, "--turn", "2", "--code").stdout == TRIPLE
    path = command.home / "code.jsonl"
    assert command("export", run, "-o", str(path)).status == 0
    assert command("show", str(path), "--turn", "1", "--code").stdout == PLUS_TWO


def test_a_turn_without_code_has_none_to_print(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    spec = write_script(tmp_path / "words.toml", ["I would rather not."])
    assert command("solve", TASK, "--model", spec, "--turns", "1").status == 1
    done = command("show", "latest", "--code")
    assert (done.status, done.stdout) == (2, "")
    assert "latest has no code there" in done.stderr


def test_one_form_at_a_time(command: Command, run: str) -> None:
    done = command("show", run, "--code", "--json")
    assert (done.status, done.stdout) == (2, "")
    assert "give one of --code, --files and --json" in done.stderr


@pytest.mark.parametrize("width", every(2, (80, 120)))
def test_words_are_wrapped_between_words_on_a_terminal(tmp_path: Path, width: int) -> None:
    words = "multiply the number that you are given by two and give back what comes out of it"
    command = Command(tmp_path, warm, {"TERM": "xterm-256color"})
    code = write(tmp_path / "one.py", "print(1)\n")
    assert command("solve", f"Do: {words}. " * 3, "--draft", code).status == 0
    with Terminal(command, "show", "latest", columns=width) as terminal:
        assert terminal.wait() == 0
        lines = terminal.shown.splitlines()
    assert max(map(len, lines)) <= width
    assert " ".join(lines).count(words) == 3
    assert any(len(line) > width - 12 for line in lines)


def test_colour_is_for_terminals_that_want_it(command: Command, run: str) -> None:
    assert "\x1b" not in command("show", run).stdout
    for variables, wanted in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        seen = command.with_environment(**{"TERM": "xterm-256color", **variables})
        with Terminal(seen, "show", run) as terminal:
            assert terminal.wait() == 0
            assert ("\x1b[" in terminal.raw) == wanted
            assert "verdict: solved by tests" in terminal.shown


@pytest.mark.parametrize(
    ("pager", "paged"), [("sed s/^/paged:/", True), ("cat", False), ("", False), ("'", False)]
)
def test_a_pager_shows_what_is_longer_than_the_terminal(
    command: Command, run: str, pager: str, paged: bool
) -> None:
    seen = command.with_environment(TERM="xterm-256color", NO_COLOR="1", PAGER=pager)
    for arguments, long in ((["show", run], True), (["runs"], False)):
        with Terminal(seen, *arguments, lines=20) as terminal:
            assert terminal.wait() == 0
            lines = terminal.shown.splitlines()
        assert all(line.startswith("paged:") for line in lines if line) == (paged and long)
    assert "paged:" not in seen("show", run).stdout


def test_a_pager_that_is_left_early_is_no_error(command: Command, run: str) -> None:
    seen = command.with_environment(TERM="xterm-256color", PAGER="head -n 1")
    with Terminal(seen, "show", run) as terminal:
        assert terminal.wait() == 0
        assert run in terminal.shown
