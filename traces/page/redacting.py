"""Traces without the keys that this process knows: a page is made to be passed on."""

import os
from collections.abc import Callable
from typing import Any

from opencodeinterpreter.graph.runs import Failure
from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.tools.models.redaction import known_keys, without_key
from opencodeinterpreter.traces.trace import Trace


def without_secrets(trace: Trace) -> Trace:
    """Return a trace in which the keys that its settings name, and those of the environment, are
    replaced by `[key]` in every text.
    """
    keys = sorted({*known_keys(), *_named(trace.record)}, key=len, reverse=True)
    if not keys:
        return trace

    def clean(text: str) -> str:
        for key in keys:
            text = without_key(text, key)
        return text

    header = trace.header
    if header.failure:
        failure = Failure(header.failure.node, header.failure.owner, clean(header.failure.message))
        header = header.model_copy(update={"failure": failure})
    record = Record.model_validate(_mapped(trace.record.model_dump(mode="json"), clean))
    return trace.model_copy(update={"header": header, "record": record})


def _named(record: Record) -> set[str]:
    """Return the values of the variables that the settings name as those of their keys."""
    found = set()
    for settings in record.settings.values():
        client = settings.get("client")
        name = client.get("key_variable") if isinstance(client, dict) else None
        if isinstance(name, str) and (value := os.environ.get(name, "").strip()):
            found.add(value)
    return found


def _mapped(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_mapped(inner, clean) for inner in value]
    if isinstance(value, dict):
        return {clean(key): _mapped(inner, clean) for key, inner in value.items()}
    return value
