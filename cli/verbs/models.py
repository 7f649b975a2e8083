"""`models`: what can answer here, what a spec means, and whether it answers."""

import asyncio
import json
from importlib.metadata import PackageNotFoundError, distributions, version
from typing import Annotated, Any

import typer

from opencodeinterpreter.cli.options import JsonOption, SetOption, settings_with
from opencodeinterpreter.cli.printable import printable
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.models.backends import BACKENDS, check_spec
from opencodeinterpreter.tools.models.llama.catalogue import smollm2_path
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.trial import Trial, try_model

_NOT_PROVIDERS = {"langchain-core", "langchain-openai", "langchain-protocol", "langchain-tests"}


def models(
    spec: Annotated[
        str | None, typer.Argument(help="A model's spec; none lists what is here.")
    ] = None,
    setting: SetOption = [],  # noqa: B006 - typer reads it and never changes it
    ask: Annotated[bool, typer.Option(help="Ask for a word and a schema-bound answer.")] = True,
    as_json: JsonOption = False,
) -> None:
    """List the models at hand, or try one.

    With a spec it says what the spec means and asks the model two short questions.
    """
    if spec is None:
        _list(as_json)
        return
    client = settings_with(Settings(), [], None, None, None, [], setting).client
    parsed = check_spec(spec)
    meaning = {"spec": parsed.text, "kind": parsed.scheme, "name": parsed.name}
    meaning |= BACKENDS[parsed.scheme].describe(parsed, client)
    if not as_json:
        for name, value in meaning.items():
            print(f"{name}: {value}")
    trial = asyncio.run(_try(spec, client)) if ask else None
    if as_json:
        print(json.dumps({**meaning, "trial": _dump(trial)}))
    elif trial:
        print(printable(_line("word", trial.word.text.strip(), trial)))
        obeys = "obeys its schema" if trial.obeys else "does not obey its schema"
        print(f"bound answer: {' '.join(trial.bound.text.split())!r}, {obeys}")


def _list(as_json: bool) -> None:
    found = [
        {
            "backend": backend.scheme,
            "specs": ", ".join(backend.forms),
            **_installed(backend.packages, backend.extra),
        }
        for backend in BACKENDS.values()
    ]
    providers = sorted(
        name
        for name in {one.metadata["Name"].lower() for one in distributions()}
        if name.startswith("langchain-") and name not in _NOT_PROVIDERS
    )
    if as_json:
        print(json.dumps({"backends": found, "providers": providers}))
        return
    for one in found:
        print(f"{one['backend']:<10} {one['specs']:<32} {one['installed'] or one['get']}")
    path = smollm2_path()
    kept = f"at {path}" if path.is_file() else "fetched on first use (93 MB)"
    print(f"\nlocal:smollm2 is {kept}")
    if providers:
        print(f"provider packages: {', '.join(providers)}")


def _installed(packages: tuple[str, ...], extra: str) -> dict[str, str]:
    for package in packages:
        try:
            return {"installed": f"{package} {version(package)}", "get": ""}
        except PackageNotFoundError:
            continue
    return {"installed": "", "get": f"not installed: pip install 'opencodeinterpreter[{extra}]'"}


async def _try(spec: str, client: ModelOptions) -> Trial:
    async with open_models({"coder": spec}, client) as opened:
        return await try_model(opened["coder"])


def _line(name: str, said: str, trial: Trial) -> str:
    usage = trial.word.usage
    tokens = f", {usage.input_tokens} + {usage.output_tokens} tokens" if usage else ""
    return f"{name}: {said!r} from {trial.word.model} in {trial.word.seconds:.1f} s{tokens}"


def _dump(trial: Trial | None) -> dict[str, Any] | None:
    return {**trial.model_dump(mode="json"), "obeys": trial.obeys} if trial else None
