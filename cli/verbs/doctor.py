"""`doctor`: check what works on this machine, and say how to fix the rest."""

import asyncio
import json
import platform
from importlib.metadata import version
from typing import Any

import typer

from opencodeinterpreter.cli.options import JsonOption, SandboxOption, StoreOption
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import list_runs
from opencodeinterpreter.nodes.settings import DEFAULT_MODEL
from opencodeinterpreter.tools.errors import InputError, OpenCodeInterpreterError
from opencodeinterpreter.tools.models.llama.catalogue import CATALOGUE
from opencodeinterpreter.tools.models.llama.model import check_local
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX, named_python
from opencodeinterpreter.tools.sandbox.probe import Report, probe, probe_e2b

UNWELL = 3


def doctor(
    store: StoreOption,
    sandbox: SandboxOption = DEFAULT_SANDBOX,
    as_json: JsonOption = False,
) -> None:
    """Check the sandbox, the local model and the store."""
    probing = probe_e2b() if sandbox == "e2b" else probe(named_python(), sandbox)
    report = asyncio.run(probing)
    model, kept = _model(), asyncio.run(_store(store))
    if as_json:
        found: dict[str, Any] = {
            "sandbox": report.model_dump(),
            "local model": model,
            "store": kept,
        }
        print(json.dumps(found))
    else:
        print(f"opencodeinterpreter {version('opencodeinterpreter')}")
        print(f"python {platform.python_version()} on {platform.platform()}")
        for line in _sandbox(report):
            print(line)
        print(f"local model: {model}")
        print(f"store: {kept}")
    if report.tier is None:
        raise typer.Exit(UNWELL)


def _sandbox(report: Report) -> list[str]:
    lines = [f"sandbox: {report.tier or 'refuses'}"]
    lines += [f"  {'ok' if c.ok else '--'}  {c.name}: {c.detail}" for c in report.checks]
    if report.refusal:
        lines.append(f"  {report.refusal}")
    return lines


def _model() -> str:
    try:
        check_local(DEFAULT_MODEL.removeprefix("local:"))
    except InputError as error:
        return str(error)
    there = [model.name for model in CATALOGUE.values() if model.is_cached]
    return f"{', '.join(there) or 'none'} fetched; see `opencodeinterpreter models`"


async def _store(url: str) -> str:
    try:
        async with open_store(url) as store:
            return f"{store.name}, {len(await list_runs(store))} runs"
    except OpenCodeInterpreterError as error:
        return str(error)
