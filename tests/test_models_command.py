"""`models`: lists the backends, explains a spec, checks a model."""

import asyncio
import json
from pathlib import Path

import pytest

from opencodeinterpreter.testing.openai_server import Refusal, serve
from tests.command import Command, warm

READY = ["ready", '{"ready": true}']


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path, warm)


def test_without_a_spec_the_backends_are_listed(command: Command) -> None:
    done = command("models")
    assert done.status == 0, done.stderr
    for spec in ("local:NAME", "openai:NAME@URL", "vllm-serve:MODEL", "scripted:FILE"):
        assert spec in done.stdout
    listed = json.loads(command("models", "--json").stdout)["backends"]
    assert {one["backend"] for one in listed} >= {"local", "openai", "vllm", "provider"}
    assert all(bool(one["installed"]) != bool(one["get"]) for one in listed)


def test_a_spec_is_explained_and_its_model_asked(command: Command) -> None:
    with serve(READY) as server:
        done = command("models", "check", f"openai:tiny@{server.url}")
    assert done.status == 0, done.stderr
    assert f"url: {server.url}" in done.stdout and "key from: nowhere" in done.stdout
    assert "word: 'ready' from tiny in" in done.stdout
    assert "obeys its schema" in done.stdout
    assert [("response_format" in received.body) for received in server.requests] == [False, True]


def test_an_answer_that_violates_its_schema_is_reported(command: Command) -> None:
    with serve(["ready", "Yes, I am."]) as server:
        done = command("models", "check", f"openai:tiny@{server.url}")
    assert "does not obey its schema" in done.stdout


def test_client_settings_apply(command: Command) -> None:
    with serve(READY) as server:
        spec = f"openai:tiny@{server.url}"
        prices = json.dumps({spec: {"input": 1, "output": 1}})
        done = command("models", "check", spec, "--json", "--set", f"client.prices={prices}")
    trial = json.loads(done.stdout)["trial"]
    assert trial["obeys"] is True and trial["word"]["usage"]["cost"] > 0


def test_a_failing_model_gives_one_line_and_status_3(command: Command) -> None:
    with serve([Refusal(401, "who are you")]) as server:
        done = command("models", "check", f"openai:tiny@{server.url}")
    assert done.status == 3
    assert "model: " in done.stderr and "who are you" in done.stderr


def test_no_ask_explains_without_asking(command: Command) -> None:
    done = command("models", "check", "openai:m@http://127.0.0.1:1/v1", "--no-ask")
    assert done.status == 0 and "kind: openai" in done.stdout
    assert command("models", "check", "nonsense").status == 2


def test_a_script_without_a_judge_is_checked_in_a_role_that_it_has(
    command: Command, tmp_path: Path
) -> None:
    for role in ("coder", "critic"):
        (tmp_path / "s.toml").write_text(f"[[{role}]]\nreply = 'Well.'\n")
        done = command("models", "check", "scripted:s.toml")
        assert done.status == 0, done.stderr
        assert "word: 'Well.'" in done.stdout and "does not obey its schema" in done.stdout


async def test_a_scripted_model_is_checked_too(command: Command, tmp_path: Path) -> None:
    script = tmp_path / "s.toml"
    script.write_text("[[judge]]\nreplies = ['ready', '{\"ready\": true}']\n")
    done = await asyncio.to_thread(command, "models", "check", f"scripted:{script}")
    assert done.status == 0 and "obeys its schema" in done.stdout
