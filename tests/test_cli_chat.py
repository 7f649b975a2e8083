"""`chat`: messages from a pipe and from a person, stored like every run; killed, it goes on."""

import json
import signal
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.cli.chat.pictures import drawing
from opencodeinterpreter.cli.chat.showing import own_frames
from tests.chatting import BY_MONTH, CHAT, EUROPE, LOAD, RATES, REPLIES, SALES, WORDS, WRONG
from tests.command import Command, warm
from tests.doubling import draft, shown, solved, write, write_script
from tests.terminal import Terminal

NEXT = "go on with: "
MESSAGES = [message for message, _ in CHAT]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    write(tmp_path / "sales.csv", SALES)
    write(tmp_path / "rates.csv", RATES)
    return Command(tmp_path, warm, {"OPENCODEINTERPRETER_MODEL": "scripted:s.toml"})


def lines(*said: str) -> str:
    return "".join(f"{line}\n" for line in said)


def told(record: dict[str, Any]) -> list[Any]:
    """Return what each turn did: its task, code, end, output and files."""
    found = []
    for turn in record["turns"]:
        run = (turn["executions"] or [None])[0] or {}
        written = [(each["path"], each["sha256"]) for each in run.get("artifacts", ())]
        did = (run.get("status"), run.get("logs", {}).get("stdout"), written)
        found.append((turn["task"], turn["drafts"][0]["code"], *did))
    return found


def ids(command: Command) -> list[str]:
    """Return the ids of all runs, the newest first."""
    return [line.split("\t")[0] for line in command("runs").stdout.splitlines()]


def replays(command: Command, runs: Iterable[str]) -> None:
    for run in runs:
        assert command("replay", run).stdout.startswith("identical"), run


def test_ten_messages_about_a_table_killed_in_the_middle_go_on(command: Command) -> None:
    """The seventh program draws by chance and sleeps; the chat is killed while it runs."""
    write_script(command.home / "s.toml", REPLIES)
    said = [*MESSAGES[:5], "/add rates.csv", *MESSAGES[5:]]
    whole = command("chat", "sales.csv", stdin=lines(*said))
    assert whole.status == 0, whole.stderr
    assert "KeyError: 'continent'" in whole.stdout
    assert "── program, try 2 ─" in whole.stdout
    before = shown(command, "latest")
    with command.start("chat", "sales.csv", stdin=lines(*said)) as running:
        running.wait_for("turn 8  coder")
        running.signal(signal.SIGKILL)
        running.wait()
    killed = shown(command, "latest")
    assert len(killed["turns"]) == 8
    assert killed["turns"][-1]["executions"] is None
    done = command("chat", "--run", "latest", stdin=lines(*MESSAGES[7:]))
    assert done.status == 0, done.stderr
    after = shown(command, "latest")
    assert after["header"]["run"] == killed["header"]["run"]
    assert told(after) == told(before)
    assert len(after["tasks"]) == len(MESSAGES)
    names = [name for turn in told(after) for name, _ in turn[4]]
    assert names == ["months.png", "europe.png", "dollars.txt"]
    replays(command, ids(command))
    assert command("view", "latest", "-o", "v.html").status == 0
    assert command("export", "latest", "-o", "t.jsonl").status == 0
    assert command("replay", "t.jsonl").stdout.startswith("identical")


def test_undo_and_branch_go_on_in_branches_and_the_first_run_stays(command: Command) -> None:
    replies = [draft(f"x = {n}\n") for n in (1, 2)] + [draft("print(x)")]
    write_script(command.home / "s.toml", replies)
    said = ["One.", "Two.", "/undo", "Which?", "Which?", "/branch 1", "/branch 7"]
    done = command("chat", stdin=lines(*said))
    assert done.status == 2
    assert "has no message 7; it has 1" in done.stderr
    last, undone, first = ids(command)
    assert f"message 2 is taken back; it stays in run {first}" in done.stdout
    assert f"run {undone}, a branch of {first} after message 1" in done.stdout
    assert f"run {last}, a branch of {undone} after message 1" in done.stdout
    assert done.stderr.count(NEXT) == 1
    assert f"{NEXT}opencodeinterpreter chat --run {last}" in done.stderr.replace("../", "")
    prompts = [[task["prompt"] for task in shown(command, run)["tasks"]] for run in ids(command)]
    assert prompts == [["One."], ["One.", "Which?", "Which?"], ["One.", "Two."]]
    replays(command, ids(command))


