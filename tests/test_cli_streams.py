"""The command keeps exit status and code whatever its streams and its environment are."""

from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr

from opencodeinterpreter.testing.openai_server import OpenAIServer, serve
from opencodeinterpreter.tools.models.endpoint import Endpoint, open_endpoint
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Message, Position, Request
from tests.command import Command, Done, installed, warm
from tests.doubling import RIGHT, TASK, draft, solve, write_script
from tests.terminal import Terminal

slow = partial(pytest.param, marks=pytest.mark.slow)
FOREIGN = f'"""Grüße €\N{WHITE SMILING FACE}"""\n{RIGHT}'


def solve_at_once(command: Command, *options: str, code: str = RIGHT) -> Done:
    """Solve a task without tests by its first draft."""
    spec = write_script(command.home / "script.toml", [draft(code)])
    return command("solve", TASK, "--model", spec, *options)


def redirected(home: Path, redirection: str) -> Command:
    """Return the command with its streams redirected by a shell."""
    prefix = ("sh", "-c", f'"$@" {redirection}', "sh")
    return Command(home, partial(installed, prefix=prefix))


@pytest.mark.parametrize(
    ("redirection", "status", "code"),
    [
        ("<&- >&- 2>&-", 0, False),
        ("2>/dev/full", 0, True),
        (">/dev/full", 3, False),
        slow(">&-", 0, False),
        slow("2>&-", 0, True),
        slow("<&-", 0, True),
    ],
)
def test_a_lost_stream_changes_neither_status_nor_code(
    tmp_path: Path, redirection: str, status: int, code: bool
) -> None:
    done = solve_at_once(redirected(tmp_path, redirection))
    assert (done.status, done.stdout) == (status, RIGHT if code else "")
    assert "Traceback" not in done.stderr
    if status:
        assert "output: cannot write to standard output: No space left" in done.stderr


@pytest.mark.parametrize(
    ("lost", "options"),
    [
        ('{ "$@"; echo $? >status; } | true', ()),
        slow('{ "$@"; echo $? >status; } | true', ("--json",)),
        ('{ "$@" 2>&1 >/dev/null; echo $? >status; } | true', ()),
    ],
)
def test_a_reader_that_has_gone_changes_no_status(
    tmp_path: Path, lost: str, options: tuple[str, ...]
) -> None:
    command = Command(tmp_path, partial(installed, prefix=("sh", "-c", lost, "sh")))
    solve_at_once(command, *options)
    assert (tmp_path / "status").read_text() == "0\n"


@pytest.mark.parametrize("encoding", ["utf-16", slow("ascii:strict")])
def test_code_in_a_pipe_is_utf_8_in_any_locale(tmp_path: Path, encoding: str) -> None:
    command = Command(tmp_path, installed, {"PYTHONIOENCODING": encoding})
    done = solve_at_once(command, code=FOREIGN)
    assert (done.status, done.stdout) == (0, FOREIGN)


def test_a_terminal_shows_what_it_can(tmp_path: Path) -> None:
    spec = write_script(tmp_path / "script.toml", [draft(FOREIGN)])
    command = Command(tmp_path, installed, {"PYTHONIOENCODING": "ascii"})
    with Terminal(command, "solve", "Double.", "--model", spec) as terminal:
        terminal.wait_for("def double")
        assert terminal.wait() == 0
        assert r"Gr\xfc\xdfe \u20ac\u263a" in terminal.shown


BAD_ENVIRONMENTS = [
    ({"http_proxy": "socks5://127.0.0.1:9"}, "http_proxy=socks5://127.0.0.1:9", "socksio"),
    ({"ALL_PROXY": "socks5://me:secret@h:9"}, "ALL_PROXY=socks5://…@h:9", "socksio"),
    ({"HTTPS_PROXY": "http://[::1"}, "HTTPS_PROXY=http://[::1", "not valid"),
    ({"ALL_PROXY": "ftp://127.0.0.1:9"}, "ALL_PROXY=ftp://127.0.0.1:9", "not valid"),
    ({"SSL_CERT_FILE": "/no/such.pem"}, "SSL_CERT_FILE names '/no/such.pem'", "No such file"),
    ({"SSL_CERT_FILE": "/etc/passwd"}, "SSL_CERT_FILE names '/etc/passwd'", "no certificates"),
]


@pytest.mark.parametrize(("variables", "names", "says"), BAD_ENVIRONMENTS)
def test_an_environment_that_no_client_can_use_is_one_clear_line(
    tmp_path: Path, variables: dict[str, str], names: str, says: str
) -> None:
    command = Command(tmp_path, warm, variables)
    done = solve(command, "--model", "openai:tiny@http://models.invalid/v1")
    assert (done.status, done.stdout) == (2, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("opencodeinterpreter: ")
    assert names in last and says in last
    assert "Traceback" not in done.stderr and "secret" not in done.stderr


@pytest.mark.parametrize("variables", [one[0] for one in BAD_ENVIRONMENTS])
async def test_a_server_of_our_own_is_reached_without_the_environments_proxy(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    async with OpenAIServer(["well"]) as server:
        endpoint = Endpoint("local:m", "m", server.url, SecretStr("k"), through_proxy=False)
        async with open_endpoint(endpoint, ModelOptions()) as model:
            said = Message(role="user", content="hello")
            at = Position(turn=1, role="coder", number=1)
            assert (await model.complete(Request(messages=(said,), at=at))).text == "well"


def test_a_proxy_that_refuses_is_named(tmp_path: Path) -> None:
    with serve() as server:
        url = server.url
    command = Command(tmp_path, warm, {"http_proxy": url})
    options = ("--model", "openai:tiny@http://models.invalid/v1", "--set", "client.retries=0")
    done = solve(command, *options)
    assert done.status == 3
    assert "connection refused" in done.stderr
    assert "(through the proxy that http_proxy names)" in done.stderr
