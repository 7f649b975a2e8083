"""`view --serve`: the page of a run in progress, for who has its address and nobody else."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.command import PATIENCE, Command, warm
from tests.doubling import PLUS_TWO, RIGHT, TASK, draft, run_id, write_script
from tests.pages import events_of, unpacked


class Site:
    """A served page, asked as a program would ask."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.address, self.base = address, f"http://{parts.netloc}"
        self.token = parts.query.removeprefix("token=")

    def ask(self, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        """Return the status and text of an answer."""
        sent = {"X-Token": self.token, "Content-Type": "application/json", **headers}
        sent = {name.replace("_", "-"): value for name, value in sent.items()}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base}{path}", data, sent)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def runs(self) -> dict[str, Any]:
        """Return the runs of the page as they are now, by id."""
        contents = unpacked(json.loads(self.ask("/news?since=0")[1])["contents"])
        return {run["id"]: run for run in contents["runs"]}

    def wait(self, run: str, status: str) -> None:
        """Wait until a run has this status."""
        until = time.monotonic() + PATIENCE
        while (found := self.runs().get(run, {"status": ""}))["status"] != status:
            assert time.monotonic() < until, found
            time.sleep(0.1)


@contextmanager
def served(command: Command, run: str) -> Iterator[Site]:
    """Serve a run's page until the block ends."""
    with command.start("view", run, "--serve") as running:
        until = time.monotonic() + PATIENCE
        while not (line := running.stdout.read_text()).endswith("\n"):
            assert time.monotonic() < until and not running.stderr.read_text(), "no address"
            time.sleep(0.05)
        yield Site(line.strip())


def asking(command: Command) -> str:
    """Return a run that waits for a person, whose second draft would be right."""
    spec = write_script(command.home / "s.toml", [draft(PLUS_TWO), draft(RIGHT)])
    done = command("solve", TASK, "--model", spec, "--critic", "human", "--json")
    assert done.status == 4, done.stderr
    return run_id(done)


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(tmp_path_factory.mktemp("home"), warm)


@pytest.fixture(scope="module")
def site(command: Command) -> Iterator[Site]:
    with served(command, asking(command)) as found:
        yield found


def test_only_who_has_the_token_is_answered_and_only_at_the_server_s_own_address(
    site: Site,
) -> None:
    assert site.ask("/")[0] == 200
    for path in ("/", "/news?since=0"):
        assert site.ask(path, X_Token="")[0] == 403
        assert site.ask(path, X_Token="wrong")[0] == 403
        assert site.ask(path, Host="evil.example")[0] == 403
        assert site.ask(path, Origin="http://evil.example")[0] == 403
        assert site.ask(path, Origin="null")[0] == 403
    body = {"run": next(iter(site.runs())), "answer": {"action": "approve"}}
    assert site.ask("/answer", body, X_Token="wrong")[0] == 403
    assert site.ask("/answer", body, Content_Type="text/plain")[0] == 415
    assert next(iter(site.runs().values()))["asks"]


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        (
            "/answer",
            {"run": "x", "turn": 1, "answer": {"action": "approve"}},
            "this page has no such run",
        ),
        ("/answer", {"answer": {"action": "approve"}}, "run"),
        (
            "/answer",
            {"run": "RUN", "turn": 1, "answer": {"action": "words", "text": " "}},
            "no words",
        ),
        ("/answer", {"run": "RUN", "turn": 1, "answer": {"action": "dance"}}, "action"),
        ("/answer", {"run": "RUN", "turn": 2, "answer": {"action": "stop"}}, "asks about turn 1"),
        ("/branch", {"run": "RUN", "turn": 9, "feedback": "x"}, "has no turn 9"),
        ("/branch", {"run": "RUN", "turn": 1}, "nothing is changed"),
        ("/branch", [], "object"),
    ],
)
def test_wrong_requests_are_refused_with_the_reason(
    site: Site, path: str, body: Any, said: str
) -> None:
    (run,) = site.runs()
    text = json.dumps(body).replace("RUN", run)
    status, answer = site.ask(path, json.loads(text))
    assert status == 400
    assert said in json.loads(answer)["problem"]


def test_an_unknown_path_is_not_found(site: Site) -> None:
    assert site.ask("/etc/passwd")[0] == 404
    assert site.ask("/answers", {})[0] == 404


def test_a_method_that_is_not_served_is_refused_in_plain_text(site: Site) -> None:
    request = urllib.request.Request(site.base, method="PUT")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=PATIENCE)
    assert caught.value.code == 501
    assert caught.value.headers["Content-Type"] == "text/plain"
    assert b"<" not in caught.value.read()


def test_a_port_that_is_taken_is_told_in_one_line(command: Command, site: Site) -> None:
    port = site.base.rpartition(":")[2]
    done = command("view", "latest", "--serve", "--port", port)
    assert (done.status, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert f"--port {port}: Address already in use; leave it out" in line


def test_a_person_answers_and_branches_from_the_page(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    run = asking(command)
    with served(command, run) as site:
        page = events_of(site.ask("/")[1])
        assert page["contents"]["runs"][0]["status"] == "waiting"
        words = {
            "run": run,
            "turn": 1,
            "answer": {"action": "words", "text": "Twice, not plus two."},
        }
        assert site.ask("/answer", words)[0] == 200
        site.wait(run, "waiting")
        status, told = site.ask("/answer", words)
        assert (status, "asks about turn 2 now" in told) == (400, True)
        news = json.loads(site.ask(f"/news?since={page['contents']['serial']}")[1])
        assert f"turn:{run}:2" in news["events"]
        status, told = site.ask("/branch", {"run": run, "turn": 1, "code": RIGHT})
        branch = json.loads(told)["run"]
        assert status == 200
        site.wait(branch, "waiting")
        approval = {"run": branch, "turn": 1, "answer": {"action": "approve"}}
        assert site.ask("/answer", approval)[0] == 200
        site.wait(branch, "solved")
        assert site.runs()[branch]["parent"] == run
    stored = {row["id"]: row["status"] for row in json.loads(command("runs", "--json").stdout)}
    assert stored == {run: "waiting", branch: "solved"}


def test_a_run_that_came_with_a_trace_is_not_continued_without_trust(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    run = asking(command)
    assert command("export", run, "-o", "r.jsonl").status == 0
    other = Command(tmp_path / "other", warm)
    assert other("import", str(tmp_path / "r.jsonl")).status == 0
    with served(other, run) as site:
        status, told = site.ask("/branch", {"run": run, "turn": 1, "feedback": "x"})
        assert status == 400
        assert "--trust" in told
        assert list(site.runs()) == [run]


def test_serve_takes_one_stored_run(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    done = command("view", "a", "b", "--serve")
    assert (done.status, done.stderr) == (
        2,
        "opencodeinterpreter: --serve takes one run of the store, and no --output\n",
    )
