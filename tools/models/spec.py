"""Spec strings: one line that names a model."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import urlsplit

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.endpoint import OPENAI_URL
from opencodeinterpreter.tools.models.llama.catalogue import CATALOGUE
from opencodeinterpreter.tools.models.llama.model import check_local
from opencodeinterpreter.tools.models.provider import check_provider
from opencodeinterpreter.tools.models.scripted import load_scripted
from opencodeinterpreter.tools.models.vllm.options import check_vllm

Scheme = Literal["local", "openai", "scripted", "vllm", "vllm-serve", "provider"]

POSSIBLE_SPECS = (
    f"{', '.join(f'local:{name}' for name in CATALOGUE)}, local:PATH.gguf, openai:NAME, "
    "openai:NAME@URL (any OpenAI-compatible server), "
    "vllm:MODEL or vllm-serve:MODEL (a folder, or OWNER/NAME of the hub), scripted:FILE"
)

_SCHEME = re.compile(r"vllm-serve|[a-z][a-z0-9_]*")
_NAME_AND_URL = re.compile(r"(?P<name>.*)@(?P<url>[\w+.-]*://.*)")


@dataclass(frozen=True)
class Spec:
    """A model's spec, taken apart."""

    text: str
    scheme: Scheme
    name: str
    """The embedded model's or server's name for the model, or the path of a file."""
    url: str = ""
    """The base URL of an `openai:` spec."""
    provider: str = ""
    """Langchain's name of a provider that has no scheme here."""


def parse_spec(text: str) -> Spec:
    """Take a spec apart without looking at files or servers; raises InputError."""
    scheme, colon, name = text.strip().partition(":")
    if not colon or not name.strip() or not _SCHEME.fullmatch(scheme):
        raise InputError(f"model {text!r} is not known; possible are {POSSIBLE_SPECS}")
    if scheme not in get_args(Scheme):
        return Spec(text.strip(), "provider", name.strip(), provider=scheme)
    known = cast(Scheme, scheme)
    if known == "openai":
        return _openai(text.strip(), name)
    if known == "local" and name not in CATALOGUE and not name.endswith(".gguf"):
        raise InputError(
            f"model {text!r}: local: takes {', '.join(CATALOGUE)} or the path of a .gguf file"
        )
    return Spec(text.strip(), known, name)


def check_spec(text: str) -> None:
    """Raise InputError where `text` is no spec, or its file or extra is missing.

    Nothing is started, fetched or asked; reading the files blocks for a moment.
    """
    spec = parse_spec(text)
    if spec.scheme == "local":
        check_local(spec.name)
    elif spec.scheme in ("vllm", "vllm-serve"):
        check_vllm(spec.text, spec.name)
    elif spec.scheme == "provider":
        check_provider(spec.text, spec.provider, POSSIBLE_SPECS)
    elif spec.scheme == "scripted":
        load_scripted(Path(spec.name), spec.text)


def _openai(text: str, rest: str) -> Spec:
    """Split NAME@URL; a name may itself hold an @."""
    found = _NAME_AND_URL.fullmatch(rest)
    if found is None and "://" not in rest:
        return Spec(text, "openai", rest, OPENAI_URL)
    if found is None or not found["name"]:
        raise InputError(f"model {_shown(text)!r} has no name; write openai:NAME@URL")
    return Spec(text, "openai", found["name"], _base_url(text, found["url"]))


def _base_url(text: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise InputError(
            f"model {_shown(text)!r}: after the @ comes no URL such as http://127.0.0.1:8000/v1"
        )
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise InputError(
            f"model {_shown(text)!r}: a URL with a password, query or fragment would be recorded "
            "with each run; put a key into a variable and name that"
        )
    return url.rstrip("/")


def _shown(text: str) -> str:
    """Return a spec for an error's text: without what may be a key."""
    return re.sub(r"://[^/]*@", "://…@", text.partition("?")[0])