def test_the_files_of_a_message_that_is_taken_back_wait_again(command: Command) -> None:
    write_script(command.home / "s.toml", [draft("open('out.txt', 'w').write('1')")])
    said = ["/add rates.csv", "Load.", "/files", "/undo", "/files", "/save out"]
    done = command("chat", "sales.csv", stdin=lines(*said))
    assert done.status == 2  # nothing is left to save
    listed = [line.split(None, 2) for line in done.stdout.splitlines() if " message" in line]
    assert [line for line in listed if line[0].endswith((".csv", ".txt"))] == [
        ["sales.csv", "74", "came with message 1"],
        ["rates.csv", "30", "came with message 1"],
        ["out.txt", "1", "written in message 1"],
        ["sales.csv", "74", "goes with the next message"],
        ["rates.csv", "30", "goes with the next message"],
    ]


def test_save_writes_the_programs_and_their_files(command: Command) -> None:
    replies = [draft("a = 1\n"), draft("b = a / 0\n"), draft("open('b', 'w').write('2')")]
    write_script(command.home / "s.toml", replies)
    done = command("chat", stdin=lines("First.", "Second.", "/save out", "/save out"))
    assert done.status == 2
    assert "cannot write into out: it is not empty" in done.stderr
    written = {path.name: path.read_text() for path in (command.home / "out").iterdir()}
    programs = "# 1> First.\na = 1\n\n# 2> Second.\nopen('b', 'w').write('2')\n"
    assert written == {"chat.py": programs, "b": "2"}


@pytest.mark.parametrize(
    ("arguments", "line", "why"),
    [
        (["none.csv"], "", "none.csv: cannot be read: No such file"),
        (["--run", "f00"], "", "no run 'f00'; the store holds none yet"),
        (["--critic", "human"], "", "your next message is the feedback"),
        (["--model", "scripted:none.toml"], "", "there is no file none.toml"),
        ([], "/add none.csv", "none.csv: cannot be read: No such file"),
        ([], "/add", "name a file: /add FILE…"),
        ([], "/add 'x", "/add: No closing quotation"),
        ([], "/tmp/x.csv, load it", "there is no command /tmp/x.csv,; /help lists them"),
        ([], "/help me", "/help takes no argument"),
        ([], "/branch two", "name a message by its number: /branch [N]; there are 0"),
        ([], "/branch", "there is nothing to branch yet"),
        ([], "/undo", "there is no message to take back"),
        ([], "/retry", "there is no unfinished message"),
        ([], "/save", "there is nothing to save yet"),
    ],
)
def test_bad_input_is_told_in_one_line(
    command: Command, arguments: list[str], line: str, why: str
) -> None:
    write_script(command.home / "s.toml", [draft("x = 1\n")])
    done = command("chat", *arguments, stdin=lines(line))
    assert done.status == 2
    (said,) = done.stderr.splitlines()
    assert why in said
    assert ids(command) == []


def test_a_run_is_talked_to_with_its_own_settings(command: Command) -> None:
    run = solved(command)
    done = command("chat", "--run", run, "--turns", "3")
    assert (done.status, "leave out the other options" in done.stderr) == (2, True)
    write_script(command.home / "script.toml", [draft("print(double(21))")])
    done = command("chat", "--run", run, stdin=lines("Try 21."))
    assert done.status == 0, done.stderr
    assert "\n42\n" in done.stdout
    replays(command, [run])


def test_a_failing_model_ends_a_pipe_and_the_message_goes_on_later(command: Command) -> None:
    write(command.home / "s.toml", '[[critic]]\nreply = "No."\n')
    done = command("chat", stdin=lines("First.", "Second."))
    assert done.status == 3
    assert "the file has no [[coder]] entries" in done.stderr
    write_script(command.home / "s.toml", [draft("print('here')")])
    done = command("chat", "--run", "latest")
    assert (done.status, "1> First." in done.stdout) == (0, True), done.stderr
    assert "\nhere\n" in done.stdout


def test_a_message_that_is_not_solved_is_told_and_the_chat_goes_on(command: Command) -> None:
    write_script(command.home / "s.toml", [draft("x = 1 / 0\n")])
    done = command("chat", "--turns", "2", stdin=lines("Divide."))
    assert done.status == 1
    assert "── stopped: ended as error: ZeroDivisionError; turns: 2 of 2 used ─" in done.stdout


