"""The command against model servers: every fault is recorded or recovered from; none hangs."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.testing.openai_server import (
    GARBAGE,
    NO_CHOICES,
    OVERFLOW,
    Hangup,
    OpenAIServer,
    Refusal,
    Reply,
    Silence,
    Step,
    serve,
)
from tests.command import Command, Done, installed, warm
from tests.doubling import RIGHT, TASK, TESTS, TRIPLE, draft, run_id, shown, write

OPENAI_KEY = "sk-of-openai-0123456789"
OWN_KEY = "key-of-this-server-42"
QUICK = ("--set", "client.retries=1", "--set", "client.timeout_seconds=20")


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path, warm, {"OPENAI_API_KEY": OPENAI_KEY, "OWN_KEY": OWN_KEY})


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with serve([draft(RIGHT)]) as serving:
        yield serving


def ask(command: Command, server: OpenAIServer | str, *options: str) -> Done:
    """Solve the task with a model of the server."""
    url = server if isinstance(server, str) else server.url
    tests = write(command.home / "tests.py", TESTS)
    return command("solve", TASK, "--tests", tests, "--model", f"openai:tiny@{url}", *options)


def calls(command: Command, run: str) -> list[dict[str, Any]]:
    turns = shown(command, run)["turns"]
    return [one["call"] for turn in turns for one in turn["drafts"] if one["call"]]


def only_run(command: Command) -> dict[str, Any]:
    (row,) = json.loads(command("runs", "--json").stdout)
    return dict(row)


def test_any_openai_compatible_server_works(tmp_path: Path, server: OpenAIServer) -> None:
    server.script = [draft(TRIPLE), draft(RIGHT)]
    command = Command(tmp_path, installed, {"OPENAI_API_KEY": OPENAI_KEY})
    done = ask(command, server, "-o", str(tmp_path / "out.py"))
    assert (done.status, done.stdout) == (0, "")
    assert (tmp_path / "out.py").read_text() == RIGHT
    assert "from tiny" in done.stderr
    first, second = server.requests
    assert first.body["model"] == "tiny"
    assert TASK in first.last
    assert "Expected: 4" in second.last
    row = only_run(Command(tmp_path, warm))
    assert row["tokens"] > 0


def test_a_busy_server_is_retried_and_the_attempts_are_recorded(
    command: Command, server: OpenAIServer
) -> None:
    server.script = [Refusal(429, retry_after=0.1), draft(RIGHT)]
    done = ask(command, server, "--json", *QUICK)
    assert done.status == 0
    (call,) = calls(command, run_id(done))
    assert call["attempts"] == 2
    assert len(server.requests) == 2
    assert command("replay", run_id(done)).status == 0


def test_a_failed_run_resumes_where_it_stopped(command: Command, server: OpenAIServer) -> None:
    server.script = [draft(TRIPLE), Refusal(500, "out of order")]
    done = ask(command, server, *QUICK)
    assert (done.status, done.stdout) == (3, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("opencodeinterpreter: model: ")
    assert "HTTP 500: out of order after 2 attempts" in last
    row = only_run(command)
    assert (row["status"], row["turns"]) == ("failed", 1)
    story = command("show", row["id"]).stdout
    assert "failed at coder: model: " in story
    assert "out of order" in story
    (before,) = shown(command, row["id"])["turns"]
    assert command("replay", row["id"]).status == 0

    server.script = [draft(RIGHT)]
    done = command("resume", row["id"])
    assert (done.status, done.stdout) == (0, RIGHT)
    found = shown(command, row["id"])
    assert found["turns"][0] == before
    assert found["header"]["failure"] is None
    assert len(server.requests) == 1 + 2 + 1
    assert only_run(command)["status"] == "solved"


@pytest.mark.parametrize(
    ("step", "says", "requests"),
    [
        (Refusal(503, "too many"), "HTTP 503: too many", 2),
        (Refusal(401, "who are you"), "HTTP 401: who are you", 1),
        (Refusal(404, "no such model"), "HTTP 404: no such model", 1),
        (OVERFLOW, "use fewer turns", 1),
        (GARBAGE, "invalid answer", 1),
        (NO_CHOICES, "invalid answer", 1),
        (Hangup(), "after 2 attempts", 2),
    ],
    ids=["503", "401", "404", "overflow", "garbage", "no choices", "hang-up"],
)
def test_a_fault_is_attributed_to_the_model_and_the_run_is_kept(
    command: Command, server: OpenAIServer, step: Step, says: str, requests: int
) -> None:
    server.script = [step]
    done = command("solve", TASK, "--model", f"openai:tiny@{server.url}", *QUICK)
    assert (done.status, done.stdout) == (3, "")
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("opencodeinterpreter: model: ")
    assert says in last
    assert len(server.requests) == requests
    assert only_run(command)["status"] == "failed"


def test_an_answer_that_was_cut_is_said_to_the_coder_and_shown_and_logged(
    command: Command, server: OpenAIServer
) -> None:
    server.script = [Reply(draft(TRIPLE), finish="length", usage=False), draft(RIGHT)]
    tests = write(command.home / "tests.py", TESTS)
    spec = f"openai:tiny@{server.url}"
    done = command("--log-level", "info", "solve", TASK, "--tests", tests, "--model", spec)
    assert done.status == 0
    assert "lines from tiny, cut at its limit of tokens" in done.stderr
    assert "answer cut at its limit" in done.stderr
    assert "your answer was cut off at its limit of tokens" in server.requests[1].last
    assert "the answer was cut at its limit" in command("show", only_run(command)["id"]).stdout


def test_the_deadline_of_a_call_ends_waiting_for_a_silent_server(
    command: Command, server: OpenAIServer
) -> None:
    server.script = [Silence()]
    done = ask(command, server, "--set", "client.timeout_seconds=1")
    assert done.status == 3
    assert "no answer within 1 s" in done.stderr.splitlines()[-1]
    assert only_run(command)["status"] == "failed"


def test_the_deadline_of_the_run_ends_waiting_for_a_silent_server(
    command: Command, server: OpenAIServer
) -> None:
    server.script = [Silence()]
    done = ask(command, server, "--deadline", "3")
    assert done.status == 5
    assert "deadline reached; resume with: " in done.stderr
    assert only_run(command)["status"] == "interrupted"
    server.script = [draft(RIGHT)]
    assert command("resume", only_run(command)["id"]).status == 0


def test_an_unreachable_server_is_reported(command: Command) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: whoever connects is refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        done = ask(command, url, *QUICK)
    assert done.status == 3
    last = done.stderr.splitlines()[-1]
    assert url in last
    assert "check that the server runs" in last


def holders(folder: Path, secret: str) -> list[Path]:
    """Return the files below a folder that hold a text."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if secret.encode() in path.read_bytes()]


