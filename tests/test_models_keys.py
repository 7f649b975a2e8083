"""Which API key is sent where, with every variable set."""

import base64
import json
import subprocess
import sys
from urllib.parse import quote

import pytest

from opencodeinterpreter.testing.openai_server import Refusal, Reply, serve
from opencodeinterpreter.tools.errors import OpenCodeInterpreterError
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Message, Position, Request
from opencodeinterpreter.tools.models.redaction import without_key

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


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


async def ask(spec: str, variable: str = "") -> str:
    """Return the answer or the error, and all that the model's object shows."""
    options = ModelOptions(key_variable=variable or None, retries=0)
    at = Position(turn=1, role="coder", number=1)
    request = Request(messages=(Message(role="user", content="x"),), at=at)
    told = []
    try:
        async with open_models({"coder": spec}, options) as models:
            told.append(repr(vars(models["coder"])))
            told.append(str(await models["coder"].complete(request)))
    except OpenCodeInterpreterError as error:
        told.append(f"{type(error).__name__}: {error}")
    return "\n".join(told)


async def test_no_openai_variable_reaches_another_host() -> None:
    with serve(["well"]) as server:
        output = await ask(f"openai:m@{server.url}")
    (received,) = server.requests
    assert "text='well'" in output
    assert received.headers["authorization"] == "Bearer none"
    sent = json.dumps([received.headers, received.body])
    assert not any(word in sent for word in ("secret", "org-name", "proj-name"))
    assert "secret" not in output


async def test_a_named_key_is_sent_and_shown_nowhere() -> None:
    with serve([Refusal(401, "wrong key own-secret")]) as server:
        output = await ask(f"openai:m@{server.url}", "OWN_KEY")
    (received,) = server.requests
    assert received.headers["authorization"] == "Bearer own-secret"
    assert "ModelError" in output and "wrong key [key]" in output
    assert "secret" not in output


async def test_cutting_a_long_text_leaves_no_part_of_a_key() -> None:
    for before in (585, 595):
        with serve([Refusal(401, "x" * before + "own-secret")]) as server:
            output = await ask(f"openai:m@{server.url}", "OWN_KEY")
        assert "ModelError" in output and "own" not in output


async def test_a_key_of_any_other_variable_stays_out_of_errors_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHORT_KEY", "short-a")
    with serve([Refusal(400, "wrong sk-admin-secret, short-a")]) as server:
        output = await ask(f"openai:m@{server.url}")
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
async def test_a_missing_or_forbidden_key_is_refused(spec: str, variable: str, words: str) -> None:
    output = await ask(spec, variable)
    assert "InputError" in output and words in output
    assert "secret" not in output


def test_the_modules_import_no_client() -> None:
    code = (
        "import sys, opencodeinterpreter.tools.models.opening;"
        "print({'openai', 'langchain_openai', 'langchain_core', 'xllamacpp'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


KEY = "sk-Ab/12+cd_EFgh?99"
FORMS = {
    "as it is": KEY,
    "reversed": KEY[::-1],
    "quoted for a URL": quote(KEY, safe=""),
    "in lower case": quote(KEY, safe="").lower(),
    "in base64": base64.b64encode(f"Bearer {KEY}".encode()).decode(),
    "in base64 for URLs": base64.urlsafe_b64encode(f"x{KEY}".encode()).decode(),
    "over two lines": f"{KEY[:7]}\n    {KEY[7:]}",
    "in two strings": f'{KEY[:7]}" + "{KEY[7:]}',
    "escaped": f"{KEY[:7]}\\n{KEY[7:]}",
    "in hexadecimal digits": KEY.encode().hex().upper(),
    "in hexadecimal bytes": KEY.encode().hex(" "),
    "each byte quoted for a URL": "".join(f"%{byte:02X}" for byte in KEY.encode()),
    "with characters that are not seen": "\u200b".join(KEY),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_found_in_every_form(form: str) -> None:
    told = without_key(f"before {FORMS[form]} after", KEY)
    assert told.startswith("before ") and told.endswith(" after") and "[key]" in told
    assert len(told) < len("before [key] after") + 14  # What base64 mixes with its neighbours.


def test_a_short_key_is_no_pattern() -> None:
    assert without_key("a, b and c", "ab") == "a, b and c"


async def test_a_key_that_a_server_repeats_in_its_answer_is_not_recorded() -> None:
    reply = Reply(text="print('own-secret')", finish="own-secret", thinking="own-secret")
    with serve([reply], model="tiny-own-secret") as server:
        output = await ask(f"openai:m@{server.url}", "OWN_KEY")
    assert "secret" not in output
    assert "print('[key]')" in output and "finish='[key]'" in output
    assert "model='tiny-[key]'" in output