class TestAtATerminal:
    @pytest.fixture
    def command(self, command: Command) -> Command:
        return command.with_environment(TERM="xterm-256color", PROMPT_TOOLKIT_NO_CPR="1")

    @pytest.mark.parametrize("columns", [80, 120])
    def test_no_line_is_wider_than_the_terminal(self, command: Command, columns: int) -> None:
        """Nor is the prose that a model writes, nor the path of a plot."""
        long = " ".join(["Europe sold more than Asia in both months."] * 8)
        write_script(command.home / "s.toml", [*REPLIES[:3], long])
        with Terminal(command, "chat", "sales.csv", columns=columns) as terminal:
            for number, message in enumerate(MESSAGES[:4], 1):
                terminal.wait_for(f"{number}>")
                terminal.type(f"{message}\r")
            terminal.wait_for("5>")
            terminal.type("\x04")
            assert terminal.wait() == 0
        wide = [line for line in terminal.shown.splitlines() if len(line) > columns]
        assert not wide, wide
        assert long in " ".join(terminal.shown.split())

    def test_errors_do_not_end_the_chat_and_ctrl_c_stops_a_message(self, command: Command) -> None:
        slow = "import time\ntime.sleep(4)\nprint('late', x)"
        write_script(command.home / "s.toml", [draft("x = 6\n"), draft(slow)])
        with Terminal(command, "chat") as terminal:
            terminal.wait_for("1>")
            terminal.type("/nothing\r")
            terminal.wait_for("there is no command /nothing")
            terminal.type("Set x.\r")
            terminal.wait_for("2>")
            terminal.type("Be slow.\r")
            terminal.wait_for("after coder")
            terminal.type("\x03")
            terminal.wait_for("stopped; /retry goes on")
            terminal.type("Next.\r")
            terminal.wait_for("the last message is not finished")
            terminal.type("/undo\r")
            terminal.wait_for("message 2 is taken back")
            terminal.type("\x15Print x.\r")  # the old text is there to be changed
            terminal.wait_for("\nlate 6\n\n3>")
            terminal.type("\x04")
            assert terminal.wait() == 0
            assert NEXT in terminal.shown
        replays(command, ids(command))


def test_the_transcript_in_the_documentation_is_what_the_command_prints(command: Command) -> None:
    page = (Path(__file__).parent.parent / "docs" / "chat.md").read_text("utf-8")
    transcript = page.partition("```text\n")[2].partition("```")[0]
    replies = [draft(f"{LOAD}\n{BY_MONTH}"), draft(WRONG), draft(EUROPE), WORDS]
    write_script(command.home / "s.toml", replies)
    said = [line.partition("> ")[2] for line in transcript.splitlines() if line[1:3] == "> "]
    assert command("chat", "sales.csv", stdin=lines(*said)).stdout == transcript


PICTURE = b"\x89PNG\r\n\x1a\n" + zlib.compress(bytes(9000), 0)


@pytest.mark.parametrize(
    ("environment", "begins", "ends"),
    [
        ({"TERM": "xterm-kitty"}, "\x1b_Ga=T,f=100,m=1;iVBOR", "\x1b\\"),
        ({"TERM": "xterm", "TERM_PROGRAM": "iTerm.app"}, "\x1b]1337;File=inline=1;size=", "\x07"),
        ({"TERM": "xterm-kitty", "TMUX": "x"}, "", ""),
        ({"TERM": "xterm-256color"}, "", ""),
    ],
)
def test_a_picture_is_drawn_where_the_terminal_can(
    environment: dict[str, str], begins: str, ends: str
) -> None:
    drawn = drawing(PICTURE, environment)
    assert drawn.startswith(begins)
    assert drawn.endswith(ends)
    assert bool(drawn) == bool(begins)
    assert drawing(b"<svg>", environment) == ""
    chunks = [part.partition(";")[2] for part in drawn.split("\x1b\\") if part]
    assert all(len(chunk) <= 4096 for chunk in chunks) or "1337" in drawn
    assert json.dumps(drawn).count("\\u001b") == drawn.count("\x1b")


def test_a_traceback_is_shown_without_the_frames_of_libraries() -> None:
    whole = (
        'Traceback (most recent call last):\n  File "/lib/a.py", line 1, in f\n    x\n'
        "KeyError: 1\n\n"
        "The above exception was the direct cause of the following exception:\n\n"
        'Traceback (most recent call last):\n  File "<cell 2>", line 1, in <module>\n    f()\n'
        '    ~^^\n  File "/lib/a.py", line 9, in f\n    raise\nKeyError: 1\n'
    )
    assert own_frames(whole) == (
        'Traceback (most recent call last):\n  File "<cell 2>", line 1, in <module>\n    f()\n'
        "    ~^^\nKeyError: 1"
    )
