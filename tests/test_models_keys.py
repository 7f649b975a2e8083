"""Which API key is sent where, in a separate process with every variable set."""

import json
import os
import subprocess
import sys

import pytest

from opencodeinterpreter.testing.openai_server import Refusal, serve

ASK = """
import asyncio, sys
from opencodeinterpreter.tools.errors import OpenCodeInterpreterError
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Message, Position, Request

async def main(spec, variable):
    options = ModelOptions(key_variable=variable or None, retries=0)
    try:
        async with open_models({"coder": spec}, options) as models:
            at = Position(turn=1, role="coder", number=1)
            asked = Request(messages=(Message(role="user", content="x"),), at=at)
            print(await models["coder"].complete(asked))
    except OpenCodeInterpreterError as error:
        print(f"{type(error).__name__}: {error}")
    print(repr(models["coder"].__dict__) if "models" in locals() else "")

asyncio.run(main(*sys.argv[1:]))
"""

SECRETS = {
    "OPENAI_API_KEY": "sk-openai-secret",
    "OPENAI_ADMIN_KEY": "sk-admin-secret",
    "OPENAI_ORG_ID": "org-name",
    "OPENAI_PROJECT_ID": "proj-name",
    "OPENAI_CUSTOM_HEADERS": "X-Extra: header-secret\nAuthorization: Bearer other-secret",
    "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
    "OWN_KEY": "own-secret",
    "BAD_KEY": "bad\nsecret",
}


def ask_in_a_process(spec: str, variable: str = "", **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ASK, spec, variable],
        env={**os.environ, **SECRETS, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout + done.stderr


def test_no_openai_variable_reaches_another_host() -> None:
    with serve(["well"]) as server:
        output = ask_in_a_process(f"openai:m@{server.url}")
    (received,) = server.requests
    assert "text='well'" in output
    assert received.headers["authorization"] == "Bearer none"
    sent = json.dumps([received.headers, received.body])
    assert not any(word in sent for word in ("secret", "org-name", "proj-name"))
    assert "secret" not in output


def test_a_named_key_is_sent_and_shown_nowhere() -> None:
    with serve([Refusal(401, "wrong key own-secret")]) as server:
        output = ask_in_a_process(f"openai:m@{server.url}", "OWN_KEY")
    (received,) = server.requests
    assert received.headers["authorization"] == "Bearer own-secret"
    assert "ModelError" in output and "wrong key [key]" in output
    assert "secret" not in output


def test_cutting_a_long_text_leaves_no_part_of_a_key() -> None:
    for before in (585, 595):
        with serve([Refusal(401, "x" * before + "own-secret")]) as server:
            output = ask_in_a_process(f"openai:m@{server.url}", "OWN_KEY")
        assert "ModelError" in output and "own" not in output


def test_a_key_of_any_other_variable_stays_out_of_errors_too() -> None:
    with serve([Refusal(400, "wrong sk-admin-secret, short-a")]) as server:
        output = ask_in_a_process(f"openai:m@{server.url}", SHORT_KEY="short-a")
    assert "wrong [key], short-a" in output


@pytest.mark.parametrize(
    ("spec", "variable", "words"),
    [
        ("openai:m@http://127.0.0.1:1/v1", "OPENAI_API_KEY", "never sent to 127.0.0.1"),
        ("openai:m@http://api.openai.com/v1", "OPENAI_API_KEY", "never sent to api.openai.com"),
        ("openai:m@http://127.0.0.1:1/v1", "UNSET_KEY", "set the variable UNSET_KEY"),
        ("openai:m", "UNSET_KEY", "set the variable UNSET_KEY"),
        ("openai:m", "BAD_KEY", "BAD_KEY is not a valid API key"),
    ],
)
def test_a_missing_or_forbidden_key_is_refused(spec: str, variable: str, words: str) -> None:
    output = ask_in_a_process(spec, variable)
    assert "InputError" in output and words in output
    assert "secret" not in output


def test_the_modules_import_no_client() -> None:
    code = (
        "import sys, opencodeinterpreter.tools.models.opening;"
        "print({'openai', 'langchain_openai', 'langchain_core', 'xllamacpp'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
