"""`models`: list the usable models, fetch a local one, check a spec."""

import asyncio
import json
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Annotated, Any

import typer

from opencodeinterpreter.cli.fetching import fetch_shown
from opencodeinterpreter.cli.options import JsonOption
from opencodeinterpreter.cli.settings import SetOption, SettingsOptions
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.backends import BACKENDS, check_spec
from opencodeinterpreter.tools.models.llama.catalogue import CATALOGUE, CatalogueModel
from opencodeinterpreter.tools.models.llama.fetching import keep_file
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.trial import Trial, try_model
from opencodeinterpreter.tools.printable import printable

_NOT_PROVIDERS = {"langchain-core", "langchain-openai", "langchain-protocol", "langchain-tests"}


app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the models that can be used here; fetch or check one."""
    if context.invoked_subcommand is None:
        _list(as_json)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(CATALOGUE)}.")],
    source: Annotated[
        Path | None, typer.Option("--from", help="Take the model from this file.")
    ] = None,
) -> None:
    """Fetch a local model into the cache; resumes where it stopped."""
    if name not in CATALOGUE:
        raise InputError(f"unknown local model {name!r}; use one of {', '.join(CATALOGUE)}")
    model = CATALOGUE[name]
    print(asyncio.run(keep_file(model, source) if source else fetch_shown(model)))


@app.command()
def check(
    spec: Annotated[str, typer.Argument(help="A model's spec, as in local:qwen2.5-coder-0.5b.")],
    setting: SetOption = [],  # noqa: B006 - typer reads it and never changes it
    ask: Annotated[bool, typer.Option(help="Ask for a word and a schema-bound answer.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Say what a spec means and ask its model for a word and for an answer under a schema."""
    client = SettingsOptions(setting=setting).over(Settings()).client
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
        local = [_local(model) for model in CATALOGUE.values()]
        print(json.dumps({"backends": found, "local": local, "providers": providers}))
        return
    for one in found:
        print(f"{one['backend']:<10} {one['specs']:<32} {one['installed'] or one['get']}")
    print("\nlocal models:")
    for model in CATALOGUE.values():
        where = f"at {model.path}" if model.is_cached else "not fetched yet"
        print(f"{model.name:<19} {model.shown_size:>6}  {model.licence}  {where}")
    if providers:
        print(f"provider packages: {', '.join(providers)}")


def _local(model: CatalogueModel) -> dict[str, Any]:
    """Return a local model for the JSON output; `path` is null until it is fetched."""
    told: dict[str, Any] = {
        name: getattr(model, name) for name in ("name", "size", "licence", "context", "sha256")
    }
    return {**told, "path": str(model.path) if model.is_cached else None}


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
