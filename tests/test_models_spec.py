"""Parsing and checking specs."""

from pathlib import Path

import pytest

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.backends import check_spec, parse_spec


@pytest.mark.parametrize(
    ("text", "scheme", "name", "url"),
    [
        ("local:smollm2", "local", "smollm2", ""),
        ("local:models/a b.gguf", "local", "models/a b.gguf", ""),
        ("openai:gpt-x", "openai", "gpt-x", "https://api.openai.com/v1"),
        ("openai:m@http://127.0.0.1:8000/v1/", "openai", "m", "http://127.0.0.1:8000/v1"),
        ("openai:org/m@v2@https://h.example/v1", "openai", "org/m@v2", "https://h.example/v1"),
        ("openai:ft:x@y", "openai", "ft:x@y", "https://api.openai.com/v1"),
        ("scripted:demo/x.toml", "scripted", "demo/x.toml", ""),
        ("vllm:org/model", "vllm", "org/model", ""),
        ("vllm-serve:/models/m", "vllm-serve", "/models/m", ""),
    ],
)
def test_a_spec_is_parsed(text: str, scheme: str, name: str, url: str) -> None:
    spec = parse_spec(text)
    assert (spec.text, spec.scheme, spec.name, spec.url) == (text, scheme, name, url)


@pytest.mark.parametrize(
    "text",
    ["", "gpt-4", "local:", "Local:smollm2", "a-b:claude", "scripted: ", "local:x.bin"],
)
def test_the_error_for_an_unknown_spec_lists_the_possible_ones(text: str) -> None:
    with pytest.raises(InputError, match="smollm2"):
        parse_spec(text)


def test_any_other_scheme_is_a_langchain_provider() -> None:
    spec = parse_spec("anthropic:claude:x")
    assert (spec.scheme, spec.provider, spec.name) == ("provider", "anthropic", "claude:x")


@pytest.mark.parametrize(
    "url", ["http://", "http://h:99999/v1", "ftp://h/v1", "http://[::1/v1", "http://h:0"]
)
def test_a_malformed_url_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="not a valid URL"):
        parse_spec(f"openai:m@{url}")


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8000/v1", "127.0.0.1:8000", "h.example/v1", "box:8000/v1", "[::1]:80"],
)
def test_a_host_without_a_scheme_is_refused_and_not_sent_to_openai(host: str) -> None:
    with pytest.raises(InputError, match="looks like a host without a scheme"):
        parse_spec(f"openai:m@{host}")


@pytest.mark.parametrize(
    "url", ["http://u:hidden@h/v1", "http://u:hidden@h:99999", "http://h/v1?key=hidden"]
)
def test_a_key_inside_a_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_spec(f"openai:m@{url}")
    assert "hidden" not in str(caught.value)


def test_a_url_without_a_name_is_refused() -> None:
    for text in ("openai:@http://h/v1", "openai:http://h/v1"):
        with pytest.raises(InputError, match="has no name"):
            parse_spec(text)


def test_missing_and_wrong_files_are_found_without_opening(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.gguf"
    wrong.write_bytes(b"not a model")
    broken = tmp_path / "broken.toml"
    broken.write_text("[[coder]\n")
    for text, words in [
        (f"local:{tmp_path}/none.gguf", "No such file"),
        (f"local:{wrong}", "not a GGUF file"),
        (f"scripted:{tmp_path}/none.toml", "there is no file"),
        (f"scripted:{tmp_path}", "cannot be read"),
        (f"scripted:{broken}", "is not valid TOML"),
    ]:
        with pytest.raises(InputError, match=words):
            check_spec(text)


def test_valid_specs_pass_the_check(tmp_path: Path) -> None:
    script = tmp_path / "s.toml"
    script.write_text('[[coder]]\nreply = "x"\n')
    for text in (f"scripted:{script}", "openai:m@http://127.0.0.1:1/v1"):
        check_spec(text)
