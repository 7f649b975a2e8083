"""`export`: write a run as a trace file, or in a format of other tools."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from opencodeinterpreter.cli.files import check_file, write_text
from opencodeinterpreter.cli.options import StoreOption
from opencodeinterpreter.cli.traces import TARGET_HELP, load_trace, stored_trace
from opencodeinterpreter.tools.errors import InputError, OutputError
from opencodeinterpreter.tools.printable import printable
from opencodeinterpreter.traces.exporting.atif import atif
from opencodeinterpreter.traces.exporting.chat import chat
from opencodeinterpreter.traces.exporting.inspect_log import inspect_log
from opencodeinterpreter.traces.trace import Trace

Format = Literal["trace", "atif", "inspect", "chat", "otel"]
_FORMATS: Mapping[str, Callable[[Trace], dict[str, Any]]] = {
    "atif": atif,
    "inspect": inspect_log,
    "chat": chat,
}
_PATIENCE = 10.0
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def export(
    run: Annotated[str, typer.Argument(metavar="RUN|FILE", help=TARGET_HELP)],
    store: StoreOption,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write here instead of to stdout.")
    ] = None,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="trace: our own; atif: Harbor's; inspect: inspect_ai's log; chat: messages, one "
            "line; otel: spans, sent to OTEL_EXPORTER_OTLP_ENDPOINT.",
        ),
    ] = "trace",
) -> None:
    """Write a run's trace as JSON lines, or in another tool's format."""
    check_file(output)
    # A trace file is not written anew as one: that would seal what somebody changed.
    trace = stored_trace(store, run) if form == "trace" else load_trace(store, run)
    if trace.changed is not None:
        raise InputError(f"{run} was changed after it was written; `replay {run}` shows where")
    if form == "otel":
        return _send(trace, output)
    if form == "trace":
        text = "".join(f"{line}\n" for line in trace.lines())
    else:
        text = f"{json.dumps(_FORMATS[form](trace), ensure_ascii=False)}\n"
    if output is None:
        print(printable(text) if sys.stdout.isatty() else text, end="")
    else:
        write_text(output, text)
    return None


def _send(trace: Trace, output: Path | None) -> None:
    """Send a run's spans to the collector that the environment names; raises InputError."""
    if output is not None:
        raise InputError("--format otel sends to a collector; leave --output out")
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        raise InputError(
            f"set {_ENDPOINTS[0]} to the collector's address, such as http://localhost:4318"
        )
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        from opencodeinterpreter.traces.exporting.spans import export_spans
    except ImportError:
        raise InputError(
            "spans need the extra 'otel': pip install 'opencodeinterpreter[otel]'"
        ) from None
    if not export_spans(trace, OTLPSpanExporter(timeout=_PATIENCE)):
        raise OutputError("the collector did not take the spans; see the log above")