def test_the_key_of_openai_is_sent_to_no_other_server(
    command: Command, server: OpenAIServer
) -> None:
    done = command(
        *("--log-level", "debug", "--log-json"),
        *("solve", TASK, "--model", f"openai:tiny@{server.url}", "--json"),
    )
    assert done.status == 0
    command("export", run_id(done), "-o", str(command.home / "run.jsonl"))
    (received,) = server.requests
    assert OPENAI_KEY not in str(received.headers)
    assert '"event": "node starts"' in done.stderr
    assert holders(command.home, OPENAI_KEY) == []


def test_a_servers_own_key_reaches_it_and_no_record(command: Command, server: OpenAIServer) -> None:
    server.script = [draft(TRIPLE), Refusal(401, f"the key {OWN_KEY} is worn out")]
    done = command(
        *("--log-level", "debug", "solve", TASK, "--tests", write(command.home / "t.py", TESTS)),
        *("--model", f"openai:tiny@{server.url}", "--set", "client.key_variable=OWN_KEY"),
    )
    assert done.status == 3
    assert "worn out" in done.stderr
    assert {one.headers["authorization"] for one in server.requests} == {f"Bearer {OWN_KEY}"}
    run = str(only_run(command)["id"])
    command("show", run, "--json")
    command("export", run, "-o", str(command.home / "run.jsonl"))
    assert holders(command.home, OWN_KEY) == []
